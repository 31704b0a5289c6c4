"""Which rate a server bears that refuses what is too much: down by a factor, back up by time. Arithmetic only."""

FACTOR = 0.85
NEAR_CEILING = 0.95
RECOVERY_SECONDS = 4.0
"""From a refusal until the rate is back at NEAR_CEILING of the rate that was refused."""

PROBE_SECONDS = 30.0
"""Beyond that, the rate grows by 1/s in this time."""

HOLD_OFF_SECONDS = 1.0
"""At most one step down in this time: a server that counts per second needs it to see the difference."""

CLEAR_SHARE = 0.1
CLEAR_LOGINS = 5
"""When so much of the rate and so many were in use, then that use was too much. Below, others may use the server up."""

LOWEST_RATE = 1.0


class AdaptiveRate:
    """A rate of at most `limit`, in permits per second. The caller passes the time, never backwards.

    A refusal multiplies the rate by FACTOR: the rate in use where that is lower and clear, because steps down from
    a rate that nobody used would only bring more refusals. The rate that was refused is remembered as the ceiling.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._lowest = min(LOWEST_RATE, limit)
        self._after_step = limit
        self._goal = limit
        self._stepped_at: float | None = None  # None: at the limit

    def at(self, now: float) -> float:
        """The rate at this time."""
        if self._stepped_at is None:
            return self._limit
        since = max(0.0, now - self._stepped_at)
        if since < RECOVERY_SECONDS:
            rate = self._after_step + (self._goal - self._after_step) * since / RECOVERY_SECONDS
        else:
            rate = self._goal + (since - RECOVERY_SECONDS) / PROBE_SECONDS
        return min(self._limit, rate)

    def throttled(self, in_use: float, now: float) -> bool:
        """The server refused for throttling, with so many permits in the second before; True if the rate goes down."""
        if self._stepped_at is not None and now - self._stepped_at < HOLD_OFF_SECONDS:
            return False
        rate = self.at(now)
        clear = in_use >= max(CLEAR_LOGINS, rate * CLEAR_SHARE)
        ceiling = min(rate, in_use) if clear else rate
        self._after_step = max(self._lowest, ceiling * FACTOR)
        self._goal = max(self._after_step, ceiling * NEAR_CEILING)
        self._stepped_at = now
        return True
