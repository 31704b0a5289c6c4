"""One target: permits, and logins at RDS until it has judged."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from ..aws.clock import TokenClock
from ..aws.tokens import TokenSource
from ..aws.trust import Trust
from ..config import Target
from ..errors.tree import Limited, Refused, Unreachable
from ..limits.breaker import Breaker
from ..limits.limiter import Limiter
from ..net.dial import Dialler
from ..stats.phases import PhaseTimer
from ..stats.target import TargetStats
from . import failures
from .login import Order, Permit, SessionT, Step, Way
from .patience import Patience
from .pool import PARKED_SHARE, Bounds, Pool
from .tunnel.tunnel import OPENING_SECONDS, Tunnel
from .verdicts import Meaning, Verdicts
from .whereabouts import Whereabouts

LEFT_FOR_LOGIN_SECONDS = 1.0
"""A permit that comes later than this before the deadline is of no use: the login would only be broken off."""

PROBE = ""
"""The account of the proxy's own logins: its session takes nobody's place."""

_UNSEEN = (Step.CONNECT, Step.GREETING)
"""RDS has not said a word yet."""


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
        stats: TargetStats | None = None,
        clock: TokenClock | None = None,
        tunnel: Tunnel | None = None,
    ) -> None:
        self.target = target
        self.limiter = limiter
        self.tokens = tokens
        self.trust = trust
        self.tunnel = tunnel
        self.stats = stats or TargetStats()
        self.now = now
        self._clock = clock or TokenClock()
        self._breaker = Breaker(now=now)
        self._whereabouts = Whereabouts(target, trust, tunnel=tunnel)
        self._dialler = Dialler()
        self._verdicts = Verdicts()
        self._sessions: Counter[str] = Counter()  # by account
        self.pool: Pool[Any] = Pool(_bounds(target), now)

    @property
    def sessions(self) -> int:
        """Sessions of clients that are open or being opened."""
        return self._sessions.total() - self._sessions[PROBE] - len(self.pool)

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
        if deadline <= began:
            raise Limited("greeted-late", seconds=self.target.login_timeout)
        left = min(LEFT_FOR_LOGIN_SECONDS, (deadline - began) / 2)
        at = await self.limiter.acquire(account, min(deadline - left, began + self.target.login_wait))
        waited = self.now() - began
        self.stats.permit_wait.observe(waited)
        return Permit(at, deadline, waited)

    async def log_in(self, order: Order[SessionT], permit: Permit) -> SessionT:
        """A session at RDS, for which `admit` has given the permit. Raises LoginError."""
        self._check_sessions(order.account)  # again: several may have waited for the last place
        self._opened(order.account)
        try:
            return await self._try_until_judged(order, permit)
        except BaseException:
            self._closed(order.account)
            raise

    async def way(self, seconds: float = OPENING_SECONDS) -> Way:
        """Where the target's logins go now. `seconds`: so long a tunnel may need to open. Raises Unreachable."""
        target, trust = await self._whereabouts.now(seconds)
        return Way(target, trust, self.tokens, self._clock, self._dialler)

    async def have_token(self, db_user: str) -> None:
        """Raises LoginError if no login is possible now for want of one."""
        way = await self.way()
        await self.tokens.get(way.target.address, way.target.region, db_user)

    def spoil(self, *, account: str | None = None, db_user: str | None = None) -> None:
        """No session of these that is open now is lent any more; None: whichever."""
        for loan in self.pool.spoil(account=account, db_user=db_user):
            loan.leave()

    def close_expired(self) -> None:
        """Those that have waited too long for their next client; to be called from time to time."""
        for loan in self.pool.expired():
            loan.leave()

    def close_pool(self) -> None:
        """Nothing is lent from now on."""
        for loan in self.pool.close():
            loan.leave()

    def _check_sessions(self, account: str) -> None:
        """A session that waits for a client makes room for one that is there."""
        target, most = self.target, self.target.max_sessions_per_account
        while self.sessions + len(self.pool) >= target.max_sessions:
            if not self._evict(None):
                raise failures.sessions_in_use(target)
        while most is not None and self._sessions[account] >= most:
            if not self._evict(account):
                raise failures.account_sessions_in_use(target, account, most)

    def _evict(self, account: str | None) -> bool:
        loan = self.pool.evict(account)
        if loan is not None:
            loan.leave()
        return loan is not None

    def _opened(self, account: str) -> None:
        self._sessions[account] += 1
        if self.tunnel is not None:
            self.tunnel.enter()

    def _closed(self, account: str) -> None:
        if self.tunnel is not None:
            self.tunnel.leave()
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
                    self.spoil(db_user=order.db_user)
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
        """A tunnel that ended under a login which RDS has not seen yet is waited for once more."""
        try:
            return await self._log_in_once(order, deadline, patience)
        except Unreachable:
            if self.tunnel is None or not self.tunnel.opens_again or patience.step not in _UNSEEN:
                raise
            return await self._log_in_once(order, deadline, patience)
        finally:
            if self.breaker_open:
                self.spoil()

    async def _log_in_once(self, order: Order[SessionT], deadline: float, patience: Patience) -> SessionT:
        with self._breaker.attempt(), self.stats.attempt(order.db_user):
            patience.on(Step.CONNECT)
            login = None
            left = deadline - self.now()
            way = await self.way(max(0.0, left - min(LEFT_FOR_LOGIN_SECONDS, left / 2)))
            try:
                async with asyncio.timeout(max(0.0, deadline - self.now())):
                    if order.token_first:  # it is kept for the login that follows
                        patience.on(Step.CREDENTIALS)
                        await self.tokens.get(way.target.address, way.target.region, order.db_user)
                    patience.on(Step.CONNECT)
                    login = order.make(way, patience.beside(PhaseTimer(self.stats.phases, self.now)))
                    session = await login.run(partial(self._closed, order.account))
            except TimeoutError:
                if self.tunnel is not None and login is not None and login.step in _UNSEEN:
                    self.tunnel.unanswered()
                raise patience.over(way.target) from None
            except Unreachable as exc:
                raise await self._whereabouts.explained(exc) from exc
            if self.tunnel is not None:
                self.tunnel.answered()
        self.stats.certificate_expires = login.certificate_expires or self.stats.certificate_expires
        return session


def _bounds(target: Target) -> Bounds | None:
    if not target.reuse:
        return None
    total = max(1, int(target.max_sessions * PARKED_SHARE))
    return Bounds(target.reuse_idle, target.reuse_lifetime, target.reuse_max, total)
