"""Sees whether a target answers, by a whole login, before the first client comes; tries again until it does."""

import asyncio
import logging
from typing import Any

from ..dialect import Dialect
from ..errors.tree import LoginError
from ..logs import event
from ..rds.upstream import LOGIN_SECONDS, PROBE, Upstream

RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Between two tries."""

log = logging.getLogger(__name__)


class Probe:
    """One per target. `run` until the target answered once; logins of clients count as answers."""

    def __init__(self, upstream: Upstream, dialect: Dialect[Any], db_user: str | None) -> None:
        """`db_user`: None if nobody may use the target; then nothing is asked."""
        self.db_user = db_user
        self._upstream = upstream
        self._dialect = dialect
        self._first_try_over = asyncio.Event()

    async def run(self) -> None:
        tries = 0
        while self.db_user is not None and not self._dialect.has_answered():
            try:
                await self.log_in_once(self.db_user)
            except LoginError as exc:
                self._tell(exc)
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
        deadline = upstream.now() + upstream.target.login_wait + LOGIN_SECONDS
        permit = await upstream.admit(PROBE, deadline)
        session = await upstream.log_in(self._dialect.probe(db_user), permit)
        await session.quit()

    def _tell(self, error: LoginError) -> None:
        target = self._upstream.target
        event(
            log,
            logging.WARNING,
            "target does not answer as it should",
            target=target.name,
            endpoint=str(target.address),
            db_user=self.db_user,
            reason=error.reason,
            text=error.text,
            detail=error.detail or None,
        )
