"""As which server clients are greeted: as RDS greeted us last. Learnt from each login, and kept across starts."""

import asyncio
from collections.abc import Callable, Coroutine

from mysql_wire.capabilities import same_format
from mysql_wire.handshake import LoginRequest, ServerIdentity

from ..aws.names import parse_rds_name
from ..errors.tree import GreetingChanged
from ..logs import printable
from ..net.address import Address
from .greetings import DEFAULT_IDENTITY, Greetings

FIRST_CLIENTS_WAIT_SECONDS = 4.0
"""The first clients wait this long for the first probe; then they are greeted by what was known last. It is taken off
the time that their login at RDS may last, which must leave a token its 5 s."""

GREETING_SHARE = 0.45
"""Of `login_timeout`, if that is less: most of it is for the login itself."""

Spawn = Callable[[Coroutine[None, None, None]], object]


class Greeter:
    """One per target and endpoint."""

    def __init__(self, endpoint: Address, greetings: Greetings, spawn: Spawn) -> None:
        self.endpoint = endpoint
        name = parse_rds_name(endpoint.host)
        self.is_rds_proxy = name is not None and name.kind.is_proxy
        """It moves sessions between servers: no id of ours names one there, and it pools by itself."""
        self.identity: ServerIdentity | None = None
        """What RDS's last greeting said."""
        self._greetings = greetings
        self._spawn = spawn
        self._fallback: ServerIdentity | None = None
        self._nothing_to_wait_for = asyncio.Event()

    @property
    def has_answered(self) -> bool:
        return self.identity is not None

    @property
    def version(self) -> str:
        return "" if self.identity is None else printable(self.identity.version)

    async def greet_as(self, login_timeout: float) -> ServerIdentity:
        """RDS's last greeting; before the first one what was kept from an earlier start, else a default."""
        if self.identity is None:
            try:
                async with asyncio.timeout(min(FIRST_CLIENTS_WAIT_SECONDS, GREETING_SHARE * login_timeout)):
                    await self._nothing_to_wait_for.wait()
            except TimeoutError:
                self._nothing_to_wait_for.set()
        return self.identity or await self._kept()

    def tried(self) -> None:
        """A probe failed, so the next ones that are greeted need not wait for it."""
        self._nothing_to_wait_for.set()

    def learn(self, identity: ServerIdentity) -> None:
        """RDS's greeting, once it is known to be RDS's: over verified TLS."""
        if identity == self.identity:
            return
        self.identity = identity
        self._nothing_to_wait_for.set()
        self._spawn(self._greetings.save(self.endpoint, identity))

    def check(self, answers_as: ServerIdentity, request: LoginRequest, greeted_as: ServerIdentity) -> None:
        """Raises GreetingChanged if the client was greeted as another kind of server than answers now."""
        if not same_format(request, greeted_as, answers_as):
            version = printable(answers_as.version)
            raise GreetingChanged("greeting-changed", address=str(self.endpoint), version=version)

    async def _kept(self) -> ServerIdentity:
        if self._fallback is None:
            self._fallback = await self._greetings.load(self.endpoint) or DEFAULT_IDENTITY
        return self._fallback
