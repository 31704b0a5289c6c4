"""One target: permits, and logins at RDS until it has judged."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from ..aws.clock import ClockWatch
from ..aws.tokens import TokenSource
from ..aws.trust import Trust
from ..config import Target
from ..errors.tree import Refused
from ..limits.breaker import Breaker
from ..limits.limiter import Limiter
from ..net.dial import Dialler
from ..stats.phases import PhaseTimer
from ..stats.target import TargetWatch
from . import failures
from .login import Order, Permit, SessionT, Step, Way
from .patience import Patience
from .verdicts import Meaning, Verdicts
from .whereabouts import Whereabouts

LEFT_FOR_LOGIN_SECONDS = 1.0
"""A permit that comes later than this before the deadline is of no use: the login would only be broken off."""

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
        self.limiter = limiter
        self.tokens = tokens
        self.trust = trust
        self.watch = watch or TargetWatch()
        self.now = now
        self._clock = clock or ClockWatch()
        self._breaker = Breaker(now=now)
        self._whereabouts = Whereabouts(target, trust)
        self._dialler = Dialler()
        self._verdicts = Verdicts()
        self._sessions: Counter[str] = Counter()  # by account

    @property
    def sessions(self) -> int:
        """Sessions of clients that are open or being opened."""
        return self._sessions.total() - self._sessions[PROBE]

    @property
    def breaker_open(self) -> bool:
        """Whether logins fail at once, because RDS could not be reached lately."""
        return self._breaker.open

    async def admit(self, account: str, deadline: float) -> Permit:
        """A permit for one login, which `log_in` takes. `deadline` on the monotonic clock.

        Raises Limited, and Unreachable or TLSFailure while RDS is known not to answer.
        """
        self._check_sessions(account)
        self._breaker.check()
        began = self.now()
        left = min(LEFT_FOR_LOGIN_SECONDS, (deadline - began) / 2)
        at = await self.limiter.acquire(account, min(deadline - left, began + self.target.login_wait))
        waited = self.now() - began
        self.watch.permit_wait.observe(waited)
        return Permit(at, deadline, waited)

    async def log_in(self, order: Order[SessionT], permit: Permit) -> SessionT:
        """A session at RDS, for which `admit` has given the permit. Raises LoginError."""
        self._check_sessions(order.account)  # again: several may have waited for the last place
        self._sessions[order.account] += 1
        try:
            return await self._try_until_judged(order, permit)
        except BaseException:
            self._closed(order.account)
            raise

    async def way(self) -> Way:
        """Where the target's logins go now. Raises Unreachable."""
        target, trust = await self._whereabouts.now()
        return Way(target, trust, self.tokens, self._clock, self._dialler)

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

    async def _try_until_judged(self, order: Order[SessionT], permit: Permit) -> SessionT:
        """RDS's verdict on one login, with new tries where the refusal was not about this login itself."""
        trial, permitted_at = self._verdicts.trial(order.db_user, self.now()), permit.at
        patience = Patience(permit.waited, self.now)
        while True:
            try:
                session = await self._connect(order, permit.deadline, patience)
            except Refused as refused:
                meaning = trial.judge(refused, self.now())
                if meaning not in (Meaning.AS_IT_SAYS, Meaning.OLD_TOKEN):
                    self.limiter.throttled(permitted_at)
                if meaning in (Meaning.AS_IT_SAYS, Meaning.NOT_THROTTLED):
                    raise
                if meaning is Meaning.STILL_THROTTLED:
                    ago = self._verdicts.seconds_since_login(order.db_user, self.now())
                    raise failures.throttled(self.target, order.db_user, refused, ago) from refused
            else:
                self._verdicts.logged_in(order.db_user, self.now())
                self._clock.was_right()
                return session
            patience.on(Step.PERMIT)
            last_permit = permit.deadline - LEFT_FOR_LOGIN_SECONDS
            permitted_at = await self.limiter.acquire(order.account, last_permit, again=meaning is Meaning.THROTTLED)

    async def _connect(self, order: Order[SessionT], deadline: float, patience: Patience) -> SessionT:
        with self._breaker.attempt(), self.watch.attempt(order.db_user):
            patience.on(Step.CONNECT)
            way = await self.way()
            try:
                async with asyncio.timeout(max(0.0, deadline - self.now())):
                    if order.token_first:  # it is kept for the login that follows
                        patience.on(Step.CREDENTIALS)
                        await self.tokens.get(way.target.address, way.target.region, order.db_user)
                    patience.on(Step.CONNECT)
                    login = order.make(way, patience.beside(PhaseTimer(self.watch.phases, self.now)))
                    session = await login.run(lambda: self._closed(order.account))
            except TimeoutError:
                raise patience.over(way.target) from None
        self.watch.certificate_expires = login.certificate_expires or self.watch.certificate_expires
        return session
