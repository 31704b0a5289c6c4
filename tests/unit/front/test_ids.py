"""Who may kill whom."""

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
    live.add(FIRST_ID, LiveSession("app", "orders", SERVER, 12))
    live.add(FIRST_ID + 1, LiveSession("other", "orders", SERVER, 13))
    live.add(FIRST_ID + 2, LiveSession("app", "billing", SERVER, 14))
    live.add(FIRST_ID + 3, LiveSession("app", "orders", ("10.0.0.2", 3306), 15))
    targets = [live.kill_target(asking, FIRST_ID + n) for n in range(5)]
    assert targets == [12, None, None, None, None]
    live.remove(FIRST_ID)
    assert live.kill_target(asking, FIRST_ID) is None
