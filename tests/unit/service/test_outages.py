"""What the log says of targets that go down and come back."""

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rds_iam_proxy.errors.tree import LoginError, Refused, Unreachable, Verdict
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.service.outages import Outages
from rds_iam_proxy.service.wiring import Route
from rds_iam_proxy.stats.target import TargetStats

DOWN = Unreachable("unreachable", where="shop", why="Connection refused")
ADDRESS = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)


class Bench:
    """One target, and a clock that is set."""

    def __init__(self) -> None:
        self.now = 1.8e9
        self.stats = TargetStats(wall=lambda: self.now)
        self._outages = Outages(wall=lambda: self.now)
        upstream = SimpleNamespace(stats=self.stats, breaker_open=False, target=SimpleNamespace(address=ADDRESS))
        dialect = SimpleNamespace(version=lambda: "8.4.3")
        self.routes = {"shop": cast(Route, SimpleNamespace(upstream=upstream, dialect=dialect))}

    def attempt(self, error: LoginError | None, *, after: float = 1.0) -> None:
        self.now += after
        self.stats.attempted("batch", error)
        self.look()

    def look(self) -> None:
        self._outages.look(self.routes)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    lines = [
        (record.getMessage(), {key: value for key, value in vars(record)["rds_iam_proxy_fields"].items() if value})
        for record in caplog.records
    ]
    caplog.clear()
    return json.loads(json.dumps(lines))  # type: ignore[no-any-return]


def test_down_and_up_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    bench.look()
    assert told(caplog) == [], "nothing is known yet"
    bench.attempt(None)
    bench.attempt(None)
    assert [[event, fields.get("down_seconds")] for event, fields in told(caplog)] == [["target up", None]]
    bench.attempt(DOWN)
    bench.attempt(DOWN, after=15)
    ((event, fields),) = told(caplog)
    assert (event, fields["reason"], fields["db_user"]) == ("target down", "unreachable", "batch")
    assert "Connection refused" in fields["text"]
    bench.stats.refused["unreachable"] += 3
    bench.attempt(None, after=15)
    ((event, fields),) = told(caplog)
    assert (event, fields["down_seconds"], fields["logins_refused"]) == ("target up", 30.0, 3)
    assert fields["version"] == "8.4.3"


def test_another_failure_is_told_and_the_outage_is_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    bench.attempt(DOWN)
    refused = Refused("passed-on", Verdict.PASSED_ON, 1045, "28000", answer="no")
    bench.attempt(refused, after=5)
    bench.attempt(None, after=5)
    events = told(caplog)
    assert [event for event, _ in events] == ["target down", "target down", "target up"]
    assert events[-1][1]["down_seconds"] == 10.0


def test_target_that_is_gone_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    bench.attempt(DOWN)
    routes, bench.routes = bench.routes, {}
    bench.look()
    bench.routes = routes
    bench.look()
    assert [event for event, _ in told(caplog)] == ["target down", "target down"]
