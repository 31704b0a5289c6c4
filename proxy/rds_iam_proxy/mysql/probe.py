"""Learns what RDS's greeting says before the first client is greeted, and remembers it across starts."""

import asyncio
import logging
from collections.abc import Callable, Coroutine

from mysql_wire.handshake import ServerIdentity

from ..errors.tree import LoginError
from ..logs import event
from ..rds.upstream import Upstream
from .greetings import DEFAULT_IDENTITY, Greetings

FIRST_CLIENTS_WAIT_SECONDS = 4.0
"""The first clients wait this long for the first probe; then they are greeted by what was known last. It is taken off
the time that their login at RDS may last, which must leave a token its 5 s."""

RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[None, None, None]], object]


class Probe:
    """One per target. `run` until the target answered once; logins of clients count as answers."""

    def __init__(self, upstream: Upstream, db_user: str | None, greetings: Greetings, spawn: Spawn) -> None:
        self._upstream = upstream
        self.db_user = db_user
        self._greetings = greetings
        self._spawn = spawn
        self._first_try_over = asyncio.Event()
        self._fallback: ServerIdentity | None = None
        upstream.on_new_identity = self._learnt

    async def run(self) -> None:
        tries = 0
        while self._upstream.identity is None and self.db_user is not None:
            try:
                await self._upstream.probe(self.db_user)
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
        if self._upstream.identity is None:
            try:
                async with asyncio.timeout(FIRST_CLIENTS_WAIT_SECONDS):
                    await self._first_try_over.wait()
            except TimeoutError:
                self._first_try_over.set()
        return self._upstream.identity or self._kept()

    def _kept(self) -> ServerIdentity:
        if self._fallback is None:
            self._fallback = self._greetings.load(self._upstream.target.address) or DEFAULT_IDENTITY
        return self._fallback

    def _learnt(self, identity: ServerIdentity) -> None:
        self._first_try_over.set()
        self._spawn(self._greetings.save(self._upstream.target.address, identity))
