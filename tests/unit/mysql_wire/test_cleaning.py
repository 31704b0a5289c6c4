"""The cleaning round: whatever comes in answer, a session counts as in step only if it is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.work import lines_run
from mysql_wire.cleaning import (
    MAX_ANSWER_BYTES,
    NONCE_DIGITS,
    Answers,
    OutOfStep,
    batch,
    first_value,
    init_db,
    query,
)
from mysql_wire.constants import Capability
from mysql_wire.packet import HEADER_LENGTH, Header, frame

NONCE = b"0123456789abcdef" * 2
PLAIN, ONE_END = Capability(0), Capability.DEPRECATE_EOF
EOF = b"\xfe\0\0\x02\0"
END = b"\xfe\0\0\x02\0\0\0"
OK = frame(b"\0\0\0\x02\0\0\0", 1)


def _err(code: int = 1049, text: bytes = b"Unknown database '%s'") -> bytes:
    return frame(b"\xff" + code.to_bytes(2, "little") + b"#42000" + text % NONCE, 1)


def _result(*rows: bytes, capabilities: Capability = PLAIN) -> bytes:
    one_end = Capability.DEPRECATE_EOF in capabilities
    values = [bytes((len(row),)) + row for row in rows]
    payloads = [b"\x01", b"\x03def" + bytes(12), *([] if one_end else [EOF]), *values, END if one_end else EOF]
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, start=1))


def _results(capabilities: Capability) -> bytes:
    return _result(b"utf8mb4|x", capabilities=capabilities) + _result(*[b"GRANT"] * 3, capabilities=capabilities)


def _answers(capabilities: Capability = PLAIN, *, oks: int = 2) -> Answers:
    return Answers(capabilities, nonce=NONCE, oks=oks, result_count=2)


def _fed(answers: Answers, data: bytes, cuts: list[int]) -> Answers | None:
    """None: out of step."""
    start = 0
    try:
        for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
            answers.feed(data[start:end])
            start = end
    except OutOfStep:
        return None
    return answers


def test_commands_as_they_are_sent() -> None:
    assert batch([init_db(b"x"), b"\x1f", query(b"SELECT 1", PLAIN)]) == (
        b"\x02\0\0\0\x02x" + b"\x01\0\0\0\x1f" + b"\x09\0\0\0\x03SELECT 1"
    )
    assert query(b"SELECT 1", Capability.QUERY_ATTRIBUTES) == b"\x03\0\x01SELECT 1"
    assert len(NONCE) == NONCE_DIGITS


UNREAD = st.binary(max_size=60) | st.sampled_from(
    [b"", _result(b"abc"), _result(b"x")[:-3], frame(b"\xff\x19\x04#", 1)]
)
ERRS = [_err(), _err(1044, b"Access denied for user 'u'@'%%' to database '%s'"), _err(text=b"'%s' ist unbekannt")]


@pytest.mark.parametrize("capabilities", [PLAIN, ONE_END], ids=["PLAIN", "ONE_END"])
@given(
    unread=UNREAD, err=st.sampled_from(ERRS), cuts=st.lists(st.integers(0, 400), max_size=6) | st.just(list(range(400)))
)
def test_a_session_in_step(capabilities: Capability, unread: bytes, err: bytes, cuts: list[int]) -> None:
    results = _results(capabilities)
    answers = _fed(_answers(capabilities), unread + err + OK + OK + results, cuts)
    assert answers is not None
    assert answers.is_complete
    assert answers.results == results
    assert first_value(results, capabilities) == b"utf8mb4|x"


def test_values() -> None:
    for capabilities in (PLAIN, ONE_END):
        assert first_value(_result(capabilities=capabilities), capabilities) is None
        assert first_value(_result(b"", capabilities=capabilities), capabilities) == b""
    null = _result(b"")[: -len(EOF) - 5 - 4] + frame(b"\xfb", 4)
    assert first_value(null, PLAIN) is None
    long = b"x" * 300
    packets = [b"\x01", b"\x03def", b"\xfc" + len(long).to_bytes(2, "little") + long, END]
    assert first_value(b"".join(frame(packet, 1) for packet in packets), ONE_END) == long


@pytest.mark.parametrize(
    "data",
    [
        frame(b"\x20" + NONCE, 3),  # in a row
        frame(b"\xff\x19\x04#42000" + NONCE, 2),  # of another command
        frame(b"\xff\x48\x04#42000" + NONCE, 1),  # another error
        NONCE,
        _err() + frame(b"\0\0\0\x02\0\0\0", 2),
        _err() + frame(b"\xff\x19\x04#42000no", 1),
        _err() + frame(b"\xfe", 1),
        _err() + frame(b"", 1),
        _err() + Header(0xFFFFFF, 1).encode(),
        _err() + OK + OK + OK,
        _err() + OK + OK + frame(b"\x02", 1),
        _err() + OK + OK + frame(b"\xfbfile", 1),
        _err() + OK + OK + _results(PLAIN) + OK,
        _err() + OK + OK + _results(PLAIN) + b"\0",
        _err() + OK + OK + _results(PLAIN).replace(b"\x05\x05GRANT", b"\x06\x05GRANT"),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    assert _fed(_answers(), data, []) is None
    assert _fed(_answers(), data, list(range(len(data)))) is None


def test_what_is_missing_is_waited_for() -> None:
    whole = _err() + OK + OK + _results(PLAIN)
    for end in range(len(whole)):
        answers = _fed(_answers(), whole[:end], [])
        assert answers is not None
        assert not answers.is_complete


def test_commands_one_by_one() -> None:
    answers, seen = _answers(oks=1), []
    for data in (_err(), OK, _result(b"a"), _result(b"b")):
        answers.feed(data)
        seen.append((answers.answered, answers.is_complete))
    assert seen == [(1, False), (2, False), (3, False), (4, True)]


def test_without_a_nonce_the_answers_begin_at_once() -> None:
    answers = _fed(Answers(PLAIN, oks=1, result_count=1), OK + _result(b"a"), [])
    assert answers is not None
    assert answers.results == _result(b"a")


@given(unread=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3200), max_size=6))
def test_what_comes_before_the_nonce_is_handed_out_whole(unread: bytes, cuts: list[int]) -> None:
    data, answers, out, start = unread + _err() + OK + OK + _results(PLAIN), _answers(), b"", 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        out += answers.feed(data[start:end])
        start = end
    assert out == unread
    assert answers.is_complete


def test_memory_is_bounded() -> None:
    answers, out = _answers(), 0
    for _ in range(100):
        out += len(answers.feed(bytes(100_000)))
    assert out >= 10_000_000 - 1024
    answers = _answers()
    answers.feed(_err() + OK + OK + Header(0xFFFFFE, 1).encode())
    with pytest.raises(OutOfStep, match="limit"):
        answers.feed(bytes(MAX_ANSWER_BYTES))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    pieces = [_err(), OK, OK, _result(b"utf8mb4|x"), _result(b"GRANT"), b"", b"\0", EOF, NONCE]
    order = draw(st.permutations(pieces) | st.just([_err(), OK, OK, _results(PLAIN)]))
    data = bytearray(draw(UNREAD) + b"".join(order))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.sampled_from(["change", "drop", "insert", "cut"]))
        if how == "change":
            data[at] = draw(st.integers(0, 255))
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=6))
        else:
            del data[at : at + 1 if how == "drop" else None]
        if not data:
            break
    return bytes(data)


@given(_mutated() | st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=6))
@example(_err()[:-1] + _err() + OK + OK + _results(PLAIN), [])
def test_any_bytes_lead_to_out_of_step_or_to_a_session_in_step(data: bytes, cuts: list[int]) -> None:
    whole, parts = _fed(_answers(), data, []), _fed(_answers(), data, cuts)
    assert (whole is not None and whole.is_complete) == (parts is not None and parts.is_complete)
    if whole is None or parts is None or not whole.is_complete:
        return
    assert whole.results == parts.results
    assert data.endswith(whole.results)
    behind = data[data.index(NONCE) :]
    for skipped in range(len(NONCE), len(behind)):  # the answers, as a full parser finds them behind the ERR
        packets = _packets(behind[skipped:])
        if packets is not None and packets[2:] == _packets(whole.results):
            assert all(packet[3:5] == b"\x01\0" for packet in packets[:2])
            return
    raise AssertionError("complete, but the answers are not there")


def _packets(data: bytes) -> list[bytes] | None:
    packets = []
    while data:
        end = HEADER_LENGTH + int.from_bytes(data[:3], "little")
        if len(data) < end:
            return None
        packets.append(data[:end])
        data = data[end:]
    return packets


@given(st.binary(max_size=3000))
def test_the_work_is_bounded(data: bytes) -> None:
    answers = _answers()
    assert lines_run(lambda: _fed(answers, _err() + OK + OK + data, []), below="mysql_wire") <= 12_000 + 20 * len(data)
