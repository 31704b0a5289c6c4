"""How often a login to one signed endpoint may begin: a token bucket and the queue in front of it.

RDS throttles new IAM logins (AWS: stay under 200/s per instance) and then refuses them like wrong passwords.
"""

import asyncio
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from .endpoint import Address
from .errors import Limited

MAX_WAITING = 1000
_ROUNDING = 1e-9  # of a permit: at the moment computed for a permit, the level may fall short by that
_MIN_SLEEP = 0.001  # seconds; a timer may fire early by less than the loop's resolution


class TokenBucket:
    """At most `rate * t + burst` permits in any window of t seconds. The caller passes the time, never backwards."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a limiter needs a rate above 0 and a burst of at least 1")
        self.rate = rate
        self.burst = burst
        self._level = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Take a permit if there is one."""
        self._fill(now)
        if self._level < 1 - _ROUNDING:
            return False
        self._level -= 1
        return True

    def seconds_until(self, permits: int, now: float) -> float:
        """Seconds until so many permits will have come in, if nobody else takes one."""
        self._fill(now)
        return max(0.0, (permits - self._level) / self.rate)

    def _fill(self, now: float) -> None:
        self._level = min(float(self.burst), self._level + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A login that asks for a permit. `deadline` is on the limiter's clock."""

    account: str
    deadline: float


class Entry(enum.Enum):
    """What becomes of a login that asks for a permit."""

    GRANTED = enum.auto()
    WAITS = enum.auto()
    FULL = enum.auto()  # too many wait already
    TOO_LATE = enum.auto()  # its deadline has passed, or would before the queue ahead is served


class PermitQueue:
    """Who gets the next permit: first come, first served. Decides only; the caller passes the time and waits."""

    def __init__(self, bucket: TokenBucket, max_waiting: int) -> None:
        self._bucket = bucket
        self._max_waiting = max_waiting
        self._waiting: dict[Waiter, None] = {}  # in order of arrival, any of them quickly removed

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, waiter: Waiter, now: float) -> Entry:
        """Take a permit or a place in the queue."""
        ahead = len(self._waiting)
        if now + self._bucket.seconds_until(ahead + 1, now) > waiter.deadline:
            return Entry.TOO_LATE
        if ahead == 0 and self._bucket.take(now):
            return Entry.GRANTED
        if ahead >= self._max_waiting:
            return Entry.FULL
        self._waiting[waiter] = None
        return Entry.WAITS

    def leave(self, waiter: Waiter) -> None:
        """Give the place back."""
        self._waiting.pop(waiter, None)

    def grant(self, now: float) -> list[Waiter]:
        """Those who get their permit now, in order; they wait no longer. No permit is spent on the late."""
        granted = []
        for waiter in self._waiting:
            if now > waiter.deadline:
                continue  # it is about to leave by itself
            if not self._bucket.take(now):
                break
            granted.append(waiter)
        for waiter in granted:
            del self._waiting[waiter]
        return granted

    def seconds_to_next(self, now: float) -> float | None:
        """Seconds until the next permit can be granted; None if nobody waits."""
        return self._bucket.seconds_until(1, now) if self._waiting else None


class Limiter:
    """Permits for new logins to one signed endpoint, however many targets name it. For one event loop."""

    def __init__(
        self,
        endpoint: Address,
        *,
        rate: float,
        burst: int,
        max_waiting: int = MAX_WAITING,
        now: Callable[[], float] = time.monotonic,
        on_grant: Callable[[float], None] | None = None,
    ) -> None:
        """`endpoint` is named in errors; `on_grant` gets the time of each permit, on the `now` clock."""
        self._endpoint = endpoint
        self._now = now
        self._on_grant = on_grant
        self._bucket = TokenBucket(rate, burst, now())
        self._queue = PermitQueue(self._bucket, max_waiting)
        self._granted: dict[Waiter, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many logins wait."""
        return len(self._queue)

    async def acquire(self, account: str, deadline: float) -> float:
        """Wait for a permit until `deadline` on the `now` clock; returns the seconds waited.

        Raises Limited when the deadline has passed, and at once when too many wait already or the queue ahead
        makes the deadline impossible: so a client hears it while it still has patience to try again. A cancelled
        waiter gives its place back; a permit granted in the very moment of the cancellation is lost, because
        granting it again could exceed the rate.
        """
        began = self._now()
        patience = max(0.0, deadline - began)
        waiter = Waiter(account, deadline)
        entry = self._queue.enter(waiter, began)
        if entry is Entry.GRANTED:
            self._record(began)
            return 0.0
        if entry is not Entry.WAITS:
            raise self._refusal(entry, patience)
        granted = self._granted[waiter] = asyncio.get_running_loop().create_future()
        self._set_timer()
        try:
            # Not wait_for nor timeout: there a permit that comes together with the deadline would be lost.
            await asyncio.wait({granted}, timeout=patience)
        finally:
            self._queue.leave(waiter)
            del self._granted[waiter]
        if not granted.done():
            raise self._refusal(None, patience)
        return self._now() - began

    def _on_timer(self) -> None:
        self._timer = None
        now = self._now()
        for waiter in self._queue.grant(now):
            self._record(now)
            self._granted[waiter].set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        seconds = self._queue.seconds_to_next(self._now())
        if self._timer is None and seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(seconds, _MIN_SLEEP), self._on_timer)

    def _record(self, now: float) -> None:
        if self._on_grant is not None:
            self._on_grant(now)

    def _refusal(self, entry: Entry | None, patience: float) -> Limited:
        waiting = len(self._queue)
        if entry is Entry.FULL:
            what = f"{waiting} logins to {self._endpoint} wait already (limit {self._bucket.rate:g}/s)"
        else:
            verb = "can become" if entry is Entry.TOO_LATE else "became"
            what = (
                f"no login to {self._endpoint} {verb} free within {patience:.1f} s"
                f" (limit {self._bucket.rate:g}/s, {waiting} waiting)"
            )
        advice = "try again or raise logins_per_second (AWS: under 200/s per instance)"
        return Limited(f"{what}; {advice}")
