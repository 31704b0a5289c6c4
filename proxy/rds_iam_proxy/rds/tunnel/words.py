"""What the program of a tunnel says: made fit to be shown, and what it means. No I/O."""

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

_MEANINGS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "tunnel-host-changed"),
    ("Host key verification failed", "tunnel-host-key"),
    ("Permission denied", "tunnel-key"),
    ("Too many authentication failures", "tunnel-key"),
    ("SessionManagerPlugin is not found", "tunnel-plugin"),
    ("session-manager-plugin: command not found", "tunnel-plugin"),
    ("TargetNotConnected", "tunnel-not-connected"),
    ("AccessDenied", "tunnel-denied"),
    ("not authorized to perform", "tunnel-denied"),
    ("SSO session associated with this profile", "tunnel-credentials"),
    ("Error loading SSO Token", "tunnel-credentials"),
    ("Token has expired", "tunnel-credentials"),
    ("ExpiredToken", "tunnel-credentials"),
    ("Unable to locate credentials", "tunnel-credentials"),
    ("could not be found", "tunnel-credentials"),  # The config profile (NAME) …
    ("security token included in the request", "tunnel-credentials"),
)
"""What ssh and aws say, in the order in which to look for it, and its row."""

FINAL = frozenset({"tunnel-program", *(row for _, row in _MEANINGS)})
"""Rows that somebody has to do something about: trying again alone changes nothing."""

_NOT_FORWARDED = (
    ("open failed: administratively prohibited", "tunnel-forbidden"),
    ("open failed: ", "tunnel-far-end"),
    ("Connection to destination port failed", "tunnel-far-end"),  # session-manager-plugin's
    ("error forwarding port", "tunnel-far-end"),  # kubectl's
)
"""What they say when a connection through an open tunnel gets nowhere."""

FORWARD_SECONDS = 12.0
"""So long such a line may be the reason of a login that failed."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A row, and the line that says so."""

    row: str
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

    def why_it_ended(self) -> Meaning | None:
        """None: it says nothing that is known."""
        return _found((line for _, line in self._lines), _MEANINGS)

    def why_not_forwarded(self) -> Meaning | None:
        """None: it has said nothing of that lately."""
        since = self._now() - FORWARD_SECONDS
        return _found((line for at, line in reversed(self._lines) if at >= since), _NOT_FORWARDED)


def _found(lines: Iterable[str], meanings: Iterable[tuple[str, str]]) -> Meaning | None:
    lines = tuple(lines)
    return next((Meaning(row, line) for marker, row in meanings for line in lines if marker in line), None)


def _secrets(environ: Mapping[str, str]) -> set[str]:
    return {value for name, value in environ.items() if len(value) >= MIN_SECRET and _SECRET_NAMES.search(name)}
