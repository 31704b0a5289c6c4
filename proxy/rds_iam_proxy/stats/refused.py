"""Refused logins: the last ones, and how often each came again."""

from dataclasses import dataclass

from ..errors.tree import LoginError

UNTOLD_SECONDS = 60.0
"""How long an error that comes again is only counted, after the log has told it."""


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """A client that may not log in, and why. `code` and `text` are what it was told."""

    user: str
    peer: str
    code: int | str
    text: str
    error: LoginError
    """One that was not raised: it is kept."""

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for errors that differ in nothing but numbers, as in how long one has waited."""
        return (self.user, self.peer, self.error.same)


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


def is_recent(seen: SeenError, now: float) -> bool:
    """Whether the log has told it a moment ago."""
    return 0 <= now - seen.told_at < UNTOLD_SECONDS  # the clock may be set back
