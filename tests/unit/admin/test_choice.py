"""Which of many sessions are shown."""

import pytest

from rds_iam_proxy.admin.choice import MAX_FIND, NEWEST, ORDERS, Choice
from rds_iam_proxy.session.view import Activity, SessionView


def session(number: int, **what: object) -> SessionView:
    values: dict[str, object] = {
        "id": number,
        "target": "shop",
        "peer": "127.0.0.1",
        "port": 50_000 + number,
        "account": "App",
        "db_user": "user_app",
        "program": "php-fpm",
        "activity": Activity.RUNNING,
        "quiet_seconds": 0.0,
        "age_seconds": float(number),
        "bytes_from_client": number,
        "bytes_from_rds": 10 - number,
        "tls": False,
        "rds_connection_id": 9_000 + number,
    }
    return SessionView(**{**values, **what})  # type: ignore[arg-type]


VIEWS = [
    session(3, account="zoe", quiet_seconds=5.0, activity=Activity.IDLE),
    session(1),
    session(2, account=None, db_user=None, rds_connection_id=None, activity=Activity.WAITING),
    session(4, peer="uid:33", port=None, program="mysqldump", target="reports"),
]


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ("newest", [1, 3, 4, 2]),
        ("oldest", [4, 3, 1, 2]),
        ("account", [1, 4, 3, 2]),
        ("idle", [3, 1, 4, 2]),
        ("sent", [4, 3, 1, 2]),
        ("received", [1, 3, 4, 2]),
    ],
)
def test_who_waits_comes_last_in_every_order(order: str, numbers: list[int]) -> None:
    assert order in ORDERS
    assert [view.id for view in Choice(order=order).of(VIEWS)] == numbers


@pytest.mark.parametrize(
    ("find", "numbers"),
    [
        ("", [1, 3, 4, 2]),
        ("ZOE", [3]),
        ("mysqldump", [4]),
        ("reports", [4]),
        ("127.0.0.1:50001", [1]),
        ("id 3", [3]),
        ("rds 9004", [4]),
        ("9004", [4]),
        ("waiting", [2]),
        ("nobody", []),
    ],
)
def test_found_by_what_a_person_may_know_of_it(find: str, numbers: list[int]) -> None:
    assert [view.id for view in Choice.asked({"find": find}).of(VIEWS)] == numbers


def test_what_is_asked_from_outside_has_a_bound() -> None:
    assert Choice.asked({"find": "x" * 10_000, "order": "__class__"}) == Choice("x" * MAX_FIND, NEWEST)
