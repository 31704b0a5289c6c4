"""The clocks that tokens are signed by, and whether somebody set one. Compares it with the seconds since boot."""

import time
from collections.abc import Callable

Clock = Callable[[], float]

COUNTS_SLEEP = hasattr(time, "CLOCK_BOOTTIME")
"""Whether a clock of this system counts the seconds that the machine slept."""


def boottime() -> float:
    """Seconds since boot that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if COUNTS_SLEEP else time.monotonic()


class TokenClock:
    """Since `was_right` was called last, or since it was made."""

    def __init__(self, *, wall: Clock = time.time, boot: Clock | None = boottime if COUNTS_SLEEP else None) -> None:
        """`boot`: None where no clock counts the seconds of sleep: there each sleep would look like a change."""
        self._wall = wall
        self._boot = boot
        self._offset = self._offset_now()

    def was_right(self) -> None:
        """RDS took a token: the clock is right now."""
        self._offset = self._offset_now()

    def now(self) -> float:
        """What the clock says, seconds since 1970."""
        return self._wall()

    def moved(self) -> float:
        """By how many seconds it was set forward since then; negative: back."""
        return self._offset_now() - self._offset

    def _offset_now(self) -> float:
        return 0.0 if self._boot is None else self._wall() - self._boot()
