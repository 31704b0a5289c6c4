"""How many logins to one signed endpoint may begin now: the bucket, at the rate that the server bears."""

import math
from collections import deque
from typing import Protocol

from .adaptive_rate import AdaptiveRate
from .token_bucket import TokenBucket

LOWERED_BURST = 2
"""Burst while the server bears less than was configured: it counts per second, so logins are spread evenly.
Not 1, or each wake-up that comes late would cost a part of the rate."""

MEMORY_SECONDS = 12.0
"""A login is refused at most so long after its permit, less the second that is looked at then."""

_DRAINED = 0.95  # of the permits in the second up to a refused one


class Budget(Protocol):
    """What queue and limiter need to know. `Permits` is one, `shared_budget.SharedPermits` another."""

    def limit(self, now: float) -> float: ...
    def rate(self, now: float) -> float: ...
    def take(self, now: float) -> bool: ...
    def seconds_until(self, permits: int, now: float) -> float: ...
    def throttled(self, permitted_at: float, now: float) -> bool: ...


class Permits:
    """Never more than rate * t + burst in any window of t seconds. The caller passes the time, never backwards."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._bucket = TokenBucket(rate, burst, now)
        self._limit = rate
        self._burst = burst
        self._adaptive = AdaptiveRate(rate)
        self._taken: deque[float] = deque()
        self._paused_at = -math.inf

    def limit(self, now: float) -> float:
        """The configured rate, per second."""
        return self._limit

    def rate(self, now: float) -> float:
        """The rate at this time, per second."""
        return self._adaptive.at(now)

    def take(self, now: float) -> bool:
        """Take a permit if there is one."""
        self._adapt(now)
        if not self._bucket.take(now):
            return False
        while self._taken and self._taken[0] < now - MEMORY_SECONDS:
            self._taken.popleft()
        self._taken.append(now)
        return True

    def seconds_until(self, permits: int, now: float) -> float:
        """Seconds until so many permits will have come in, if nobody else takes one."""
        self._adapt(now)
        return self._bucket.seconds_until(permits, now)

    def throttled(self, permitted_at: float, now: float) -> bool:
        """RDS refused the login of this permit for throttling; True if this lowers the rate.

        A refusal also pauses, until fewer permits than had been too many lie within a second: the server still
        counts those, and the logins that try again should find room. Refusals of permits from before the pause tell
        nothing new, so logins that were let through together and refused together count once.
        """
        if permitted_at <= self._paused_at:
            return False
        in_use = sum(permitted_at - 1 < at <= permitted_at for at in self._taken)
        lowered = self._adaptive.throttled(in_use, now)
        self._adapt(now)
        self._pause(max(1, int(in_use * _DRAINED)), now)
        return lowered

    def _pause(self, room: int, now: float) -> None:
        """Until `room` permits a second, going on at the rate, are not exceeded."""
        self._paused_at = now
        counted = [at for at in self._taken if at > now - 1][-room:]
        if len(counted) == room:
            until = max(at + 1 - later / self._bucket.rate for later, at in enumerate(counted))
            self._bucket.pause(until, now)

    def _adapt(self, now: float) -> None:
        rate = self._adaptive.at(now)
        if rate != self._bucket.rate:
            burst = self._burst if rate == self._limit else min(self._burst, LOWERED_BURST)
            self._bucket.change(rate, burst, now)
