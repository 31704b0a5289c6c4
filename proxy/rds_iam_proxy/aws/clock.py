"""Notices that somebody set this machine's clock. Compares it with the clock that counts the seconds since boot."""

import time
from collections.abc import Callable

Clock = Callable[[], float]


def _boottime() -> float | None:
    """None where no clock counts the seconds that the machine slept: there each sleep would look like a change."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else None


class ClockWatch:
    """Since `was_right` was called last, or since it was made."""

    def __init__(self, *, wall: Clock = time.time, boot: Callable[[], float | None] = _boottime) -> None:
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
        boot = self._boot()
        return 0.0 if boot is None else self._wall() - boot
