"""A fleet of proxy processes in front of MySQL, briefly. `make fleet-run` takes the whole time."""

import os
from collections.abc import Iterator

import pytest

from fleet import scenarios
from fleet.scenarios import Figures, Stage
from servers.errors import Unavailable
from servers.real_server import RealServer

MARGIN = 10
"""Permits in any window beyond rate * t: a small burst, and slots that are used a little late."""


@pytest.fixture(scope="module")
def four(mysql_9_7: RealServer) -> Iterator[Stage]:
    try:
        with scenarios.stage(mysql_9_7, "redis-7.0", level="debug") as stage:
            yield stage
    except Unavailable as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc), pytrace=False)
        pytest.skip(str(exc))


def _never_above(figures: Figures) -> None:
    assert len(figures.granted) >= len(figures.accepted)
    assert figures.most_granted_above <= MARGIN
    assert figures.most_above <= 3 * MARGIN, "logins that were on their way together"
    assert set(figures.codes) <= {1040}


@pytest.mark.timeout(120)
def test_four_together_have_the_rate_and_each_has_the_same(four: Stage) -> None:
    figures = scenarios.saturated(four, 6)
    _never_above(figures)
    assert figures.used >= 0.9
    assert max(figures.per_proxy) <= 1.4 * min(figures.per_proxy)


def test_a_store_that_stops_leaves_each_its_share(four: Stage) -> None:
    figures = scenarios.stopped(four, 10, 5)
    _never_above(figures)
    assert figures.used_between(4.7, 7.2) >= 0.7, "their shares"
    assert figures.used_between(8.5, 10) >= 0.8, "the store again"
    four.wait_for_source(scenarios.SILENT)


def test_a_store_that_is_emptied_or_started_anew_hands_out_nothing_twice(four: Stage) -> None:
    _never_above(scenarios.restarted(four, 6))
