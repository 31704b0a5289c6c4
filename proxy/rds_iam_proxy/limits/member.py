"""One proxy's talk with the store of its fleet about one budget: a task that asks for slots, and is heard."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable

from ..errors.tree import LoginError
from ..logs import event
from .limiter import Limiter
from .shared_budget import Answer, Ask, SharedPermits, Source
from .store import Store, StoreError

log = logging.getLogger(__name__)

LEAVE_SECONDS = 0.5
"""Of a stop, so that the others have this proxy's share at once."""

_MIN_SLEEP_SECONDS = 0.0005

_CROWDED_ANSWERS = 20
"""In a row: one that was killed and has been started again is counted twice for a moment."""


def _ignore(_: float) -> None:
    pass


class Member:
    """`run` until it is cancelled; then the fleet hears that this proxy leaves. For one event loop."""

    def __init__(
        self,
        budget: str,
        permits: SharedPermits,
        store: Store,
        *,
        now: Callable[[], float] = time.monotonic,
        on_call: Callable[[float], None] = _ignore,
        identity: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """`on_call` gets the seconds that each answered call took."""
        self.budget = budget
        self.permits = permits
        self.store = store
        self.up = False
        """Whether the last call was answered."""
        self.why = ""
        """Why not, if it was not."""
        self._now = now
        self._on_call = on_call
        self._id = identity()
        self._wanted = asyncio.Event()
        self._source: Source | None = None
        self._crowded = 0

    def wake(self) -> None:
        """A login waits, or something is to be told."""
        self._wanted.set()

    async def run(self, limiter: Limiter) -> None:
        """Ask for slots while logins of this limiter wait, and be heard in any case."""
        try:
            while True:
                await self._sleep(self.permits.seconds_to_ask(limiter.waiting, self._now()))
                if self.permits.seconds_to_ask(limiter.waiting, self._now()) <= 0:
                    await self._call(limiter)
                self._tell_source()
        finally:
            await self._leave()

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, _MIN_SLEEP_SECONDS)):
                await self._wanted.wait()

    async def _call(self, limiter: Limiter) -> None:
        before = self.permits.answer
        try:
            await self.store.connect()
            sent = self._now()
            ask = self.permits.ask(limiter.waiting, sent)
            values = await self.store.call(self.budget, ask.arguments(self._id, self.permits.fleet))
            answer, received = Answer.decode(values), self._now()
        except (StoreError, LoginError, ValueError) as exc:
            self._failed(exc)
            return
        self.permits.answered(ask, answer, sent, received)
        self._on_call(received - sent)
        self.up, self.why = True, ""
        self._tell(limiter, before, answer, ask)
        limiter.permits_came()

    def _failed(self, exc: Exception) -> None:
        self.permits.failed(self._now())
        why = exc.text if isinstance(exc, LoginError) else str(exc)
        if self.up or not self.why:
            event(log, logging.DEBUG, "the fleet's store failed", budget=self.budget, why=why)
        self.up, self.why = False, why

    async def _leave(self) -> None:
        """Its share goes to the others at once."""
        with contextlib.suppress(StoreError, LoginError, TimeoutError):
            if self.up:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.store.connect()  # a call that was broken off took the connection with it
                    await self.store.call(self.budget, ["leave", self._id])
        await self.store.close()

    # --- what the log hears ---

    def _tell(self, limiter: Limiter, before: Answer | None, answer: Answer, ask: Ask) -> None:
        if before is not None and answer.stepped > before.stepped:
            limiter.rate_changed(answer.bears)
        if answer.members <= self.permits.fleet.size:
            self._crowded = 0
            return
        self._crowded += 1
        if self._crowded == _CROWDED_ANSWERS:
            event(
                log,
                logging.WARNING,
                "more proxies than the fleet's size; raise [fleet] size, or they exceed the rate when the store is"
                " silent",
                budget=self.budget,
                members=answer.members,
                size=self.permits.fleet.size,
            )

    def _tell_source(self) -> None:
        """One line when it changes; the first answer is a change, too."""
        rate = self.permits.rate(self._now())
        source = self.permits.source if self.up or self.permits.source is Source.SHARE else self._source
        if source is self._source:
            return
        self._source = source
        if source is Source.STORE:
            event(log, logging.INFO, "the fleet's store answers; logins share its budget", budget=self.budget)
        else:
            event(
                log,
                logging.WARNING,
                "the fleet's store is silent; this proxy keeps to its share",
                budget=self.budget,
                store=str(self.store.place),
                logins_per_second=round(rate, 1),
                why=self.why,
            )
