"""What `make fleet-run` says of its figures: each target can be missed, and what was not run is no success."""

from collections import Counter
from dataclasses import replace

import pytest

from fleet import results
from fleet.results import LEAST_USED, Found
from fleet.scenarios import Figures, Latency, Throttling

SECONDS = 20.0


def evenly(rate: float, *, until: float = SECONDS) -> list[float]:
    return [number / rate for number in range(int(rate * until))]


def figures(kind: str, accepted: list[float], **more: object) -> Figures:
    made = Figures(kind, f"{kind} for a while", 100, SECONDS, accepted, [], gone=(5, 10))
    return replace(made, per_proxy=[1, 2, 3, 4], **more)  # type: ignore[arg-type]


def all_well() -> Found:
    tried = Figures("throttling", "at 60/s", 100, SECONDS, evenly(55), [15.0], per_proxy=[1, 2, 3, 4])
    return {
        "scenarios": [results.row(figures(kind, evenly(100))) for kind in LEAST_USED],
        "throttling": results.throttling_row(Throttling(60, tried, [55.0, 56.0, 55.0, 55.0])),
        "half load": results.latency_row(Latency([0.002] * 100, [0.0015] * 100)),
    }


def missed(found: Found) -> list[str]:
    return [str(verdict) for verdict in results.verdicts({"redis-7.0": found}) if not verdict.met]


def with_outage(kind: str, accepted: list[float], **more: object) -> Found:
    found = all_well()
    made = results.row(figures(kind, accepted, **more))
    found["scenarios"] = [made if row["kind"] == kind else row for row in found["scenarios"]]
    return found


def test_all_is_well() -> None:
    assert missed(all_well()) == []
    assert len(results.verdicts({"redis-7.0": all_well()})) == 4 * len(LEAST_USED) + 3 + 4 + 2


@pytest.mark.parametrize("kind", LEAST_USED)
def test_a_burst_is_seen_in_any_window(kind: str) -> None:
    for extra, is_missed in ((5, False), (12, True)):
        accepted = sorted([*evenly(100), *(3.0 + 0.001 * number for number in range(extra))])
        found = missed(with_outage(kind, accepted))
        assert any("rate·t" in text for text in found) is is_missed, found


def test_the_fullest_window_is_found_between_the_round_lengths() -> None:
    burst = [1.0 + number / 200 for number in range(66)]
    assert figures("saturated", burst).most_above == pytest.approx(66 - 100 * 65 / 200)


@pytest.mark.parametrize("kind", LEAST_USED)
def test_what_an_outage_may_cost_has_an_end(kind: str) -> None:
    gap = [at for at in evenly(100) if not 4 <= at < 9]
    assert any("of the rate used (" in text for text in missed(with_outage(kind, gap)))


def test_shares_that_are_not_used_while_something_is_gone() -> None:
    gap = [at for at in evenly(100) if not 6.5 <= at < 9]
    for kind in results.LEAST_MEANWHILE:
        assert any("meanwhile" in text for text in missed(with_outage(kind, gap)))


def test_a_rate_that_does_not_come_back() -> None:
    found = missed(with_outage("store emptied", evenly(100, until=18)))
    assert [text for text in found if "afterwards" in text]


def test_clients_that_saw_errors() -> None:
    found = missed(with_outage("failover", evenly(100), codes=Counter({1040: 2})))
    assert found == ["NOT MET  redis-7.0, failover for a while: errors that clients saw: 2 of 1040"]


def throttling(accepted: list[float], refused: list[float], rates: list[float], **more: object) -> Found:
    made = replace(figures("throttling", accepted, **more), refused_by_server=refused)
    return all_well() | {"throttling": results.throttling_row(Throttling(60, made, rates))}


LOW = [55.0] * 4


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (throttling(evenly(59), [at + 0.1 for at in evenly(5)], LOW), "tried a second"),
        (throttling(evenly(30), [], LOW), "accepted a second"),
        (throttling(evenly(55), [], [55.0, 55.0, 55.0]), "told last: 55, 55, 55 "),
        (throttling(evenly(55), [], [55.0, 55.0, 55.0, 100.0]), "told last"),
        (throttling(evenly(55), [], LOW, codes=Counter({1045: 1, 1040: 1})), "1 of 1045"),
    ],
)
def test_a_fleet_that_does_not_settle(found: Found, text: str) -> None:
    (only,) = missed(found)
    assert text in only


def test_permits_that_take_too_long() -> None:
    slow = [0.0015] * 40 + [0.004] * 50 + [0.008] * 10
    found = missed(all_well() | {"half load": results.latency_row(Latency(slow, [0.0015] * 100))})
    assert [text.split(": ")[1].split(" ms")[0] for text in found] == ["a permit p50 4.0", "a permit p99 8.0"]


def test_what_was_not_run_is_not_met() -> None:
    found = all_well()
    del found["throttling"], found["half load"], found["scenarios"][3]
    assert [text.rpartition(": ")[2] for text in missed(found)] == ["was not run to its end"] * 3


def test_the_page_has_every_figure() -> None:
    found = {"processors": 2, "load": 0.1, "day": "2026-11-26", "stores": {"redis-7.0": all_well()}}
    page = results.page_part(found)
    assert page.count("| redis-7.0 |") == len(LEAST_USED) + 2
    assert "| at 60/s | redis-7.0 | 55.1 | 55 | 1 | 55, 56, 55, 55 | none |" in page
