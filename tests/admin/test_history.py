"""The points of the charts."""

from rds_iam_proxy.admin.history import POINTS, History, Totals


def test_logins_are_counted_by_the_second() -> None:
    history = History()
    for accepted, refused in ((5, 1), (7, 1), (7, 4)):
        history.add({"shop": Totals(accepted, refused, waiting=3, sessions=2)})
    assert history.of("shop") == {
        "accepted": [0, 2, 0],
        "refused": [0, 0, 3],
        "waiting": [3, 3, 3],
        "sessions": [2, 2, 2],
    }


def test_only_the_last_minutes_are_kept() -> None:
    history = History()
    for second in range(POINTS + 10):
        history.add({"shop": Totals(second, 0, 0, 0)})
    assert len(history.of("shop")["accepted"]) == POINTS


def test_a_target_that_is_gone_is_forgotten() -> None:
    history = History()
    history.add({"shop": Totals(0, 0, 9, 0)})
    history.add({"other": Totals(0, 0, 0, 0)})
    assert history.of("shop")["waiting"] == []
