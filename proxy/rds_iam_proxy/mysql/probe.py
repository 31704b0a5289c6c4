"""Learns what RDS's greeting says before the first client is greeted, and remembers it across starts."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine

from mysql_wire.capabilities import LOGIN_CAPABILITIES, same_format
from mysql_wire.constants import MariaDBCapability
from mysql_wire.handshake import LoginRequest, ServerIdentity

from ..errors.tree import LoginError
from ..logs import event
from ..rds import failures
from ..rds.login import OnStep, Way
from ..rds.upstream import LOGIN_SECONDS, PROBE, Make, Upstream
from ..stats.target import Health
from .greetings import DEFAULT_IDENTITY, Greetings
from .rds_login import RDSLogin, UpstreamSession

FIRST_CLIENTS_WAIT_SECONDS = 4.0
"""The first clients wait this long for the first probe; then they are greeted by what was known last. It is taken off
the time that their login at RDS may last, which must leave a token its 5 s."""

RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)

RECOVERY_SECONDS = 15.0
"""A target whose last login failed is tried again so often: else it would look down until a client comes."""

LOOK_SECONDS = 1.0
"""How often the probe looks whether that is due."""

log = logging.getLogger(__name__)

PROBE_REQUEST = LoginRequest(
    user=b"",
    database=None,
    collation=45,
    max_packet_size=1 << 24,
    capabilities=LOGIN_CAPABILITIES,
    mariadb_capabilities=MariaDBCapability(0),
)

Spawn = Callable[[Coroutine[None, None, None]], object]


class Probe:
    """One per target. `run` as long as there is the target; logins of clients count as answers."""

    def __init__(
        self,
        upstream: Upstream,
        db_user: str | None,
        greetings: Greetings,
        spawn: Spawn,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._upstream = upstream
        self._wall = wall
        self.db_user = db_user
        self._greetings = greetings
        self._spawn = spawn
        self._first_try_over = asyncio.Event()
        self._fallback: ServerIdentity | None = None
        self._retried_at = 0.0
        self.identity: ServerIdentity | None = None

    async def run(self) -> None:
        """Until the target has answered once, then whenever it answers no more."""
        await self._learn()
        while self.db_user is not None:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_due():
                await self._try_again(self.db_user)

    def _is_due(self) -> bool:
        """The target is not ready, and nobody has tried it lately."""
        upstream = self._upstream
        if upstream.watch.health(breaker_open=upstream.breaker_open)[0] is Health.READY:
            return False
        latest = max((attempt.at for attempt in upstream.watch.attempts.values()), default=0.0)
        tried = max(latest, self._retried_at)
        return not 0 <= self._wall() - tried < RECOVERY_SECONDS  # the clock may be set back

    async def _try_again(self, db_user: str) -> None:
        self._retried_at = self._wall()
        try:
            await self.log_in_once(db_user)
        except LoginError as exc:
            name = self._upstream.target.name
            event(log, logging.DEBUG, "target is still not ready", target=name, reason=exc.reason)

    async def _learn(self) -> None:
        tries = 0
        while self.identity is None and self.db_user is not None:
            try:
                await self.log_in_once(self.db_user)
            except LoginError as exc:
                target = self._upstream.target
                event(
                    log,
                    logging.WARNING,
                    "target does not answer as it should",
                    target=target.name,
                    endpoint=str(target.address),
                    db_user=self.db_user,
                    reason=exc.reason,
                    text=exc.text,
                    detail=exc.detail or None,
                )
                self._first_try_over.set()
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
        self._first_try_over.set()

    async def first_try(self) -> None:
        """Until the target has answered, or failed to, for the first time."""
        await self._first_try_over.wait()

    async def greet_as(self) -> ServerIdentity:
        """RDS's last greeting; before the first one what was kept from an earlier start, else a default."""
        if self.identity is None:
            try:
                async with asyncio.timeout(FIRST_CLIENTS_WAIT_SECONDS):
                    await self._first_try_over.wait()
            except TimeoutError:
                self._first_try_over.set()
        return self.identity or await self._kept()

    async def _kept(self) -> ServerIdentity:
        if self._fallback is None:
            self._fallback = await self._greetings.load(self._upstream.target.address) or DEFAULT_IDENTITY
        return self._fallback

    def login(self, db_user: str, request: LoginRequest) -> Make[UpstreamSession]:
        """For `Upstream.log_in`."""

        def make(way: Way, on_step: OnStep) -> RDSLogin:
            return RDSLogin(way, db_user, request, on_step, self._learnt)

        return make

    async def log_in_once(self, db_user: str) -> None:
        """Learn RDS's greeting by a whole login: anything less counts towards its max_connect_errors."""
        upstream = self._upstream
        deadline = upstream.now() + upstream.target.login_wait + LOGIN_SECONDS
        permit = await upstream.admit(PROBE, deadline)
        make, known = self.login(db_user, PROBE_REQUEST), self.identity is not None
        session = await upstream.log_in(PROBE, db_user, make, permit=permit, deadline=deadline, with_token=known)
        await session.quit()

    def check(self, session: UpstreamSession, request: LoginRequest, greeted_as: ServerIdentity) -> None:
        """Raises GreetingChanged if the client was greeted as another kind of server than answers now."""
        if not same_format(request, greeted_as, session.identity):
            raise failures.greeting_changed(self._upstream.target, session.identity.version)

    def _learnt(self, identity: ServerIdentity) -> None:
        if identity == self.identity:
            return
        self.identity = identity
        self._first_try_over.set()
        self._spawn(self._greetings.save(self._upstream.target.address, identity))
