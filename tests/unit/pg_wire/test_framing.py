"""Messages taken off whole, and when a session rests, however the bytes are cut."""

import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pg_wire.constants import TransactionStatus
from pg_wire.errors import LocalProtocolError, MalformedMessage, MessageTooLarge
from pg_wire.framing import MAX_FIRST_PACKET_BYTES, MAX_LOGIN_MESSAGE_BYTES, Form, Frame, Frames, SessionWatch

IDLE, OPEN, FAILED = TransactionStatus.IDLE, TransactionStatus.IN_TRANSACTION, TransactionStatus.FAILED_TRANSACTION


def msg(kind: str, payload: bytes = b"") -> bytes:
    return kind.encode() + (len(payload) + 4).to_bytes(4, "big") + payload


def ready(status: str) -> bytes:
    return msg("Z", status.encode())


ROW = msg("D", b"x" * 50)
QUERY = msg("Q", b"select 1\0")
SYNC = msg("S")
FLUSH = msg("H")
EXTENDED = msg("P", b"\0select 1\0\0\0") + msg("B", b"\0" * 8) + msg("E", b"\0" * 5)
NOTIFICATION = msg("A", b"\0\0\0\1channel\0payload\0")

Steps = list[tuple[str, bytes]]
"""Who sends what: `c` the client, `s` the server."""

CASES: dict[str, tuple[Steps, TransactionStatus | None]] = {
    "nothing yet": ([], IDLE),
    "query": ([("c", QUERY), ("s", ROW + ready("I"))], IDLE),
    "transaction": ([("c", QUERY), ("s", ready("T"))], OPEN),
    "failed transaction": ([("c", QUERY), ("s", ready("E"))], FAILED),
    "running": ([("c", QUERY), ("s", ROW)], None),
    "half a query": ([("c", QUERY[:7])], None),
    "header cut": ([("c", QUERY[:3])], None),
    "one and a half queries": ([("c", QUERY + QUERY[:7]), ("s", ready("I"))], None),
    "one and a half queries, completed": (
        [("c", QUERY + QUERY[:7]), ("s", ready("I")), ("c", QUERY[7:]), ("s", ready("T"))],
        OPEN,
    ),
    "half a ready": ([("c", QUERY), ("s", ROW + ready("I")[:-1])], None),
    "two syncs, one answered": ([("c", EXTENDED + SYNC + EXTENDED + SYNC), ("s", ROW + ready("I"))], None),
    "two syncs, both answered": ([("c", SYNC + SYNC), ("s", ROW + ready("I")), ("s", ROW + ready("E"))], FAILED),
    "two syncs, both in one": ([("c", SYNC + SYNC), ("s", ready("I") + ROW + ready("I"))], IDLE),
    "two queries, the second while the first runs": (
        [("c", QUERY), ("s", ROW), ("c", QUERY), ("s", ROW + ready("I"))],
        None,
    ),
    "function call": ([("c", msg("F", b"\0" * 12)), ("s", msg("V", b"\0\0\0\0") + ready("I"))], IDLE),
    "notification at rest": ([("c", QUERY), ("s", ready("I")), ("s", NOTIFICATION)], IDLE),
    "notification in the same chunk": ([("c", QUERY), ("s", ready("I") + NOTIFICATION + msg("N", b"\0"))], IDLE),
    "notification cut in the same chunk": ([("c", QUERY), ("s", ready("I") + NOTIFICATION[:8])], IDLE),
    "more of the answer in the same chunk": ([("c", QUERY), ("s", ready("I") + ROW)], None),
    "next command": ([("c", QUERY), ("s", ready("I")), ("c", QUERY)], None),
    "five then one": ([("c", SYNC * 5), ("s", ready("I") * 5), ("c", QUERY), ("s", ready("T"))], OPEN),
    "extended without its sync": ([("c", EXTENDED + msg("H")), ("s", ROW)], None),
    "query, then extended without its sync": ([("c", QUERY + EXTENDED + msg("H")), ("s", ready("I"))], None),
    "query, then extended, then its sync": (
        [("c", QUERY + EXTENDED + msg("H")), ("s", ready("I") + ROW), ("c", SYNC), ("s", ROW + ready("I"))],
        IDLE,
    ),
    "copy in": (
        [("c", QUERY), ("s", msg("G", b"\0\0\0")), ("c", msg("d", b"1\n") * 3 + msg("c")), ("s", ready("I"))],
        IDLE,
    ),
    "copy in under way": ([("c", QUERY), ("s", msg("G", b"\0\0\0")), ("c", msg("d", b"1\n"))], None),
    "copy in by the extended protocol": (
        [
            ("c", EXTENDED + SYNC),  # the COPY swallows this Sync
            ("s", msg("1") + msg("2") + msg("G", b"\0\0\0")),
            ("c", msg("d", b"1\n") * 3 + msg("c") + SYNC),
            ("s", msg("C", b"COPY 3\0") + ready("I")),
        ],
        IDLE,
    ),
    "copy in by the extended protocol, awaiting the end": (
        [
            ("c", QUERY + EXTENDED + SYNC),
            ("s", ready("I") + msg("1") + msg("2") + msg("G", b"\0\0\0")),
            ("c", msg("d", b"1\n") + msg("f", b"no\0") + SYNC),
        ],
        None,
    ),
    "copy in by the extended protocol, its first sync swallowed": (
        [("c", EXTENDED + SYNC), ("s", msg("1") + msg("2") + msg("G", b"\0\0\0")), ("c", msg("d", b"1\n"))],
        None,
    ),
    "copy in by the extended protocol, without a sync before it": (
        [
            ("c", SYNC),
            ("s", ready("I")),
            ("c", EXTENDED + FLUSH),
            ("s", msg("1") + msg("2") + msg("G", b"\0\0\0")),
            ("c", msg("d", b"1\n") + msg("c") + SYNC),
            ("s", msg("C", b"COPY 1\0") + ready("T")),
        ],
        OPEN,
    ),
    "copy data behind a copy that failed": (
        [
            ("c", QUERY),
            ("s", msg("G", b"\0\0\0")),
            ("c", msg("d", b"1\n")),
            ("s", msg("E", b"\0") + ready("E")),
            ("c", msg("d", b"2\n") + msg("c")),
        ],
        FAILED,
    ),
    "flush behind its sync": ([("c", EXTENDED + SYNC), ("c", FLUSH), ("s", ROW + ready("T"))], OPEN),
    "flush at rest": ([("c", EXTENDED + SYNC), ("s", ROW + ready("T")), ("c", FLUSH)], OPEN),
    "half a flush when the answer comes": (
        [("c", QUERY + FLUSH[:3]), ("s", ready("T")), ("c", FLUSH[3:])],
        OPEN,
    ),
    "terminate": ([("c", msg("X"))], IDLE),
    "length too small to be one": ([("c", b"Q\0\0\0\0" + QUERY), ("s", ready("I"))], None),
}


def _whole(length: int) -> int:
    return length


def _watch(steps: Steps, cut: Callable[[int], int]) -> SessionWatch:
    watch = SessionWatch()
    for side, data in steps:
        left = memoryview(data)
        while left:
            piece = left[: cut(len(left))]
            left = left[len(piece) :]
            (watch.feed if side == "c" else watch.answered)(piece)
    return watch


def _cuts() -> Iterator[Callable[[int], int]]:
    yield _whole
    yield lambda length: 1
    for seed in range(100):
        yield partial(random.Random(seed).randint, 1)


@pytest.mark.parametrize("name", CASES)
def test_rest_is_known_however_the_bytes_are_cut(name: str) -> None:
    steps, expected = CASES[name]
    for cut in _cuts():
        watch = _watch(steps, cut)
        if name == "more of the answer in the same chunk" and watch.status is not None:
            continue  # the server flushes behind a ReadyForQuery: cut right there it is an end
        assert watch.status is expected


@given(st.lists(st.sampled_from(["query", "two syncs, both answered", "copy in by the extended protocol",
                                 "notification in the same chunk", "one and a half queries, completed"]), max_size=6),
       st.randoms(use_true_random=False))  # fmt: skip
def test_sessions_of_several_commands_rest_at_their_end(names: list[str], source: random.Random) -> None:
    steps = [step for name in names for step in CASES[name][0]]
    expected = CASES[names[-1]][1] if names else IDLE
    assert _watch(steps, lambda length: source.randint(1, length)).status is expected


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=8))
def test_no_bytes_break_it(chunks: list[tuple[bool, bytes]]) -> None:
    watch = SessionWatch()
    for from_client, data in chunks:
        (watch.feed if from_client else watch.answered)(memoryview(data))
    assert watch.status is None or isinstance(watch.status, TransactionStatus)


def test_commands_are_counted_and_quit_is_seen() -> None:
    for cut in _cuts():
        watch = _watch([("c", QUERY + EXTENDED + SYNC + msg("X"))], cut)
        assert watch.commands == 2
        assert watch.has_quit
    assert not _watch([("c", msg("X")), ("c", QUERY)], _whole).has_quit
    assert not _watch([("c", msg("X") + msg("d", b"late"))], _whole).has_quit


def test_end_of_a_long_answer_is_found_without_reading_it_all() -> None:
    watch = _watch([("c", QUERY), ("s", ROW * 5000 + ready("T") + NOTIFICATION)], _whole)
    assert watch.status is OPEN


def test_row_with_the_bytes_of_a_ready_is_no_end_of_a_single_answer() -> None:
    row = msg("D", ready("I") + b"more")
    assert _watch([("c", QUERY), ("s", row + ROW)], _whole).status is None


@pytest.mark.parametrize("form", list(Form))
def test_frames_come_whole_and_exact_reads_leave_the_rest_unread(form: Form) -> None:
    payload = b"N" if form is Form.SINGLE_BYTE else b"\0\4\0\0rest"
    head = {Form.FIRST_PACKET: len(payload).__add__(4).to_bytes(4, "big"), Form.MESSAGE: msg("R", payload)[:5]}
    data = head.get(form, b"") + payload
    frames, position, found = Frames(form), 0, None
    while found is None:
        chunk = data[position : position + frames.needs]
        position += len(chunk)
        found = frames.receive(chunk)
    assert found == Frame(ord("R") if form is Form.MESSAGE else 0, payload)
    assert position == len(data)
    assert frames.needs in (1, 4, 5)


def test_message_without_a_payload_is_whole_with_its_header() -> None:
    assert Frames(Form.MESSAGE).receive(msg("X")) == Frame(ord("X"), b"")


@pytest.mark.parametrize(
    ("form", "header", "error"),
    [
        (Form.FIRST_PACKET, (7).to_bytes(4, "big"), MalformedMessage),
        (Form.FIRST_PACKET, (0).to_bytes(4, "big"), MalformedMessage),
        (Form.FIRST_PACKET, (MAX_FIRST_PACKET_BYTES + 5).to_bytes(4, "big"), MessageTooLarge),
        (Form.FIRST_PACKET, b"GET ", MessageTooLarge),
        (Form.MESSAGE, b"p\0\0\0\3", MalformedMessage),
        (Form.MESSAGE, b"p" + (MAX_LOGIN_MESSAGE_BYTES + 5).to_bytes(4, "big"), MessageTooLarge),
        (Form.MESSAGE, b"p\xff\xff\xff\xff", MessageTooLarge),
    ],
)
def test_length_is_judged_from_the_header(form: Form, header: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match="bytes"):
        Frames(form).receive(header)


def test_longest_of_each_is_taken() -> None:
    first, message = Frames(Form.FIRST_PACKET), Frames(Form.MESSAGE)
    assert first.receive((MAX_FIRST_PACKET_BYTES + 4).to_bytes(4, "big")) is None
    assert first.needs == MAX_FIRST_PACKET_BYTES
    assert message.receive(b"p" + (MAX_LOGIN_MESSAGE_BYTES + 4).to_bytes(4, "big")) is None
    assert message.needs == MAX_LOGIN_MESSAGE_BYTES


def test_other_than_the_bytes_needed_is_our_own_fault() -> None:
    for data in (b"", b"abc", b"abcdef"):
        with pytest.raises(LocalProtocolError):
            Frames(Form.MESSAGE).receive(data)
