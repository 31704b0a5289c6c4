import asyncio

import pytest

from rds_iam_proxy.errors.tree import LoginError, Refused, TLSFailure, Unreachable, Verdict
from rds_iam_proxy.limits.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(failures=3, open_seconds=5, now=clock), clock


def dial(breaker: Breaker, outcome: BaseException | None = None) -> None:
    with breaker.attempt():
        if outcome is not None:
            raise outcome


def dial_in_vain(breaker: Breaker, times: int = 1, error: LoginError | None = None) -> None:
    for _ in range(times):
        with pytest.raises(LoginError):
            dial(breaker, error or Unreachable("cname-unknown", host="db"))


REFUSED = Refused("passed-on", Verdict.PASSED_ON, 1045, "28000", answer="no")


def test_it_takes_several_failures_in_a_row() -> None:
    breaker, _ = make()
    dial_in_vain(breaker, 2)
    dial(breaker)
    dial_in_vain(breaker, 2)
    breaker.check()
    dial_in_vain(breaker)
    with pytest.raises(Unreachable):
        breaker.check()


@pytest.mark.parametrize("outcome", [REFUSED, LoginError("internal"), RuntimeError(), asyncio.CancelledError()])
def test_only_dials_that_reached_no_rds_count(outcome: BaseException) -> None:
    breaker, _ = make()
    for _ in range(5):
        with pytest.raises(type(outcome)):
            dial(breaker, outcome)
    breaker.check()


def test_a_refused_login_is_an_answer() -> None:
    breaker, _ = make()
    dial_in_vain(breaker, 2)
    with pytest.raises(Refused):
        dial(breaker, REFUSED)
    dial_in_vain(breaker, 2)
    breaker.check()


def test_fails_fast_with_the_last_reason_and_when_it_is_tried_again() -> None:
    breaker, clock = make()
    dial_in_vain(breaker, 2)
    dial_in_vain(breaker, 1, TLSFailure("no-tls", where="db"))
    clock.now += 1.5
    with pytest.raises(TLSFailure) as failure:
        breaker.check()
    assert (failure.value.row.key, failure.value.reason) == ("not-tried", "tls")
    assert failure.value.text == (
        "not tried, because the last 3 attempts failed (next try in 3.5 s):"
        " db offers no TLS, and a token is sent over verified TLS only; check the address"
    )


def test_then_one_probe_at_a_time() -> None:
    breaker, clock = make()
    dial_in_vain(breaker, 3)
    clock.now += 5
    with breaker.attempt():
        with pytest.raises(Unreachable, match="one login is trying now") as failure:
            breaker.check()
        assert (failure.value.row.key, failure.value.reason) == ("being-tried", "unreachable")
        with pytest.raises(Unreachable), breaker.attempt():
            pytest.fail("a second probe")
    assert not breaker.open
    breaker.check()


def test_a_failed_probe_opens_it_again() -> None:
    breaker, clock = make()
    dial_in_vain(breaker, 3)
    clock.now += 5
    dial_in_vain(breaker)
    with pytest.raises(Unreachable, match=r"the last 4 attempts failed \(next try in 5\.0 s\)"):
        breaker.check()
    clock.now += 5
    breaker.check()


@pytest.mark.parametrize("outcome", [asyncio.CancelledError(), LoginError("internal")])
def test_a_probe_that_says_nothing_leaves_its_place_to_the_next(outcome: BaseException) -> None:
    breaker, clock = make()
    dial_in_vain(breaker, 3)
    clock.now += 5
    with pytest.raises(type(outcome)):
        dial(breaker, outcome)
    assert breaker.open
    dial(breaker)
    assert not breaker.open


def test_those_under_way_when_it_opened_neither_keep_it_open_nor_are_asked_to_wait() -> None:
    breaker, clock = make()
    dial_in_vain(breaker, 2)
    under_way = breaker.attempt()
    under_way.__enter__()
    dial_in_vain(breaker)
    clock.now += 4
    late = Unreachable("cname-unknown", host="late")
    assert not under_way.__exit__(Unreachable, late, None)
    clock.now += 1
    dial(breaker)
    assert not breaker.open


def test_an_answer_to_one_under_way_closes_it() -> None:
    breaker, _ = make()
    with breaker.attempt():
        dial_in_vain(breaker, 3)
    breaker.check()
