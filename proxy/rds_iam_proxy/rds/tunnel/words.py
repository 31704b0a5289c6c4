"""What the program of a tunnel says, made fit to be shown, and searched. No I/O."""

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ...logs import escaped

MAX_WORDS = 200
"""Characters of a line that are shown."""

MAX_LINES = 30
"""So many of the last lines are kept: what ssh says of a host key that has changed has twenty."""

MIN_SECRET = 8
"""Characters: what is shorter is no secret, and is found in ordinary words."""

HIDDEN = "***"

_SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSW|_PWD$|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_KEY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A line in which one of several markers is."""

    marker: str
    line: str


class Words:
    """The last lines of one program."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float]) -> None:
        """`environ`: the program's, whose secrets are never shown."""
        self._secrets = sorted(_secrets(environ), key=len, reverse=True)
        self._now = now
        self._lines: deque[tuple[float, str]] = deque(maxlen=MAX_LINES)

    @property
    def last(self) -> str:
        return self._lines[-1][1] if self._lines else ""

    def hear(self, raw: bytes) -> str:
        """The line as it may be shown; empty if there is nothing in it."""
        text = raw.decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        line = escaped(" ".join(text.split()))
        line = line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"
        if line:
            self._lines.append((self._now(), line))
        return line

    def find(self, markers: Iterable[str], seconds: float = math.inf) -> Found | None:
        """The first of the markers that is in a line, of those heard in the last so many seconds."""
        since = self._now() - seconds
        lines = [line for at, line in reversed(self._lines) if at >= since]
        return next((Found(marker, line) for marker in markers for line in lines if marker in line), None)


def _secrets(environ: Mapping[str, str]) -> set[str]:
    return {value for name, value in environ.items() if len(value) >= MIN_SECRET and _SECRET_NAMES.search(name)}
