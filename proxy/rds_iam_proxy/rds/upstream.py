"""One target: permits, and logins at RDS until it has judged."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from ..aws.clock import ClockWatch
from ..aws.tokens import TokenSource
from ..aws.trust import Trust
from ..config import Target
from ..errors.tree import LoginError, Refused, Verdict
from ..limits.breaker import Breaker
from ..limits.limiter import Limiter
from ..net.dial import Dialler
from ..rds import failures
from ..stats.phases import PhaseTimer
from ..stats.target import TargetWatch
from .login import Login, OnStep, Step, Way
from .whereabouts import Whereabouts

SessionT = TypeVar("SessionT")
Make = Callable[[Way, OnStep], Login[SessionT]]
"""Makes one login at RDS."""

LOGIN_SECONDS = 10.0
"""Dial, TLS and login together."""

LEFT_FOR_LOGIN_SECONDS = 1.0
"""A permit that comes later than this before the deadline is of no use: the login would only be broken off."""

RETRY_SECONDS = 10.0
"""A refused old token is replaced once, and not again for this DB user before RETRY_SECONDS."""

KNOWN_GOOD_SECONDS = 300.0
"""So long after a login, a DB user whose token RDS refuses is taken to be throttled: RDS words both alike."""

THROTTLED_RETRIES = 2

PROBE = ""
"""The account of the proxy's own logins: its session takes nobody's place."""


class Upstream:
    """Everything that the sessions of one target share.

    A session is opened in two steps: `admit` waits for a permit and may be given up at any time, `log_in` dials and
    should be let finish, because RDS counts handshakes that break off.
    """

    def __init__(
        self,
        target: Target,
        *,
        limiter: Limiter,
        tokens: TokenSource,
        trust: Trust,
        now: Callable[[], float] = time.monotonic,
        watch: TargetWatch | None = None,
        clock: ClockWatch | None = None,
    ) -> None:
        self.target = target
        self.watch = watch or TargetWatch()
        self._limiter = limiter
        self._breaker = Breaker(now=now)
        self._tokens = tokens
        self._whereabouts = Whereabouts(target, trust)
        self._dialler = Dialler()
        self.now = now
        self._clock = clock or ClockWatch()
        self._sessions: Counter[str] = Counter()  # by account
        self._retried: dict[str, float] = {}
        self._last_login: dict[str, float] = {}  # by DB user

    @property
    def sessions(self) -> int:
        """Sessions of clients that are open or being opened."""
        return self._sessions.total() - self._sessions[PROBE]

    @property
    def breaker_open(self) -> bool:
        """Whether logins fail at once, because RDS could not be reached lately."""
        return self._breaker.open

    async def admit(self, account: str, deadline: float) -> float:
        """A permit for one login: its time, which `log_in` takes. `deadline` on the monotonic clock.

        Raises Limited, and Unreachable or TLSFailure while RDS is known not to answer.
        """
        self._check_sessions(account)
        self._breaker.check()
        began = self.now()
        permit = await self._limiter.acquire(account, min(deadline, began + self.target.login_wait))
        self.watch.permit_wait.observe(self.now() - began)
        return permit

    async def log_in(
        self,
        account: str,
        db_user: str,
        make: Make[SessionT],
        *,
        permit: float,
        deadline: float,
        with_token: bool = True,
    ) -> SessionT:
        """A session at RDS, for which `admit` has given the permit. Raises LoginError."""
        self._check_sessions(account)  # again: several may have waited for the last place
        self._sessions[account] += 1
        try:
            return await self._try_until_judged(account, db_user, make, permit, deadline, with_token)
        except BaseException:
            self._closed(account)
            raise

    def _check_sessions(self, account: str) -> None:
        target, most = self.target, self.target.max_sessions_per_account
        if self.sessions >= target.max_sessions:
            raise failures.sessions_in_use(target)
        if most is not None and self._sessions[account] >= most:
            raise failures.account_sessions_in_use(target, account, most)

    def _closed(self, account: str) -> None:
        self._sessions[account] -= 1
        if not self._sessions[account]:
            del self._sessions[account]

    async def _try_until_judged(
        self, account: str, db_user: str, make: Make[SessionT], permit: float, deadline: float, with_token: bool
    ) -> SessionT:
        """RDS's verdict on one login, with new tries where the refusal was not about this login itself."""
        began, throttled = self.now(), 0
        last_permit = deadline - LEFT_FOR_LOGIN_SECONDS
        while True:
            try:
                session = await self._connect(account, db_user, make, deadline, with_token)
            except Refused as refused:
                if self._may_replace_token(refused, db_user):
                    permit = await self._limiter.acquire(account, last_permit)
                    continue
                if not self._is_throttling(refused, db_user, throttled):
                    raise
                self._limiter.throttled(permit)
                throttled += 1
                if throttled > THROTTLED_RETRIES:
                    raise self._still_throttled(refused, db_user, began) from refused
                permit = await self._limiter.acquire(account, last_permit, again=True)
            else:
                self._last_login[db_user] = self.now()
                self._clock.was_right()
                return session

    def _may_replace_token(self, refused: Refused, db_user: str) -> bool:
        now = self.now()
        if refused.verdict is not Verdict.OLD_TOKEN or now - self._retried.get(db_user, -RETRY_SECONDS) < RETRY_SECONDS:
            return False
        self._retried[db_user] = now
        return True

    def _is_throttling(self, refused: Refused, db_user: str, throttled_before: int) -> bool:
        """RDS Proxy says so; RDS itself only refuses a token that should be good."""
        if refused.verdict is Verdict.RATE_LIMITED:
            return True
        last_login = self._last_login.get(db_user)
        known_good = last_login is not None and self.now() - last_login < KNOWN_GOOD_SECONDS
        return refused.verdict.is_of_token and (known_good or throttled_before > 0)

    def _still_throttled(self, refused: Refused, db_user: str, began: float) -> LoginError:
        """Throttled logins fail while others get in. If none did meanwhile, RDS means what it says: an AWS session
        that ended or a permission that was taken away looks like this."""
        last_login = self._last_login.get(db_user)
        if refused.verdict.is_of_token and (last_login is None or last_login < began):
            self._last_login.pop(db_user, None)
            return refused
        ago = None if last_login is None else self.now() - last_login
        return failures.throttled(self.target, db_user, refused, ago)

    async def _connect(
        self, account: str, db_user: str, make: Make[SessionT], deadline: float, with_token: bool
    ) -> SessionT:
        with self._breaker.attempt(), self.watch.attempt(db_user):
            target, trust = await self._whereabouts.now()
            if with_token:
                await self._have_token(target, db_user, deadline)
            started = self.now()
            timer = PhaseTimer(self.watch.phases, self.now)
            login = make(Way(target, trust, self._tokens, self._clock, self._dialler), timer)
            try:
                async with asyncio.timeout(max(0.0, min(LOGIN_SECONDS, deadline - started))):
                    session = await login.run(lambda: self._closed(account))
            except TimeoutError:
                seconds = self.now() - started
                if login.step is Step.CREDENTIALS:
                    raise failures.credentials_too_late(seconds) from None
                raise failures.no_answer(target, login.step, seconds) from None
        self.watch.certificate_expires = login.certificate_expires or self.watch.certificate_expires
        return session

    async def _have_token(self, target: Target, db_user: str, deadline: float) -> None:
        """Without one, do not even dial: RDS counts handshakes that break off, and blocks this host after a hundred
        in a row. To learn the first greeting, one is worth it."""
        started = self.now()
        try:
            async with asyncio.timeout(max(0.0, deadline - started)):
                await self._tokens.get(target.address, target.region, db_user)
        except TimeoutError:
            raise failures.credentials_too_late(self.now() - started) from None
