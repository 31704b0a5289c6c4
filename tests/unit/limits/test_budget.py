import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.grants import assert_within
from rds_iam_proxy.limits.budget import LOWERED_BURST, Permits


def spend(permits: Permits, start: float, seconds: float, every: float = 0.001) -> list[float]:
    """The times of all permits that can be had in this time, asked for without pause."""
    times = []
    for step in range(round(seconds / every)):
        now = start + step * every
        while permits.take(now):
            times.append(now)
    return times


def test_logins_that_are_refused_together_are_one_step_however_late_the_last_is_heard_of() -> None:
    permits = Permits(100, 20, 1000)
    together = spend(permits, 1000, 0.05)
    assert permits.throttled(together[0], 1000.2)
    rate = permits.rate(1000.2)
    assert not any(permits.throttled(at, 1003) for at in together)
    assert permits.rate(1000.2) == rate


def test_of_a_burst_any_may_be_the_one_that_is_refused() -> None:
    for refused in (0, 10, 19):
        permits = Permits(100, 20, 1000)
        permits.throttled(spend(permits, 1000, 0.001)[refused], 1000.1)
        assert permits.rate(1000.1) == pytest.approx(20 * 0.85)


def test_a_refusal_tells_of_the_second_before_its_permit_and_not_of_what_came_since() -> None:
    permits = Permits(100, 1, 1000)
    stream = spend(permits, 1000, 5)
    permits.throttled(stream[39], 1005)
    assert permits.rate(1005) == pytest.approx(40 * 0.85)


def test_after_a_refusal_the_server_gets_time_to_forget() -> None:
    """30 logins at once fill a server's second: the next may come only as that second goes by."""
    permits = Permits(100, 31, 1000)
    burst = spend(permits, 1000, 0.001)
    permits.throttled(burst[-1], 1000.02)
    after = spend(permits, 1000.02, 1.5)
    assert after[0] == pytest.approx(1001, abs=0.002)


def test_a_refusal_in_a_steady_stream_costs_only_a_moment() -> None:
    permits = Permits(31, 1, 1000)
    stream = spend(permits, 1000, 3)
    permits.throttled(stream[-1], stream[-1] + 0.01)
    after = spend(permits, stream[-1] + 0.01, 1)
    assert after[0] - stream[-1] < 0.15
    assert len(after) >= 24


def test_a_lowered_rate_has_hardly_a_burst_and_the_configured_one_has_it_back() -> None:
    permits = Permits(20, 20, 1000)
    permits.throttled(spend(permits, 1000, 0.001)[-1], 1000)
    assert len(spend(permits, 1010, 0.001)) == LOWERED_BURST
    assert permits.rate(1060) == 20
    assert len(spend(permits, 1060, 0.001)) <= LOWERED_BURST
    assert len(spend(permits, 1062, 0.001)) == 20


@given(
    rate=st.floats(0.5, 300),
    burst=st.integers(1, 30),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 30), st.booleans()), max_size=60),
)
def test_no_window_ever_holds_more_than_rate_and_burst_whatever_is_refused(
    rate: float, burst: int, steps: list[tuple[float, int, bool]]
) -> None:
    permits = Permits(rate, burst, 1000)
    now = 1000.0
    taken: list[float] = []
    for seconds, wanted, refused in steps:
        now += seconds
        taken += [now for _ in range(wanted) if permits.take(now)]
        if refused and taken:
            permits.throttled(taken[-1], now)
            assert permits.seconds_until(1, now) <= 1 + 2 / min(1.0, rate)
    assert_within(taken, rate, burst)
