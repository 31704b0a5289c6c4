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
        """The next connection and its address, however long it takes. None is lost where this is cancelled: the loop's
        own `sock_accept` has accepted one already while its caller has yet to wake up.
        """
        while True:
            await _readable(sock)
            try:
                return sock.accept()
            except BlockingIOError:  # it has gone, or another process has it
                continue
            except OSError as exc:
                self.failed(exc)
                await asyncio.sleep(PAUSE_SECONDS)

    def failed(self, exc: OSError) -> None:
        """Tell, or count."""
        times = self._failures.times(self._now())
        if times is not None:
            event(log, logging.WARNING, "cannot accept", reason=exc.strerror or type(exc).__name__, times=times)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)
