"""CommandScanner: command starts in streams that are split anywhere."""

import os
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.work import lines_run
from mysql_wire.commands import MAX_KILL_PAYLOAD, MAX_PACKETS, TAIL_LENGTH, CommandScanner
from mysql_wire.constants import Capability, Command
from mysql_wire.errors import LocalProtocolError, PacketTooLarge, ProtocolError, UnexpectedPacket
from mysql_wire.packet import Header, frame

OURS, THEIRS = 0x70000001, 4711


def _kill_target(connection_id: int) -> int | None:
    return THEIRS if connection_id == OURS else None


NO_CAPABILITIES = Capability(0)


def _scanner(capabilities: Capability = NO_CAPABILITIES, *, allow_replication: bool = False) -> CommandScanner:
    return CommandScanner(capabilities, _kill_target, allow_replication)


def _query(text: bytes) -> bytes:
    return frame(b"\x03" + text, 0)


def _feed(scanner: CommandScanner, data: bytes, cuts: list[int]) -> bytes:
    out = bytearray()
    start = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        out += scanner.feed(memoryview(data)[start:end])
        while scanner.has_more:
            out += scanner.more()
        start = end
    return bytes(out)


KILLS = [
    (b"KILL QUERY %d", True),
    (b"kill %d", True),
    (b"KILL CONNECTION %d ;", True),
    (b"KILL HARD QUERY %d", True),
    (b"/* ApplicationName=DBeaver */ KILL QUERY %d", True),
    (b"-- why\n# not\n KILL %d", True),
    (b"# not\nKILL %d", True),
    (b" KILL %d", True),
    (b"\r\n\tKILL %d", True),
    (b"\v\fKILL %d", True),
    (b"--\nKILL %d", True),
    (b"/**/" * 40 + b"KILL %d", True),
    (b"/*/ no end yet */ KILL %d", True),
    (b"/* KILL %d", False),
    (b"--KILL %d", False),
    (b"KILL %d 5", False),
    (b"KILL QUERY HARD %d", False),
    (b"KILL %d;;", False),
    (b"KILL 0%d", False),
    (b"/*M! KILL */ KILL %d", False),
    (b"\x00\x01KILL QUERY %d", False),  # without QUERY_ATTRIBUTES these two bytes are text
    (b"KILL QUERY %d; SELECT 1", False),
    (b"KILL QUERY ID %d", False),
    (b"/*! KILL */ KILL %d", False),
    (b"SELECT 'KILL %d'", False),
]


@pytest.mark.parametrize(("text", "rewritten"), KILLS)
@given(cuts=st.lists(st.integers(0, 80), max_size=8))
@settings(max_examples=20)
def test_kill_of_one_of_our_ids(text: bytes, rewritten: bool, cuts: list[int]) -> None:
    expected = _query(text % (THEIRS if rewritten else OURS))
    assert _feed(_scanner(), _query(text % OURS), cuts) == expected


def test_kill_with_query_attributes() -> None:
    scanner = _scanner(Capability.QUERY_ATTRIBUTES)
    assert _feed(scanner, _query(b"\x00\x01KILL QUERY %d" % OURS), []) == _query(b"\x00\x01KILL QUERY %d" % THEIRS)


def test_kill_of_another_id_passes_unchanged() -> None:
    assert _feed(_scanner(), _query(b"KILL 5"), []) == _query(b"KILL 5")


def test_kill_of_an_id_of_one_digit() -> None:
    scanner = CommandScanner(NO_CAPABILITIES, lambda connection_id: connection_id + 4)
    assert _feed(scanner, _query(b"kill 5"), []) == _query(b"kill 9")


def test_a_long_statement_is_never_held_or_rewritten() -> None:
    query = _query(b"KILL %d" % OURS + b" " * MAX_KILL_PAYLOAD)
    scanner = _scanner()
    out = b"".join(bytes(scanner.feed(memoryview(query)[i : i + 1])) for i in range(100))
    assert len(out) >= 96
    assert out + bytes(scanner.feed(memoryview(query)[100:])) == query


@given(cuts=st.lists(st.integers(0, 9), max_size=5))
def test_process_kill(cuts: list[int]) -> None:
    packet = frame(b"\x0c" + OURS.to_bytes(4, "little"), 0)
    assert _feed(_scanner(), packet, cuts) == frame(b"\x0c" + THEIRS.to_bytes(4, "little"), 0)


@given(cuts=st.lists(st.integers(0, 40), max_size=5))
def test_replication_commands_are_blunted(cuts: list[int]) -> None:
    for command in (Command.COM_BINLOG_DUMP, Command.COM_BINLOG_DUMP_GTID, Command.COM_REGISTER_SLAVE):
        scanner = _scanner()
        packet = frame(bytes((command,)) + b"rest of it", 0)
        assert _feed(scanner, packet, cuts) == frame(b"\0rest of it", 0)
        assert scanner.refused == command
        assert _feed(_scanner(allow_replication=True), packet, cuts) == packet


@given(cuts=st.lists(st.integers(0, 40), max_size=5))
def test_change_user_is_kept_back_whole(cuts: list[int]) -> None:
    scanner = _scanner()
    payload = b"\x11app\0\x14" + b"s" * 20 + b"shop\0"
    assert _feed(scanner, frame(b"\x0e", 0) + frame(payload, 0), cuts) == frame(b"\x0e", 0)
    assert scanner.change_user == payload


def test_command_pipelined_behind_change_user_is_refused() -> None:
    with pytest.raises(UnexpectedPacket):
        _feed(_scanner(), frame(b"\x11app\0\0shop\0", 0) + frame(b"\x0e", 0), [])


def test_change_user_above_the_limit_is_refused_from_its_header() -> None:
    with pytest.raises(PacketTooLarge):
        _scanner().feed(memoryview(Header(200_000, 0).encode() + b"\x11"))


def test_packet_cut_by_the_end_of_the_stream_is_given_out() -> None:
    scanner = _scanner()
    assert bytes(scanner.feed(memoryview(_query(b"KILL 7")[:7]))) == b""
    assert not scanner.at_boundary
    assert scanner.flush() == _query(b"KILL 7")[:7]


FLOODS = [
    frame(b"\x19\x01\0\0\0", 0),  # COM_STMT_CLOSE is never answered
    frame(b"\x0e", 0),
    frame(b"", 0),
    frame(b"\x03" + b"/**/" * 58 + b"KILL x", 0),
    frame(b"\x03KILL %d" % OURS, 0),
    frame(b"\x0c\x01\0\0\x70", 0),
]
LINES_PER_PACKET = 60 + 8 * MAX_KILL_PAYLOAD


@pytest.mark.parametrize("packet", FLOODS, ids=range(len(FLOODS)))
@pytest.mark.parametrize("tail", [b"", b"\xff\xfb" * 300], ids=["", "tail"])
def test_a_flood_of_packets_is_looked_at_in_turns(packet: bytes, tail: bytes) -> None:
    scanner = _scanner(Capability.LOCAL_FILES)
    scanner.answered(memoryview(tail))
    flood = memoryview(packet * (3 * MAX_PACKETS + 1))
    once = 60 + 2 * TAIL_LENGTH  # the tail is looked through for the first packet only
    comments = b"/**/" in packet
    per_packet = LINES_PER_PACKET if comments else 150
    assert lines_run(lambda: scanner.feed(flood), below="mysql_wire") <= once + MAX_PACKETS * per_packet
    assert scanner.commands == MAX_PACKETS
    assert not scanner.at_boundary
    turns = 1
    while scanner.has_more:
        assert lines_run(scanner.more, below="mysql_wire") <= 60 + MAX_PACKETS * per_packet
        turns += 1
    assert turns == 4
    assert scanner.at_boundary


@given(st.binary(max_size=2000), st.binary(max_size=TAIL_LENGTH), st.lists(st.integers(0, 2000), max_size=6))
def test_the_work_of_one_turn_is_bounded_for_any_bytes(data: bytes, tail: bytes, cuts: list[int]) -> None:
    scanner = _scanner(Capability.LOCAL_FILES | Capability.QUERY_ATTRIBUTES)
    scanner.answered(memoryview(tail))
    start = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        part = memoryview(data)[start:end]
        try:
            lines = lines_run(lambda part=part: scanner.feed(part), below="mysql_wire")  # type: ignore[misc]
        except ProtocolError:
            return
        assert lines <= 200 + 2 * TAIL_LENGTH + 30 * len(part) + 8 * MAX_KILL_PAYLOAD
        start = end


def test_nothing_is_fed_while_there_is_more() -> None:
    scanner = _scanner()
    scanner.feed(memoryview(frame(b"\x0e", 0) * (MAX_PACKETS + 1)))
    with pytest.raises(LocalProtocolError):
        scanner.feed(memoryview(frame(b"\x0e", 0)))
    assert bytes(scanner.more()) == frame(b"\x0e", 0)
    scanner.feed(memoryview(frame(b"\x0e", 0)))


def test_what_waits_for_its_turn_is_a_copy() -> None:
    scanner, buffer = _scanner(), bytearray(frame(b"\x0e", 0) * (MAX_PACKETS + 1))
    scanner.feed(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert bytes(scanner.more()) == frame(b"\x0e", 0)


def test_packets_that_wait_are_given_up_at_the_end() -> None:
    scanner = _scanner()
    scanner.feed(memoryview(frame(b"\x0e", 0) * (MAX_PACKETS + 1)))
    assert scanner.flush() == b""
    assert not scanner.has_more


def test_change_user_is_refused_with_a_command_behind_it_in_any_turn() -> None:
    scanner = _scanner()
    scanner.feed(memoryview(frame(b"\x0e", 0) * MAX_PACKETS + frame(b"\x11app\0\0shop\0", 0) + frame(b"\x0e", 0)))
    with pytest.raises(UnexpectedPacket):
        scanner.more()


@given(cuts=st.lists(st.integers(0, 10), max_size=5))
def test_quit_passes_unless_it_is_to_be_kept(cuts: list[int]) -> None:
    ping, leave = frame(b"\x0e", 0), frame(b"\x01", 0)
    assert _feed(_scanner(), ping + leave, cuts) == ping + leave
    scanner = CommandScanner(NO_CAPABILITIES, _kill_target, keep_quit=True)
    assert _feed(scanner, ping + leave, cuts) == ping
    assert scanner.kept_quit
    assert scanner.has_quit
    assert scanner.at_boundary
    assert scanner.behind_quit == 0


def test_bytes_behind_a_kept_quit_are_counted_and_not_looked_at() -> None:
    scanner = CommandScanner(NO_CAPABILITIES, _kill_target, keep_quit=True)
    assert _feed(scanner, frame(b"\x01", 0) + frame(b"\x11app", 0), []) == b""
    assert scanner.behind_quit == 8
    assert scanner.change_user is None


def test_a_quit_that_is_none_is_not_kept() -> None:
    for packet in (frame(b"\x01x", 0), frame(b"\x01", 1)):  # both pass: more than the command; file data
        scanner = CommandScanner(NO_CAPABILITIES, _kill_target, keep_quit=True)
        assert _feed(scanner, packet, []) == packet
        assert not scanner.kept_quit


@pytest.mark.parametrize("command", [0x1B, 0x12, 0x15, 0x1E])
@given(cuts=st.lists(st.integers(0, 12), max_size=5))
@settings(max_examples=20)
def test_what_a_reset_does_not_undo_is_told(command: int, cuts: list[int]) -> None:
    scanner = _scanner(allow_replication=True)
    _feed(scanner, frame(b"\x0e", 0), [])
    assert scanner.pinned_by is None
    _feed(scanner, frame(bytes((command, 0, 0)), 0), cuts)
    _feed(scanner, frame(b"\x1b\0\0", 0), [])
    assert scanner.pinned_by == command


def test_a_pinned_session_is_told_of_the_quit() -> None:
    scanner = CommandScanner(NO_CAPABILITIES, _kill_target, keep_quit=True)
    pinning = frame(b"\x1b\0\0", 0) + frame(b"\x01", 0)
    assert _feed(scanner, pinning, []) == pinning
    assert not scanner.kept_quit
    assert scanner.has_quit


def test_empty_command_counts_and_passes() -> None:
    scanner = _scanner()
    assert _feed(scanner, frame(b"", 0), []) == frame(b"", 0)
    assert (scanner.commands, scanner.last_command) == (1, None)


@dataclass(frozen=True)
class Step:
    """Bytes of the client, the commands that start in them, and what RDS sent just before."""

    data: bytes
    commands: tuple[int, ...]
    answer: bytes = b""


SMALL = st.binary(max_size=40)
LIKE_COMMANDS = st.sampled_from([b"\x01", b"\x11abc", b"\x0c\x01\0\0\x70", b"\x03KILL 1"])


@st.composite
def _plain_command(draw: st.DrawFn) -> list[Step]:
    command = draw(st.sampled_from([1, 2, 3, 0x0C, 0x0E, 0x16, 0x17, 0x18, 0x19, 0x1F]))
    return [Step(frame(bytes((command,)) + draw(SMALL), 0), (command,))]


@st.composite
def _huge_command(draw: st.DrawFn) -> list[Step]:
    first = Header(0xFFFFFF, 0).encode() + b"\x03" + b"x" * 0xFFFFFE
    rest = draw(st.sampled_from([b"", b"\x01", b"\x11tail"]))
    return [Step(first + frame(rest, 1), (3,))]


@st.composite
def _load_data(draw: st.DrawFn) -> list[Step]:
    """LOAD DATA LOCAL whose request comes at any sequence id, with file data that looks like commands."""
    name = draw(st.binary(min_size=1, max_size=20)).replace(b"\0", b"0")  # servers send it up to its first NUL
    contents = [draw(LIKE_COMMANDS) for _ in range(draw(st.sampled_from([0, 1, 2, 300])))]
    request_id = draw(st.integers(1, 255))
    if request_id == 255 and contents[:1] == [b"\x11abc"]:
        contents[0] = b"\x0dabc"  # the one that is not let through: see below
    return _loaded(request_id, draw(SMALL), name, contents)


def _loaded(request_id: int, before: bytes, name: bytes, contents: list[bytes]) -> list[Step]:
    """The statement; the request, with `before` in front of it, and the file's packets."""
    packets = [frame(content, (request_id + n) % 256) for n, content in enumerate([*contents, b""], start=1)]
    return [
        Step(_query(b"LOAD DATA LOCAL"), (3,)),
        Step(b"".join(packets), (), before + frame(b"\xfb" + name, request_id)),
    ]


CONVERSATIONS = st.lists(st.one_of(_plain_command(), _plain_command(), _load_data()), max_size=6)


@given(CONVERSATIONS, st.lists(st.integers(0, 4000), max_size=6))
@settings(max_examples=10_000 if os.environ.get("LONG_TESTS") else 500)
def test_command_starts_are_found_as_a_full_parser_finds_them(conversation: list[list[Step]], cuts: list[int]) -> None:
    _hold_conversation(conversation, cuts)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257])
def test_file_data_is_no_command_whatever_id_the_request_has(count: int) -> None:
    next_command = [Step(_query(b"SELECT 1"), (3,))]
    for request_id in range(1, 256):
        _hold_conversation([_loaded(request_id, b"", b"file", count * [b"\x01"]), next_command], [])


@pytest.mark.parametrize("command", [0x12, 0x15, 0x1E])
@pytest.mark.parametrize("end", [b"\xfe\0\0\2\0", b"\0\0\0\2\0\0\0", b"\xfe\0\0\2\0\0\0", b"\xff\x28\4#42000text"])
def test_a_value_that_reads_like_a_request_for_a_file_is_none(command: int, end: bytes) -> None:
    """Whoever may choose it could send replication commands behind it, or leave options set for the next client."""
    scanner = CommandScanner(Capability.LOCAL_FILES, lambda _: None, keep_quit=True)
    scanner.feed(memoryview(_query(b"SELECT x'...fffb'")))
    last = frame(end, 5)
    value = (len(last) + 1).to_bytes(3, "little") + b"\xff\xfb"
    scanner.answered(memoryview(frame(bytes((len(value),)) + value, 4) + last))
    out = bytes(scanner.feed(memoryview(frame(bytes((command,)) + b"\0" * 10, 0))))
    assert out == frame(b"\0" * 11, 0)
    assert (scanner.refused, scanner.pinned_by) == (command, command)


@pytest.mark.parametrize("first", [0x11, 0x12, 0x15, 0x1E])
@pytest.mark.parametrize("cuts", [[], [4], [5]])
def test_what_may_be_a_file_or_a_command_that_rds_must_not_see_ends_the_session(first: int, cuts: list[int]) -> None:
    """A row `NULL, 'file'` that is the 255th packet, and a command sent before the next row came, look the same."""
    scanner = CommandScanner(Capability.LOCAL_FILES, lambda _: None, keep_quit=True)
    scanner.feed(memoryview(_query(b"SELECT NULL, 'file' UNION SELECT SLEEP(9), 1")))
    scanner.answered(memoryview(frame(b"\xfbfile", 255)))
    with pytest.raises(UnexpectedPacket, match="a file's data"):
        _feed(scanner, frame(bytes((first, 0, 0)), 0), cuts)


def test_what_may_be_a_file_or_an_option_pins_the_session() -> None:
    scanner = CommandScanner(Capability.LOCAL_FILES, lambda _: None, keep_quit=True)
    scanner.answered(memoryview(frame(b"\xfbfile", 255)))
    option = frame(b"\x1b\0\0", 0)
    assert _feed(scanner, option, []) == option
    assert scanner.pinned_by == 0x1B


def test_who_may_replicate_may_send_a_file_that_reads_like_it() -> None:
    scanner = CommandScanner(Capability.LOCAL_FILES, lambda _: None, allow_replication=True)
    scanner.answered(memoryview(frame(b"\xfbfile", 255)))
    assert _feed(scanner, frame(b"\x12\0\0", 0), []) == frame(b"\x12\0\0", 0)


def test_a_request_for_a_file_is_seen_behind_a_value_that_reads_like_one() -> None:
    last = frame(b"\xfbfile", 255)
    value = (len(last) + 1).to_bytes(3, "little") + b"\xff\xfb"
    _hold_conversation([_loaded(255, value, b"file", [b"\x01"]), [Step(_query(b"SELECT 1"), (3,))]], [])
    assert len(last) < TAIL_LENGTH


def _hold_conversation(conversation: list[list[Step]], cuts: list[int]) -> None:
    scanner = CommandScanner(Capability.LOCAL_FILES, lambda _: None)
    seen = 0
    for step in (step for steps in conversation for step in steps):
        scanner.answered(memoryview(step.answer or frame(b"\0\0\0\2\0\0\0", 1)))
        assert _feed(scanner, step.data, cuts) == step.data
        seen += len(step.commands)
        assert scanner.commands == seen
        if step.commands:
            assert scanner.last_command == step.commands[-1]
        assert scanner.at_boundary


@given(_huge_command(), st.lists(st.integers(0, 0x1000100), max_size=3))
@settings(max_examples=10)
def test_a_command_of_16_mib_is_one_command(steps: list[Step], cuts: list[int]) -> None:
    scanner = _scanner(Capability.LOCAL_FILES)
    for step in steps:
        assert _feed(scanner, step.data, cuts) == step.data
    assert scanner.commands == 1
    assert scanner.at_boundary
