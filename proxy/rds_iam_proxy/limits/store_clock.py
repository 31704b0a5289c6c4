"""What a store's clock says in terms of this machine's, from the times of calls. Arithmetic only."""

import math

DRIFT = 500e-6
"""Seconds in a second that two clocks may drift apart: the most that NTP slews."""


class StoreClock:
    """Bounds of (own clock - store's clock), in seconds. The caller passes the times.

    The store read its clock after a call was sent and before its answer came: each call bounds the difference from
    both sides, and the fastest call so far bounds it best.
    """

    def __init__(self) -> None:
        self._low = -math.inf
        self._high = math.inf
        self._at = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there was an answer yet."""
        return self._high < math.inf

    def heard(self, store: float, sent: float, received: float) -> bool:
        """The store's clock was at `store` between these two; False: that is another clock than until now."""
        drift = DRIFT * max(0.0, received - self._at)
        low, high = self._low - drift, self._high + drift
        self._at = received
        is_same = sent - store <= high and received - store >= low
        if is_same:
            self._low, self._high = max(low, sent - store), min(high, received - store)
        else:
            self._low, self._high = sent - store, received - store
        return is_same

    def here(self, store: float) -> float:
        """This moment of the store on the own clock: never too early, too late by the fastest call at most."""
        return store + self._high

    def there(self, own: float) -> float:
        """This moment of the own clock on the store's, the inverse of `here`."""
        return own - self._high
