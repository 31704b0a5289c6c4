"""Refused logins: the last ones, and how often each came again."""

import re
from dataclasses import dataclass, replace

UNTOLD_SECONDS = 60.0
"""How long an error that comes again is only counted, after the log has told it."""

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """What a client that may not log in was told, and what the log says besides."""

    user: str
    peer: str
    reason: str
    code: int
    text: str
    detail: str

    def same(self) -> "RefusedLogin":
        """Equal for errors that differ in nothing but numbers, as in how long one has waited."""
        return replace(self, text=_NUMBER.sub("#", self.text), detail=_NUMBER.sub("#", self.detail))


@dataclass(slots=True)
class SeenError:
    """A refused login, and how often such a one came. Times in seconds since 1970."""

    latest: RefusedLogin
    first_at: float
    last_at: float
    told_at: float
    count: int = 1
    untold: int = 0
    """How many of them the log has not told."""


def _is_recent(seen: SeenError, now: float) -> bool:
    return 0 <= now - seen.told_at < UNTOLD_SECONDS  # the clock may be set back
