"""Members of a fleet in this process, with a real store: as the proxy makes them, without the proxy around them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rds_iam_proxy.limits.limiter import Limiter
from rds_iam_proxy.limits.member import Member
from rds_iam_proxy.limits.shared_budget import Fleet, SharedPermits
from rds_iam_proxy.limits.store import Credentials, Store
from rds_iam_proxy.limits.store_place import StorePlace
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("db.example.com", 3306)
PATIENCE_SECONDS = 8.0


@dataclass
class Neighbour:
    """One proxy's limiter, and its talk with the store."""

    permits: SharedPermits
    member: Member
    limiter: Limiter
    task: "asyncio.Task[None]"
    calls: list[float] = field(default_factory=list)
    """Seconds of each call."""

    async def login(self) -> float:
        """How long a permit took."""
        now = asyncio.get_running_loop().time
        began = now()
        await self.limiter.acquire("a", began + PATIENCE_SECONDS)
        return now() - began

    async def until(self, *, up: bool, seconds: float = 5.0) -> None:
        """The last call was answered, or was not, and that is known."""
        deadline = time.monotonic() + seconds
        while self.member.up is not up or (not up and not self.member.why):
            assert time.monotonic() < deadline, self.member.why
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def neighbours(
    place: StorePlace, fleet: Fleet, count: int, *, budget: str = "orders", credentials: Credentials | None = None
) -> AsyncIterator[list[Neighbour]]:
    """So many members of one fleet; they leave at the end."""
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        calls: list[float] = []
        permits = SharedPermits(fleet, loop.time())
        member = Member(budget, permits, Store(place, credentials), now=loop.time, on_call=calls.append)
        limiter = Limiter(ENDPOINT, permits, now=loop.time, on_wait=member.wake)
        made.append(Neighbour(permits, member, limiter, loop.create_task(member.run(limiter)), calls))
    try:
        yield made
    finally:
        for one in made:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in made), return_exceptions=True)
