"""Rest and open transactions of a session, and a bound on one turn's work."""

from pg_wire.messages import framed
from rds_iam_proxy.postgres.command_watch import TURN_BYTES, CommandWatch

QUERY, SYNC, QUIT = framed(ord("Q"), b"SELECT 1\0"), framed(ord("S"), b""), framed(ord("X"), b"")


def ready(status: bytes) -> memoryview:
    return memoryview(framed(ord("Z"), status))


def test_rest_and_transaction_follow_the_answers() -> None:
    watch = CommandWatch()
    assert watch.at_boundary
    assert bytes(watch.feed(memoryview(QUERY))) == QUERY
    assert not watch.at_boundary
    watch.answered(ready(b"T"))
    assert watch.at_boundary
    assert watch.in_transaction
    watch.feed(memoryview(QUERY))
    watch.answered(ready(b"E"))
    assert watch.in_transaction
    watch.feed(memoryview(QUERY))
    watch.answered(ready(b"I"))
    assert (watch.at_boundary, watch.in_transaction, watch.commands) == (True, False, 3)
    watch.feed(memoryview(QUIT))
    assert watch.has_quit


def test_one_turn_has_a_bound_and_nothing_is_lost() -> None:
    watch = CommandWatch()
    buffer = bytearray(SYNC * 50_000)
    sent = bytes(watch.feed(memoryview(buffer)))
    whole = bytes(buffer)
    buffer[:] = bytes(len(buffer))  # somebody else reads into it
    assert len(sent) == TURN_BYTES
    assert watch.has_more
    assert not watch.at_boundary
    while watch.has_more:
        part = bytes(watch.more())
        assert len(part) <= TURN_BYTES
        sent += part
    assert sent == whole
    assert watch.commands == 50_000


def test_what_waits_is_handed_on_at_the_end() -> None:
    watch = CommandWatch()
    data = SYNC * 50_000
    sent = bytes(watch.feed(memoryview(data)))
    assert sent + watch.flush() == data
    assert not watch.has_more
