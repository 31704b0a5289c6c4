"""The admin address: health, metrics and the status page. Imported only when one is configured: aiohttp takes 0.4 s.

aiohttp because it is the HTTP server that lives on the event loop there is: no thread, no second loop, and limits and
timeouts of its own.
"""

import asyncio
import logging

import platformdirs

from ..config import Admin
from ..errors.tree import ConfigError
from ..logs import event
from ..net.address import Address
from ..net.sockets import listen
from ..service.service import Service
from .access import Access
from .board import Board
from .http import AdminHTTP
from .token import admin_token

PULSE_SECONDS = 0.5
"""How often the lag of the event loop is measured; every second pulse is a point on the charts."""

log = logging.getLogger(__name__)


class AdminServer:
    """`start` it; it closes with the service, and so outlives the drain, to tell of it."""

    def __init__(self, admin: Admin, service: Service) -> None:
        """Raises ConfigError."""
        token, self._token_file = admin_token(admin, platformdirs.user_state_path("rds-iam-proxy"))
        self._admin = admin
        self._service = service
        self._board = Board(service)
        self._http = AdminHTTP(self._board, Access(token, admin.bind.is_loopback, admin.public_host))

    async def start(self) -> Address:
        """Listen; returns the address, with the real port where 0 was asked for. Raises ConfigError."""
        try:
            listening = listen(self._admin.bind)
        except OSError as exc:
            raise ConfigError([f"cannot listen on {self._admin.bind}: {exc.strerror}; choose another --admin"]) from exc
        address = Address(self._admin.bind.host, listening.sock.getsockname()[1])
        await self._http.start(listening.sock)
        self._service.spawn(self._run())
        event(log, logging.INFO, "admin", url=f"http://{address}/", token_file=str(self._token_file))
        return address

    async def _run(self) -> None:
        try:
            await self._pulse()
        finally:
            await self._http.close()

    async def _pulse(self) -> None:
        loop, pulses = asyncio.get_running_loop(), 0
        while True:
            due = loop.time() + PULSE_SECONDS
            await asyncio.sleep(PULSE_SECONDS)
            self._board.loop_lag.observe(max(0.0, loop.time() - due))
            pulses += 1
            if pulses % 2 == 0:
                self._board.tick()
