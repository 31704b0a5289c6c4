"""How long to wait before a tunnel is tried again. No clock."""

PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""After the first failure, the second, …"""

STEADY_SECONDS = 60.0
"""A tunnel that was open for so long starts anew with the shortest pause."""


class Backoff:
    """The pauses of one tunnel."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, open_seconds: float) -> float:
        """Seconds to wait now that it has ended. `open_seconds`: how long it was open; 0 if it never was."""
        if open_seconds >= STEADY_SECONDS:
            self._failures = 0
        pause = PAUSES_SECONDS[min(self._failures, len(PAUSES_SECONDS) - 1)]
        self._failures += 1
        return pause
