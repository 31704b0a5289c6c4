"""The status on a terminal."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from rds_iam_proxy.commands.status_view import MAX_SESSIONS, bars, duration, size, view

STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "state": "ready",
    "now": 1000.0,
    "started": 900.0,
    "sessions_total": 1,
    "targets": [
        {
            "name": "shop",
            "health": "ready",
            "why": "",
            "sessions": 1,
            "max_sessions": 500,
            "rate": 100.0,
            "waiting": 0,
            "accepted": 3,
            "refused": 1,
            "history": {"accepted": [1, 2], "refused": [0, 1], "waiting": [0, 0], "sessions": [0, 1]},
        }
    ],
    "sessions": [
        {
            "id": 7,
            "target": "shop",
            "peer": "127.0.0.1",
            "port": 51234,
            "rds_connection_id": 9981,
            "account": "app",
            "db_user": "app_user",
            "program": "[red]cron\x1b[2J",
            "activity": "idle",
            "quiet": 61.0,
            "age": 3700.0,
            "bytes_from_client": 999,
            "bytes_from_rds": 12_345_678,
        }
    ],
    "errors": [
        {
            "target": "shop",
            "user": "root",
            "peer": "127.0.0.1",
            "reason": "unknown user",
            "code": 1045,
            "text": "Access denied",
            "detail": "",
            "cause": "",
            "remedy": "",
            "last": 940.0,
            "count": 3,
        }
    ],
}


def printed(status: dict[str, Any], width: int = 160) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(view(status))
    return out.getvalue()


def test_all_of_it_is_there() -> None:
    text = printed(STATUS)
    for words in ("rds-iam-proxy 1.2.3  ● ready  up 1 min", "app as app_user", "idle 1 min", "1 h 1 min", "12 MB"):
        assert words in text
    for words in ("127.0.0.1:51234", "9981"):
        assert words in text
    assert ", 1 min ago, 3 times  1045 unknown user  root from 127.0.0.1 to shop" in text


def test_text_of_clients_is_no_markup_and_moves_no_cursor() -> None:
    text = printed(STATUS)
    assert "[red]cron\\x1b[2J" in text
    assert "\x1b" not in text


def test_nothing_there_is_said() -> None:
    text = printed({**STATUS, "sessions": [], "sessions_total": 0, "errors": []})
    assert "Nobody is connected." in text
    assert "No login was refused since the start." in text


def test_a_refused_reload_and_one_that_worked() -> None:
    faults = [f"fault {number} [red]" for number in range(7)]
    text = printed({**STATUS, "reload": {"at": 940.0, "faults": faults}})
    assert "The last reload, 1 min ago, was refused; all stayed as it was:" in text
    assert "fault 4 [red]" in text
    assert "fault 5" not in text
    assert "and 2 more, in the log" in text
    assert "reload" not in printed({**STATUS, "reload": {"at": 940.0, "faults": []}})
    assert "reload" not in printed({**STATUS, "reload": None})


def test_errors_stand_before_sessions_of_which_some_are_shown() -> None:
    sessions = [{**STATUS["sessions"][0], "id": number} for number in range(200)]
    text = printed({**STATUS, "sessions": sessions, "sessions_found": 480, "sessions_total": 500})
    assert text.index("Recent errors") < text.index("Sessions (480 of 500)")
    assert text.count("app as app_user") == MAX_SESSIONS
    assert f"and {480 - MAX_SESSIONS} more" in text


def test_chart_on_a_narrow_terminal_keeps_its_newest_end() -> None:
    history = {"accepted": [1] * 290 + [4] * 10, "refused": [0] * 300}
    text = printed({**STATUS, "targets": [{**STATUS["targets"][0], "history": history}]}, width=80)
    (line,) = (line for line in text.splitlines() if "shop" in line and "█" in line)
    assert re.search(r"▂▂█ ", line)
    assert max(map(len, text.splitlines())) <= 80


def test_why_a_target_is_down() -> None:
    target = {**STATUS["targets"][0], "health": "down", "why": "cannot connect"}
    text = printed({**STATUS, "targets": [target]})
    assert "■ down" in text
    assert "shop: cannot connect" in text
    assert "1 of 1 targets down" in text


@pytest.mark.parametrize(
    ("values", "chart"), [([], ""), ([0] * 10, "·"), ([0] * 10 + [1] * 10, "·█"), ([1] * 10 + [4] * 10, "▂█")]
)
def test_a_chart_of_one_line(values: list[int], chart: str) -> None:
    assert bars(values).strip() == chart


def test_words_for_numbers() -> None:
    assert [duration(s) for s in (0, 59.9, 60, 3600, 90_000)] == ["0 s", "59 s", "1 min", "1 h 0 min", "1 d 1 h"]
    assert [size(n) for n in (0, 999, 1000, 12_000, 5e15)] == ["0 B", "999 B", "1.0 kB", "12 kB", "5000.0 TB"]


@pytest.mark.parametrize(
    ("budget", "shown"),
    [
        ({"store": None}, "budget orders: this proxy has 25 of 100 logins/s, one of 4 in the fleet"),
        (
            {"source": "store", "store_up": True},
            "budget orders: the fleet has 25 of 100 logins/s, 3 of 4 proxies are heard by rediss://cache:6379",
        ),
        ({"source": "store", "store_up": False, "store_fault": "no answer"}, "which does not answer: no answer"),
        ({"source": "store", "store_up": False, "store_fault": ""}, "rediss://cache:6379, which has not answered yet"),
        (
            {"source": "store", "store_up": True, "members": 5},
            "5 of 4 proxies are heard by rediss://cache:6379: raise [fleet] size, or they exceed the rate",
        ),
        (
            {"source": "share", "store_up": False, "store_fault": "no answer"},
            "this proxy keeps to its share, 25 of 100 logins/s, because rediss://cache:6379 is silent: no answer",
        ),
    ],
)
def test_a_budget_of_a_fleet_is_told_in_a_sentence(budget: dict[str, Any], shown: str) -> None:
    known = {
        "name": "orders",
        "size": 4,
        "rate": 25.0,
        "rate_limit": 100.0,
        "store": "rediss://cache:6379",
        "members": 3,
    }
    out = io.StringIO()
    Console(file=out, width=200).print(view({**STATUS, "budgets": [known | budget]}))
    assert shown in out.getvalue()
