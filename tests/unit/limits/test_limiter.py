import asyncio
import logging
from collections import deque

import pytest

from kit.grants import assert_within
from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.errors.tree import Limited
from rds_iam_proxy.limits.budget import Permits
from rds_iam_proxy.limits.limiter import Limiter
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("db.example.com", 3306)


class Watched(Permits):
    """Remembers when it gave a permit."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        super().__init__(rate, burst, now)
        self.grants: list[float] = []

    def take(self, now: float) -> bool:
        is_granted = super().take(now)
        if is_granted:
            self.grants.append(now)
        return is_granted


def make(loop: VirtualTimeLoop, *, rate: float, burst: int, max_waiting: int = 1000) -> tuple[Limiter, list[float]]:
    permits = Watched(rate, burst, loop.time())
    return Limiter(ENDPOINT, permits, max_waiting=max_waiting, now=loop.time), permits.grants


def test_burst_goes_through_at_once_and_then_the_rate_holds() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, grants = make(loop, rate=10, burst=3)
        began = loop.now
        permits = await asyncio.gather(*(limiter.acquire("a", began + 8) for _ in range(8)))
        waited = [at - began for at in permits]
        assert waited == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=0.01)
        assert grants == permits
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
        assert refused[0].row.key == "limiter"
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
        assert await limiter.acquire("a", loop.now) == loop.now

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
        began = loop.now
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == pytest.approx(began + 1.0, abs=0.005)
        assert first.cancelled()
        assert len(grants) == 2

    run(main(), loop)


def test_a_place_in_a_full_queue_is_taken_from_the_account_that_holds_most_of_them() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, _ = make(loop, rate=1, burst=1, max_waiting=3)
        await limiter.acquire("storm", loop.now)
        storm = [asyncio.ensure_future(limiter.acquire("storm", loop.now + 60)) for _ in range(3)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(limiter.acquire("other", loop.now + 60))
        with pytest.raises(Limited, match=r"3 logins to db\.example\.com:3306 wait already"):
            await storm[2]
        assert limiter.waiting == 3
        assert not other.done()
        order = [await future for future in (storm[0], other, storm[1])]
        assert order == sorted(order)

    run(main(), loop)


def test_one_login_a_second_hardly_waits_behind_300_of_another_account() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter, _ = make(loop, rate=20, burst=20)
        storm = [asyncio.ensure_future(limiter.acquire("storm", loop.now + 60)) for _ in range(300)]
        waits = []
        for _ in range(12):
            await asyncio.sleep(1)
            began = loop.now
            waits.append(await limiter.acquire("other", began + 8) - began)
            assert limiter.waiting > 0
        assert max(waits) < 0.15
        await asyncio.gather(*storm)

    run(main(), loop)


def test_a_lowered_rate_is_logged_and_named_in_refusals(caplog: pytest.LogCaptureFixture) -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter = Limiter(ENDPOINT, Permits(10, 10, loop.time()), now=loop.time)
        permits = [await limiter.acquire("a", loop.now) for _ in range(10)]
        with caplog.at_level(logging.WARNING):
            for permit in permits:
                limiter.throttled(permit)
        (told,) = caplog.records
        assert told.message == "RDS throttles logins"
        fields = told.rds_iam_proxy_fields  # type: ignore[attr-defined]
        assert fields == {"endpoint": str(ENDPOINT), "logins_per_second": pytest.approx(8.5)}
        assert limiter.rate == pytest.approx(8.5)
        with pytest.raises(
            Limited, match=r"limit 8\.5/s since RDS throttled, 0 waiting\); try again; make fewer"
        ) as late:
            await limiter.acquire("a", loop.now)
        assert late.value.row.key == "limiter-lowered"
        narrow = Limiter(ENDPOINT, Permits(10, 10, loop.time()), max_waiting=0, now=loop.time)
        for permit in [await narrow.acquire("a", loop.now) for _ in range(10)]:
            narrow.throttled(permit)
        with pytest.raises(
            Limited, match=r"^0 logins to .* \(limit 8\.5/s since RDS throttled\); try again; make"
        ) as full:
            await narrow.acquire("a", loop.now + 60)
        assert full.value.row.key == "queue-full-lowered"
        await asyncio.sleep(60)
        assert limiter.rate == 10

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


class ThrottlingServer:
    """Lets `limit` logins into any second. As it may be at RDS, those that it refuses take room, too."""

    def __init__(self, loop: VirtualTimeLoop, limit: int, *, counts_refused: bool) -> None:
        self.accepted: list[float] = []
        self.refused = 0
        self._loop = loop
        self._limit = limit
        self._counts_refused = counts_refused
        self._counted: deque[float] = deque()

    def login(self) -> bool:
        now = self._loop.now
        while self._counted and self._counted[0] <= now - 1:
            self._counted.popleft()
        accepted = len(self._counted) < self._limit
        if accepted:
            self.accepted.append(now)
        else:
            self.refused += 1
        if accepted or self._counts_refused:
            self._counted.append(now)
        return accepted


@pytest.mark.parametrize("counts_refused", [False, True])
@pytest.mark.parametrize("round_trip", [0.005, 0.04, 0.1])
def test_a_server_that_throttles_below_the_limit_is_kept_busy_and_no_client_hears_of_it(
    round_trip: float, counts_refused: bool
) -> None:
    """60 logins a second at a server that takes 30, with a limiter that was set to 100."""
    loop = VirtualTimeLoop()

    async def main() -> None:
        limiter = Limiter(ENDPOINT, Permits(100, 20, loop.time()), now=loop.time)
        server = ThrottlingServer(loop, 30, counts_refused=counts_refused)
        outcomes: list[str] = []

        async def login() -> str:
            deadline = loop.now + 8
            for attempt in range(3):
                try:
                    permitted_at = await limiter.acquire("a", deadline, again=attempt > 0)
                except Limited:
                    return "1040"
                await asyncio.sleep(round_trip / 2)
                accepted = server.login()
                await asyncio.sleep(round_trip / 2)
                if accepted:
                    return "OK"
                limiter.throttled(permitted_at)
            return "1045"

        began = loop.now
        logins = []
        for _ in range(40 * 60):
            logins.append(asyncio.ensure_future(login()))
            await asyncio.sleep(1 / 60)
        outcomes = await asyncio.gather(*logins)
        assert outcomes.count("1045") == 0
        assert server.refused < 15
        seconds = [sum(began + second <= at < began + second + 1 for at in server.accepted) for second in range(40)]
        assert sum(seconds[:10]) >= 10 * 26
        assert min(seconds[10:]) >= 24
        assert sum(seconds[10:]) >= 30 * 27

    run(main(), loop)
