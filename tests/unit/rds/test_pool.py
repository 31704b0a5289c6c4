"""Who gets which used session, and when none: no sockets, and a clock that jumps."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.pool import Bounds, Key, Loan, Pool

ADDRESS = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
KEY = Key(ADDRESS, "app", "user_app", "kind")
BOUNDS = Bounds(idle=10.0, lifetime=300.0, per_key=2, total=3)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock: Clock) -> Pool[Any]:
    return Pool(BOUNDS, clock)


def _parked(pool: Pool[Any], clock: Clock, key: Key = KEY, *, session: object = None) -> Loan[Any]:
    loan: Loan[Any] = Loan(session or object(), key, clock.now)
    assert pool.reserve(loan)
    assert pool.park(loan) == []
    return loan


def test_the_last_one_that_came_goes_first(pool: Pool[Any], clock: Clock) -> None:
    first, second = _parked(pool, clock), _parked(pool, clock)
    taken = [pool.take(KEY), pool.take(KEY)]
    assert [loan and loan.session for loan in taken] == [second.session, first.session]
    assert [loan and loan.clients for loan in taken] == [2, 2]
    assert pool.take(KEY) is None
    assert len(pool) == 0


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, account="other"),
        replace(KEY, db_user="other"),
        replace(KEY, kind="other"),
        replace(KEY, address=Address("other.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)),
    ],
)
def test_nobody_gets_a_session_of_another_kind(pool: Pool[Any], clock: Clock, other: Key) -> None:
    _parked(pool, clock)
    assert pool.take(other) is None
    assert len(pool) == 1


@pytest.mark.parametrize("seconds", [10.1, 301.0])
def test_one_that_waited_too_long_is_not_handed_out_but_closed(pool: Pool[Any], clock: Clock, seconds: float) -> None:
    parked = _parked(pool, clock)
    clock.now += seconds
    assert pool.take(KEY) is None
    assert [loan.session for loan in pool.expired()] == [parked.session]
    assert len(pool) == 0
    assert pool.expired() == []


def test_a_lifetime_counts_from_the_login_at_rds(pool: Pool[Any], clock: Clock) -> None:
    loan: Loan[Any] = Loan(object(), KEY, clock.now)
    clock.now += 299.0
    assert pool.reserve(loan)
    pool.park(loan)
    again = pool.take(KEY)
    assert again is not None
    clock.now += 2.0
    assert not pool.reserve(again)


def test_one_kind_has_so_many_and_all_together_so_many(pool: Pool[Any], clock: Clock) -> None:
    oldest = _parked(pool, clock)
    _parked(pool, clock)
    assert not pool.reserve(Loan(object(), KEY, clock.now))
    _parked(pool, clock, replace(KEY, kind="b"))
    surplus: Loan[Any] = Loan(object(), replace(KEY, kind="c"), clock.now)
    assert pool.reserve(surplus)
    assert [loan.session for loan in pool.park(surplus)] == [oldest.session]
    assert len(pool) == BOUNDS.total


def test_a_login_that_needs_the_place_gets_that_of_the_longest_waiting(pool: Pool[Any], clock: Clock) -> None:
    first, other = _parked(pool, clock), _parked(pool, clock, replace(KEY, account="other"))
    assert (loan := pool.evict("other")) is not None
    assert loan.session is other.session
    assert (loan := pool.evict()) is not None
    assert loan.session is first.session
    assert pool.evict() is None


def test_what_is_spoilt_goes_and_does_not_come_back(pool: Pool[Any], clock: Clock) -> None:
    lent: Loan[Any] = Loan(object(), KEY, clock.now)
    waiting = _parked(pool, clock)
    stays = _parked(pool, clock, replace(KEY, db_user="other"))
    assert [loan.session for loan in pool.spoil(db_user="user_app")] == [waiting.session]
    assert not pool.reserve(lent)
    clock.now += 1.0
    assert pool.reserve(Loan(object(), KEY, clock.now))  # a later login may serve again
    assert [loan.session for loan in pool.spoil(account="app")] == [stays.session]


def test_what_is_spoilt_while_it_is_cleaned_is_closed(pool: Pool[Any], clock: Clock) -> None:
    loan: Loan[Any] = Loan(object(), KEY, clock.now)
    assert pool.reserve(loan)
    pool.spoil()
    assert pool.park(loan) == [loan]
    assert not loan.is_returned
    assert pool.take(KEY) is None


def test_a_closed_pool_lends_nothing(pool: Pool[Any], clock: Clock) -> None:
    waiting, lent = _parked(pool, clock), Loan[Any](object(), KEY, clock.now)
    assert [loan.session for loan in pool.close()] == [waiting.session]
    clock.now += 1.0
    assert not pool.reserve(lent)
    assert not pool.is_open
    assert not Pool[Any](None, clock).reserve(Loan(object(), KEY, clock.now))


def test_whoever_gave_a_session_back_cannot_close_it(pool: Pool[Any], clock: Clock) -> None:
    closed = []

    class Session:
        def close(self) -> None:
            closed.append("close")

        def leave(self) -> None:
            closed.append("leave")

    loan = _parked(pool, clock, session=Session())
    loan.close()
    loan.leave()
    assert closed == []
    taken = pool.take(KEY)
    assert taken is not None
    taken.leave()
    assert closed == ["leave"]


def test_one_client_waits_for_each_session_that_is_being_cleaned(pool: Pool[Any], clock: Clock) -> None:
    async def work() -> None:
        assert pool.expect(KEY) is None
        loans: list[Loan[Any]] = [Loan(object(), KEY, clock.now) for _ in range(2)]
        assert all(map(pool.reserve, loans))
        first, second = pool.expect(KEY), pool.expect(KEY)
        assert first is not None
        assert second is not None
        assert pool.expect(KEY) is None
        first.cancel()  # its client has gone
        pool.park(loans[0])
        assert second.done()
        pool.give_up(loans[1])
        assert pool.expect(KEY) is None

    run(work(), VirtualTimeLoop())


@given(st.lists(st.tuples(st.sampled_from("rptelsx"), st.integers(0, 2), st.floats(0, 8)), max_size=60))
def test_bounds_hold_and_no_session_is_had_twice(steps: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    pool: Pool[Any] = Pool(BOUNDS, clock)
    keys = [replace(KEY, kind=kind, db_user=f"user{kind}") for kind in range(3)]
    held: list[Loan[Any]] = []
    closed: list[object] = []
    for step, which, seconds in steps:
        clock.now += seconds
        key, out = keys[which], list[Loan[Any]]()
        if step == "r":
            held.append(Loan(object(), key, clock.now))
        elif step == "p" and held:
            loan = held.pop()
            out = pool.park(loan) if pool.reserve(loan) else [loan]
        elif step == "t" and (taken := pool.take(key)) is not None:
            assert taken.key == key
            assert clock.now - taken.parked_at <= BOUNDS.idle
            assert clock.now - taken.born <= BOUNDS.lifetime
            held.append(taken)
        elif step == "e":
            out = pool.expired()
        elif step == "l" and (evicted := pool.evict()) is not None:
            out = [evicted]
        elif step == "s":
            out = pool.spoil(db_user=key.db_user)
        closed += [loan.session for loan in out]
        assert len(pool) <= BOUNDS.total
        sessions = [loan.session for loan in held] + closed
        assert len(sessions) == len(set(map(id, sessions)))
    left = [loan.session for loan in pool.close()]
    assert len(pool) == 0
    everybody = [loan.session for loan in held] + closed + left
    assert len(everybody) == len(set(map(id, everybody)))
