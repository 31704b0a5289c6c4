"""Accepts connections of one listening socket, and says once, not ten times a second, that it cannot."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from ..logs import Seldom, event

PAUSE_SECONDS = 0.1
"""After a failure: nearly always there are no descriptors left, and somebody must end first."""

log = logging.getLogger(__name__)


class Acceptance:
    """One for each listening socket."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures = Seldom()

    async def accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """The next connection and its address, however long it takes."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.sock_accept(sock)
            except OSError as exc:
                self.failed(exc)
                await asyncio.sleep(PAUSE_SECONDS)

    def failed(self, exc: OSError) -> None:
        """Tell, or count."""
        times = self._failures.times(self._now())
        if times is not None:
            event(log, logging.WARNING, "cannot accept", reason=exc.strerror or type(exc).__name__, times=times)
