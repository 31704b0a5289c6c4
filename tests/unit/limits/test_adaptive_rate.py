import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_iam_proxy.limits.adaptive_rate import HOLD_OFF_SECONDS, LOWEST_RATE, AdaptiveRate


def test_without_refusals_it_is_the_limit() -> None:
    assert AdaptiveRate(100).at(1000) == 100


def test_a_refusal_multiplies_the_rate_by_085() -> None:
    rate = AdaptiveRate(100)
    assert rate.throttled(100, 1000)
    assert rate.at(1000) == pytest.approx(85)


def test_where_much_less_was_in_use_than_allowed_that_use_was_too_much() -> None:
    rate = AdaptiveRate(100)
    rate.throttled(31, 1000)
    assert rate.at(1000) == pytest.approx(31 * 0.85)


def test_a_refusal_while_next_to_nothing_is_in_use_does_not_bring_the_rate_down_to_that() -> None:
    for limit, in_use in ((100, 9), (10, 4), (1, 1)):
        rate = AdaptiveRate(limit)
        rate.throttled(in_use, 1000)
        assert rate.at(1000) == pytest.approx(max(1, limit * 0.85))


def test_within_5_seconds_it_is_back_at_95_percent_of_the_ceiling_and_not_above() -> None:
    rate = AdaptiveRate(100)
    rate.throttled(40, 1000)
    recovery = [rate.at(1000 + tenth / 10) for tenth in range(51)]
    assert recovery == sorted(recovery)
    assert recovery[-1] == pytest.approx(0.95 * 40, abs=0.05)


def test_beyond_that_it_grows_by_1_every_30_seconds_up_to_the_limit() -> None:
    rate = AdaptiveRate(50)
    rate.throttled(40, 1000)
    assert rate.at(1065) - rate.at(1035) == pytest.approx(1)
    assert rate.at(1000 + 12 * 30) < 50
    assert rate.at(1000 + 13 * 30) == 50


def test_steps_keep_a_second_apart() -> None:
    rate = AdaptiveRate(100)
    assert rate.throttled(100, 1000)
    assert not rate.throttled(100, 1000)
    assert not rate.throttled(100, 1000.99)
    assert rate.throttled(100, 1001)


@given(limit=st.floats(0.1, 500), refusals=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), max_size=60))
def test_always_between_1_and_the_limit(limit: float, refusals: list[tuple[float, int]]) -> None:
    rate = AdaptiveRate(limit)
    now = 1000.0
    for seconds, in_use in refusals:
        now += seconds
        before = rate.at(now)
        lowered = rate.throttled(in_use, now)
        assert min(limit, LOWEST_RATE) <= rate.at(now) <= before <= limit
        assert rate.at(now) < before or not lowered or before <= LOWEST_RATE
        assert rate.at(now + HOLD_OFF_SECONDS) <= limit
