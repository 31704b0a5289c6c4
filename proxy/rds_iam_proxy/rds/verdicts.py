"""What it means that RDS refused a login: that it throttles, that the token was too old, or what it says.

RDS words throttling like a wrong token, so the meaning depends on who got in lately. Times are seconds of one clock
that the caller reads: nothing here waits or looks at a clock.
"""

from enum import Enum, auto

from ..errors.tree import Refused, Verdict

NEW_TOKEN_SECONDS = 10.0
"""A refused old token is replaced once, and not again for this DB user before so many seconds."""

KNOWN_GOOD_SECONDS = 300.0
"""So long after a login, a DB user whose token RDS refuses is taken to be throttled."""

THROTTLED_RETRIES = 2


class Meaning(Enum):
    """Of one refusal."""

    AS_IT_SAYS = auto()
    OLD_TOKEN = auto()
    """A new one may do better."""
    THROTTLED = auto()
    """A later try may do better."""
    STILL_THROTTLED = auto()
    """The last try was throttled too."""
    NOT_THROTTLED = auto()
    """It looked so, but nobody got in meanwhile: RDS means what it says."""


class Verdicts:
    """What is remembered of a target's DB users, to judge the next refusal by."""

    def __init__(self) -> None:
        self._last_login: dict[str, float] = {}
        self._last_new_token: dict[str, float] = {}

    def trial(self, db_user: str, now: float) -> "Trial":
        """One login that begins."""
        return Trial(self, db_user, now)

    def logged_in(self, db_user: str, now: float) -> None:
        self._last_login[db_user] = now

    def seconds_since_login(self, db_user: str, now: float) -> float | None:
        last_login = self._last_login.get(db_user)
        return None if last_login is None else now - last_login

    def got_in_since(self, db_user: str, moment: float) -> bool:
        last_login = self._last_login.get(db_user)
        return last_login is not None and last_login >= moment

    def may_have_new_token(self, db_user: str, now: float) -> bool:
        """True once in NEW_TOKEN_SECONDS."""
        if now - self._last_new_token.get(db_user, float("-inf")) < NEW_TOKEN_SECONDS:
            return False
        self._last_new_token[db_user] = now
        return True

    def forget(self, db_user: str) -> None:
        """RDS no longer lets this DB user in."""
        self._last_login.pop(db_user, None)


class Trial:
    """One login, which may take several tries: `judge` each refusal."""

    def __init__(self, verdicts: Verdicts, db_user: str, began: float) -> None:
        self._verdicts = verdicts
        self._db_user = db_user
        self._began = began
        self._throttled = 0

    def judge(self, refused: Refused, now: float) -> Meaning:
        if refused.verdict is Verdict.OLD_TOKEN and self._verdicts.may_have_new_token(self._db_user, now):
            return Meaning.OLD_TOKEN
        if not self._is_throttling(refused, now):
            return Meaning.AS_IT_SAYS
        self._throttled += 1
        if self._throttled <= THROTTLED_RETRIES:
            return Meaning.THROTTLED
        # Throttled logins fail while others get in. If none did, it is an AWS session that ended, or a permission that
        # was taken away.
        if refused.verdict.is_of_token and not self._verdicts.got_in_since(self._db_user, self._began):
            self._verdicts.forget(self._db_user)
            return Meaning.NOT_THROTTLED
        return Meaning.STILL_THROTTLED

    def _is_throttling(self, refused: Refused, now: float) -> bool:
        """RDS Proxy says so; RDS itself only refuses a token that should be good."""
        if refused.verdict is Verdict.RATE_LIMITED:
            return True
        ago = self._verdicts.seconds_since_login(self._db_user, now)
        known_good = ago is not None and ago < KNOWN_GOOD_SECONDS
        return refused.verdict.is_of_token and (known_good or self._throttled > 0)
