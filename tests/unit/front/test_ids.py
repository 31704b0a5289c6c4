"""Who may kill whom."""

from contextlib import ExitStack

from kit.work import lines_run
from rds_iam_proxy.front.ids import FIRST_ID, LAST_ID, LiveSession, LiveSessions

SERVER = ("10.0.0.1", 3306)


def test_ids_are_31_bits_unique_and_far_from_servers_own() -> None:
    live = LiveSessions()
    ids = [live.new_id() for _ in range(5)]
    assert ids == list(range(FIRST_ID, FIRST_ID + 5))
    assert LAST_ID < 2**31


def test_only_the_same_account_target_and_server_are_reached() -> None:
    live = LiveSessions()
    asking = LiveSession("app", "orders", SERVER, 11)
    others = (
        LiveSession("app", "orders", SERVER, 12),
        LiveSession("other", "orders", SERVER, 13),
        LiveSession("app", "billing", SERVER, 14),
        LiveSession("app", "orders", ("10.0.0.2", 3306), 15),
    )
    with ExitStack() as stack:
        for n, other in enumerate(others):
            stack.enter_context(live.known(FIRST_ID + n, other))
        targets = [live.kill_target(asking, FIRST_ID + n) for n in range(5)]
        assert targets == [12, None, None, None, None]
    assert live.kill_target(asking, FIRST_ID) is None


def test_a_session_hears_of_a_kill_by_either_of_its_ids() -> None:
    live, heard = LiveSessions(), []
    asking = LiveSession("app", "orders", SERVER, 11)
    named = LiveSession("app", "orders", SERVER, 12, on_kill=lambda: heard.append("named"))
    elsewhere = LiveSession("app", "orders", ("10.0.0.2", 3306), 12, on_kill=lambda: heard.append("elsewhere"))
    with live.known(FIRST_ID, named), live.known(FIRST_ID + 1, elsewhere):
        assert live.kill_target(asking, 12) is None, "RDS's own id passes as it came"
        assert heard == ["named"]
        assert live.kill_target(asking, FIRST_ID) == 12
    assert heard == ["named", "named"]


def test_a_session_may_be_named_by_an_id_and_a_key() -> None:
    live, session = LiveSessions(), LiveSession("app", "orders", SERVER, 4711, b"RDS's key")
    with live.known((4711, b"our key"), session):
        assert live.find((4711, b"our key")) is session
        assert live.find((4711, b"another")) is None
    assert live.find((4711, b"our key")) is None
    assert "RDS's key" not in repr(session)


def test_a_kill_costs_as_much_among_thousands_as_among_few() -> None:
    """A client may send a hundred thousand of them in a second."""
    live = LiveSessions()
    asking = LiveSession("app", "orders", SERVER, 11)
    with ExitStack() as stack:
        for n in range(3000):
            stack.enter_context(live.known(FIRST_ID + n, LiveSession("app", "orders", SERVER, 100 + n)))
        assert lines_run(lambda: live.kill_target(asking, 99), below="front") < 20


def test_a_place_at_rds_is_the_last_ones_who_had_it() -> None:
    live, heard = LiveSessions(), []
    first = LiveSession("app", "orders", SERVER, 12, on_kill=lambda: heard.append("first"))
    second = LiveSession("app", "orders", SERVER, 12, on_kill=lambda: heard.append("second"))
    with ExitStack() as stack:
        with live.known(FIRST_ID, first):
            stack.enter_context(live.known(FIRST_ID + 1, second))
        live.kill_target(first, 12)
    live.kill_target(first, 12)
    assert heard == ["second"]
