"""Sees whether a target answers, by a whole login: before the first client comes, and while it does not."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from ..dialect import Dialect
from ..errors.tree import LoginError
from ..logs import event
from ..rds.upstream import PROBE, Upstream
from ..stats.target import Health

RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Between two tries, until the target has answered for the first time."""

RECOVERY_SECONDS = 15.0
"""A target whose last login failed is tried again so often: else it would look down until a client comes."""

LOOK_SECONDS = 1.0
"""How often the probe looks whether that is due."""

log = logging.getLogger(__name__)


class Probe:
    """One per target. `run` as long as there is the target; logins of clients count as answers."""

    def __init__(
        self,
        upstream: Upstream,
        dialect: Dialect[Any],
        db_user: str | None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`db_user`: None if nobody may use the target; then nothing is asked."""
        self.db_user = db_user
        self._upstream = upstream
        self._dialect = dialect
        self._wall = wall
        self._first_try_over = asyncio.Event()
        self._retried_at = 0.0

    async def run(self) -> None:
        """Until the target has answered once, then whenever it answers no more."""
        await self._until_first_answer()
        while self.db_user is not None:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_due():
                await self._try_again(self.db_user)

    def _is_due(self) -> bool:
        """The target is not ready, and nobody has tried it lately."""
        upstream = self._upstream
        if upstream.stats.health(breaker_open=upstream.breaker_open)[0] is Health.READY:
            return False
        latest = max((attempt.at for attempt in upstream.stats.attempts.values()), default=0.0)
        tried = max(latest, self._retried_at)
        return not 0 <= self._wall() - tried < RECOVERY_SECONDS  # the clock may be set back

    async def _try_again(self, db_user: str) -> None:
        self._retried_at = self._wall()
        try:
            await self.log_in_once(db_user)
        except LoginError as exc:
            name = self._upstream.target.name
            event(log, logging.DEBUG, "target is still not ready", target=name, reason=exc.reason)

    async def _until_first_answer(self) -> None:
        tries = 0
        while self.db_user is not None and not self._dialect.has_answered():
            try:
                await self.log_in_once(self.db_user)
            except LoginError as exc:
                name = self._upstream.target.name
                event(log, logging.DEBUG, "target does not answer yet", target=name, reason=exc.reason)
                self._dialect.tried()
                self._first_try_over.set()
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
        self._dialect.tried()
        self._first_try_over.set()

    async def first_try(self) -> None:
        """Until the target has answered, or failed to, for the first time."""
        await self._first_try_over.wait()

    async def log_in_once(self, db_user: str) -> None:
        """Anything less than a whole login, and a farewell, would count as a broken connection. Raises LoginError."""
        upstream = self._upstream
        deadline = upstream.now() + upstream.target.login_wait + upstream.target.login_timeout
        permit = await upstream.admit(PROBE, deadline)
        session = await upstream.log_in(self._dialect.probe(db_user), permit)
        await session.quit()
