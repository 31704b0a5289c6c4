"""A token bucket: how many permits, and when. The caller passes the time; no waiting, no queue."""

_ROUNDING = 1e-9  # of a permit: at the moment computed for a permit, the level may fall short by that


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
        return max(0.0, (permits - self._level) / self.rate + max(0.0, self._at - now))

    def change(self, rate: float, burst: int, now: float) -> None:
        """Another rate and burst from now on."""
        self._fill(now)
        self.rate, self.burst = rate, burst
        self._level = min(self._level, float(burst))

    def pause(self, until: float, now: float) -> None:
        """No permit before `until`, and then one."""
        self._fill(now)
        if self._level + (until - now) * self.rate > 1:
            self._level = 0.0
            self._at = until - 1 / self.rate  # where that is yet to come, nothing comes in before

    def _fill(self, now: float) -> None:
        self._level = min(float(self.burst), self._level + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
