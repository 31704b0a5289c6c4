"""What happened at one target lately: a few numbers a login, kept in memory for metrics and the status page."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ..errors.tree import CredentialsError, LoginError, Refused, TLSFailure, Unreachable, Verdict
from .histogram import Histogram
from .phases import Phase
from .refused import RefusedLogin, SeenError, is_recent

MAX_ERRORS = 50
"""Different errors of one target that are remembered."""

MAX_DB_USERS = 200
"""DB users of one target whose last login is remembered."""

_CUTS_OFF = (Unreachable, TLSFailure, CredentialsError)
"""Nobody can log in then, whoever they are."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last login at RDS as one DB user. `at`: seconds since 1970. `reason`: empty if it worked."""

    at: float
    reason: str = ""
    text: str = ""
    detail: str = ""
    cuts_off: bool = False
    """It failed for a reason that has nothing to do with the DB user."""


class Health(StrEnum):
    STARTING = "starting"
    """Nothing is known yet."""
    READY = "ready"
    REFUSED = "refused"
    """It answers, but lets nobody in."""
    DOWN = "down"


@dataclass(slots=True)
class TargetStats:
    """One per target; it survives reloads."""

    wall: Callable[[], float] = field(default=time.time, repr=False)
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Logins of clients that were answered with an error, by reason."""
    abandoned: int = 0
    """Logins that the client broke off."""
    lent: int = 0
    """Logins of clients that a used session served."""
    unfit: Counter[str] = field(default_factory=Counter)
    """Used sessions that were not lent again, by why."""
    bytes_from_client: int = 0
    bytes_from_rds: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """Sessions, by who ended them."""
    client_login: Histogram = field(default_factory=Histogram)
    """Seconds from the greeting until a client has proved its password."""
    permit_wait: Histogram = field(default_factory=Histogram)
    phases: dict[Phase, Histogram] = field(default_factory=lambda: {phase: Histogram() for phase in Phase})
    attempts: OrderedDict[str, Attempt] = field(default_factory=OrderedDict)
    """By DB user, the latest last."""
    errors: OrderedDict[tuple[object, ...], SeenError] = field(default_factory=OrderedDict)
    """By what makes them the same, the latest last."""
    forgotten: list[SeenError] = field(default_factory=list)
    """Those that had to make room, and of which the log has to tell yet."""
    last_login: float | None = None
    certificate_expires: float | None = None
    """Of the certificate that RDS showed last; seconds since 1970."""

    def elsewhere(self) -> "TargetStats":
        """For the same target at another address: what was learnt of the old one is not true of it."""
        return replace(self, attempts=OrderedDict(), last_login=None, certificate_expires=None)

    @contextmanager
    def attempt(self, db_user: str) -> Iterator[None]:
        """Around one login at RDS as this DB user."""
        try:
            yield
        except LoginError as error:
            self.attempted(db_user, error)
            raise
        self.attempted(db_user, None)

    def attempted(self, db_user: str, error: LoginError | None) -> None:
        """RDS was asked to let this DB user in. An error that says nothing about RDS is not kept."""
        now = self.wall()
        if error is None or (isinstance(error, Refused) and error.verdict is Verdict.OF_DATABASE):
            attempt, self.last_login = Attempt(now), now
        elif isinstance(error, (*_CUTS_OFF, Refused)):
            attempt = Attempt(now, error.reason, error.text, error.detail, isinstance(error, _CUTS_OFF))
        else:
            return
        self.attempts.pop(db_user, None)
        self.attempts[db_user] = attempt
        if len(self.attempts) > MAX_DB_USERS:
            self.attempts.popitem(last=False)

    def refuse(self, login: RefusedLogin) -> bool:
        """A client was told that it cannot log in. Returns whether the log tells it: not what it has just told."""
        self.refused[login.error.reason] += 1
        now, key = self.wall(), login.same
        seen = self.errors.pop(key, None)
        is_new = seen is None or not is_recent(seen, now)
        if seen is None:
            seen = SeenError(login, now, now, now)
        else:
            seen.count += 1
            seen.latest, seen.last_at = login, now
        if is_new:
            seen.told_at = now
        else:
            seen.untold += 1
        self.errors[key] = seen
        if len(self.errors) > MAX_ERRORS:
            oldest = self.errors.pop(self._least_missed())
            if oldest.untold:
                self.forgotten.append(oldest)
        return is_new

    def _least_missed(self) -> tuple[object, ...]:
        """The oldest error of the most frequent reason: sixty unknown users must not push out another error."""
        reasons = Counter(seen.latest.error.reason for seen in self.errors.values())
        most = max(reasons.values())
        return next(key for key, seen in self.errors.items() if reasons[seen.latest.error.reason] == most)

    def tell_again(self, *, at_once: bool = False) -> list[tuple[RefusedLogin, int]]:
        """Errors that came so many times more since the log told them, a while ago. Now it has told these too."""
        now = self.wall()
        due = [seen for seen in self.errors.values() if seen.untold and (at_once or not is_recent(seen, now))]
        due += self.forgotten
        self.forgotten.clear()
        told = [(seen.latest, seen.untold) for seen in due]
        for seen in due:
            seen.untold, seen.told_at = 0, now
        return told

    def health(self, *, breaker_open: bool) -> tuple[Health, str]:
        """What the last logins say about the target, and why; it is not dialled for this."""
        if not self.attempts:
            return Health.STARTING, "no login has been tried yet"
        latest = next(reversed(self.attempts.values()))
        if latest.reason and (breaker_open or latest.cuts_off):
            return Health.DOWN, latest.text
        if all(attempt.reason for attempt in self.attempts.values()):
            return Health.REFUSED, latest.text
        if latest.reason:
            return Health.READY, f"but the last login failed: {latest.text}"
        return Health.READY, ""
