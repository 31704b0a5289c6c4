import asyncio
import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_wire.constants import ErrorCode
from rds_iam_proxy.endpoint import Address
from rds_iam_proxy.errors import Limited
from rds_iam_proxy.limiter import Entry, Limiter, PermitQueue, TokenBucket, Waiter
from virtual_time import VirtualTimeLoop, run

ENDPOINT = Address("db.example.com", 3306)


def assert_within(grants: list[float], rate: float, burst: int) -> None:
    """No window, from any grant to any later one, holds more than rate * t + burst."""
    for first, start in enumerate(grants):
        for last in range(first, len(grants)):
            assert last - first + 1 <= rate * (grants[last] - start) + burst + 1e-6


class Storm:
    """Runs logins through a PermitQueue without a loop: each is (arrival, patience, leaves after or never)."""

    def __init__(self, rate: float, burst: int, max_waiting: int) -> None:
        self.queue = PermitQueue(TokenBucket(rate, burst, 1000.0), max_waiting)
        self.grants: list[float] = []
        self.served: set[Waiter] = set()
        self.refused = 0
        self.left: list[Waiter] = []
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def at(self, time: float, action: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, action))

    def login(self, arrival: float, patience: float, leaves: float | None) -> None:
        waiter = Waiter("a", arrival + patience)

        def leave(now: float) -> None:
            if waiter in self.served:
                return
            self.queue.leave(waiter)
            self.left.append(waiter)

        def enter(now: float) -> None:
            entry = self.queue.enter(waiter, now)
            if entry is Entry.GRANTED:
                self.grants.append(now)
            elif entry is Entry.WAITS:
                self.at(now + (patience if leaves is None else min(patience, leaves)), leave)
                self.wake(now)
            else:
                self.refused += 1

        self.at(arrival, enter)

    def wake(self, now: float) -> None:
        seconds = self.queue.seconds_to_next(now)
        if seconds is not None:
            self.at(now + max(seconds, 1e-4), self.timer)

    def timer(self, now: float) -> None:
        for waiter in self.queue.grant(now):
            assert now <= waiter.deadline
            self.served.add(waiter)
            self.grants.append(now)
        self.wake(now)

    def run(self) -> None:
        while self._events:
            time, _, action = heapq.heappop(self._events)
            action(time)


@given(
    rate=st.floats(0.5, 500),
    burst=st.integers(1, 30),
    max_waiting=st.integers(0, 20),
    logins=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2), st.none() | st.floats(0, 2)), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_rate_and_burst(
    rate: float, burst: int, max_waiting: int, logins: list[tuple[float, float, float | None]]
) -> None:
    storm = Storm(rate, burst, max_waiting)
    for arrival, patience, leaves in logins:
        storm.login(1000.0 + arrival, patience, leaves)
    storm.run()
    assert_within(storm.grants, rate, burst)
    assert len(storm.grants) + storm.refused + len(storm.left) == len(logins)
    assert len(storm.queue) == 0


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(-1, 5), max_size=100),
)
def test_bucket_alone_never_exceeds_its_rate_even_if_the_clock_steps_back(
    rate: float, burst: int, steps: list[float]
) -> None:
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


def make(loop: VirtualTimeLoop, *, rate: float, burst: int, max_waiting: int = 1000) -> tuple[Limiter, list[float]]:
    grants: list[float] = []
    limiter = Limiter(ENDPOINT, rate=rate, burst=burst, max_waiting=max_waiting, now=loop.time, on_grant=grants.append)
    return limiter, grants


def test_burst_goes_through_at_once_and_then_the_rate_holds() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=10, burst=3)
        waited = await asyncio.gather(*(limiter.acquire("a", loop.now + 8) for _ in range(8)))
        assert waited == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=0.005)
        assert grants == sorted(grants)
        assert_within(grants, 10, 3)
        assert limiter.waiting == 0

    run(main(), loop)


def test_a_thousand_logins_at_once_get_what_the_rate_allows_and_the_others_a_reason() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=50, burst=20)
        deadline = loop.now + 8
        results = await asyncio.gather(*(limiter.acquire("a", deadline) for _ in range(1000)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, Limited)]
        assert 400 <= len(grants) <= 420
        assert len(grants) + len(refused) == 1000
        assert_within(grants, 50, 20)
        assert refused[0].code == ErrorCode.ER_CON_COUNT_ERROR
        assert refused[0].text == (
            "no login to db.example.com:3306 can become free within 8.0 s (limit 50/s, 400 waiting);"
            " try again or raise logins_per_second (AWS: under 200/s per instance)"
        )

    run(main(), loop)


def test_a_login_that_cannot_make_its_deadline_is_told_at_once() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, _ = make(loop, rate=1, burst=1)
        await limiter.acquire("a", loop.now + 1)
        began = loop.now
        with pytest.raises(Limited, match=r"can become free within 0\.5 s"):
            await limiter.acquire("a", began + 0.5)
        assert loop.now == began

    run(main(), loop)


def test_a_deadline_in_the_past_takes_no_permit() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=1, burst=1)
        with pytest.raises(Limited):
            await limiter.acquire("a", loop.now - 1)
        assert grants == []
        assert await limiter.acquire("a", loop.now) == 0.0

    run(main(), loop)


def test_a_full_queue_refuses_at_once() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, _ = make(loop, rate=1, burst=1, max_waiting=2)
        waiting = [asyncio.ensure_future(limiter.acquire("a", loop.now + 60)) for _ in range(3)]
        await asyncio.sleep(0)
        assert limiter.waiting == 2
        with pytest.raises(Limited, match=r"2 logins to db\.example\.com:3306 wait already"):
            await limiter.acquire("a", loop.now + 60)
        await asyncio.gather(*waiting)

    run(main(), loop)


def test_a_cancelled_waiter_gives_its_place_back() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=1, burst=1)
        await limiter.acquire("a", loop.now)
        first = asyncio.ensure_future(limiter.acquire("a", loop.now + 60))
        second = asyncio.ensure_future(limiter.acquire("a", loop.now + 60))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == pytest.approx(1.0, abs=0.005)
        assert first.cancelled()
        assert len(grants) == 2

    run(main(), loop)


def test_first_come_first_served_and_no_overtaking() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, _ = make(loop, rate=10, burst=1)
        order: list[int] = []

        async def login(number: int) -> None:
            await limiter.acquire(str(number), loop.now + 60)
            order.append(number)

        async def late() -> None:
            await asyncio.sleep(0.25)
            await login(99)

        await asyncio.gather(late(), *(login(number) for number in range(6)))
        assert order == [0, 1, 2, 3, 4, 5, 99]

    run(main(), loop)


def test_a_waiter_that_was_promised_a_place_still_fails_at_its_deadline() -> None:
    """A timer that comes too late, as on a machine that slept, must not let a login in after its deadline."""
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=1, burst=1)
        await limiter.acquire("a", loop.now)
        waiter = asyncio.ensure_future(limiter.acquire("a", loop.now + 2))
        await asyncio.sleep(0)
        loop.now += 100
        with pytest.raises(Limited, match=r"became free within 2\.0 s"):
            await waiter
        assert len(grants) == 1

    run(main(), loop)
