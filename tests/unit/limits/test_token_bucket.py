import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.grants import assert_within
from rds_iam_proxy.limits.token_bucket import TokenBucket


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(-1, 5), max_size=100),
)
def test_never_exceeds_its_rate_even_if_the_clock_steps_back(rate: float, burst: int, steps: list[float]) -> None:
    bucket = TokenBucket(rate, burst, 1e6)
    now = latest = 1e6
    grants = []
    for step in steps:
        now += step
        latest = max(latest, now)
        while bucket.take(now):
            grants.append(latest)
    assert_within(grants, rate, burst)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_senseless_limits_are_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate above 0"):
        TokenBucket(rate, burst, 0)


def test_a_lower_rate_takes_the_surplus_of_the_burst_away() -> None:
    bucket = TokenBucket(10, 20, 0)
    bucket.change(2, 3, 0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.seconds_until(1, 0) == 0.5


def test_after_a_pause_there_is_one_permit_and_then_the_rate_goes_on() -> None:
    bucket = TokenBucket(10, 20, 0)
    bucket.pause(3, 0)
    assert bucket.seconds_until(1, 0) == pytest.approx(3)
    assert bucket.seconds_until(2, 0) == pytest.approx(3.1)
    assert not bucket.take(2.99)
    assert bucket.take(3)
    assert not bucket.take(3.05)
    assert bucket.take(3.1)
