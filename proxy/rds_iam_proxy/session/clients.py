"""Everybody who is connected: ends those who idle too long, and all of them when the proxy stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from ..config import Target
from ..errors.tree import Ended, LoginError
from ..logs import event
from .view import SILENCE_SECONDS, SessionView

SWEEP_SECONDS = 0.5

IDLE_GRACE_SECONDS = 2.0
"""What idle sessions get when the proxy stops: who sends a command within it goes on."""

LAST_WORDS_SECONDS = 1.0

log = logging.getLogger(__name__)


class Client(Protocol):
    """A `session.Session`, as far as this module knows it."""

    @property
    def target(self) -> Target: ...
    @property
    def is_in(self) -> bool: ...
    def idle_seconds(self) -> float | None: ...
    def stop_login(self) -> None: ...
    def end(self, farewell: LoginError, why: str) -> bool: ...
    def cut(self, why: str) -> bool: ...
    def view(self) -> SessionView: ...
    def count_bytes(self) -> None: ...


class Clients:
    """`sweep` is to be called every SWEEP_SECONDS."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tasks: dict[Client, asyncio.Task[None]] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._empty_since = now()
        self._stopping_since: float | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._tasks))

    @property
    def is_stopping(self) -> bool:
        return self._stopping_since is not None

    @property
    def empty_seconds(self) -> float:
        """How long nobody has been connected."""
        return 0.0 if self._tasks else self._now() - self._empty_since

    def add(self, client: Client, task: asyncio.Task[None]) -> None:
        """`task` is the client's life."""
        self._tasks[client] = task
        self._empty.clear()
        task.add_done_callback(lambda _: self._remove(client))
        if self._stopping_since is not None:
            client.stop_login()

    def _remove(self, client: Client) -> None:
        del self._tasks[client]
        if not self._tasks:
            self._empty_since = self._now()
            self._empty.set()

    def sweep(self) -> None:
        """Look at every session once, and end those whose time is over."""
        now = self._now()
        for client in tuple(self._tasks):
            seconds = client.idle_seconds()
            if seconds is None:
                continue
            idle_timeout = client.target.idle_timeout
            if self._stopping_since is not None:
                if seconds >= SILENCE_SECONDS and min(seconds, now - self._stopping_since) >= IDLE_GRACE_SECONDS:
                    client.end(Ended("session-stopped"), "the proxy stops")
            elif idle_timeout is not None and seconds >= idle_timeout:
                client.end(Ended("session-idle", target=client.target.name, seconds=idle_timeout), "idle_timeout")

    async def drain(self, seconds: float, stop_now: asyncio.Event) -> int:
        """Refuse logins, and let the sessions end within `seconds`, or until `stop_now`; then end them.

        Returns how many busy ones were cut.
        """
        self._stopping_since = self._now()
        for client in tuple(self._tasks):
            client.stop_login()
        if self._tasks:
            event(log, logging.INFO, "stopping; a second signal ends at once", sessions=len(self), within=seconds)
            await _first_of((self._empty.wait(), stop_now.wait()), seconds)
        left = tuple(self._tasks)
        cut = [client for client in left if client.is_in and not self._end_idle(client)]
        if len(cut) < len(left) and not stop_now.is_set():
            await _first_of((self._empty.wait(), stop_now.wait()), LAST_WORDS_SECONDS)
        for task in tuple(self._tasks.values()):
            task.cancel()
        await self._empty.wait()
        return len(cut)

    def _end_idle(self, client: Client) -> bool:
        seconds = client.idle_seconds()
        if seconds is None or seconds < SILENCE_SECONDS:
            return False
        return client.end(Ended("session-stopped"), "the proxy stops")


async def _first_of(waits: Iterable[Awaitable[object]], seconds: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
