"""The admin addresses: health, metrics and the status page. Imported only when one is configured: aiohttp takes 0.4 s.

aiohttp because it is the HTTP server that lives on the event loop there is: no thread, no second loop.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from aiohttp import web

from ..config import Admin
from ..errors.tree import ConfigError
from ..logs import event
from ..net.address import Address
from ..net.sockets import listen
from ..service.service import Service
from .access import Access
from .board import Board
from .connections import HTTPServer
from .health import Readiness
from .http import admin_app, health_app, metrics_app
from .status import Status
from .token import admin_token

PULSE_SECONDS = 0.5
"""How often the lag of the event loop is measured; every second pulse is a point on the charts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """One address and what is served there. `what`: the log's word for it."""

    what: str
    bind: Address
    server: HTTPServer
    token_file: Path | None = None


class AdminServer:
    """`start` it; it closes with the service, and so outlives the drain, to tell of it."""

    def __init__(self, admin: Admin, service: Service) -> None:
        """Raises ConfigError."""
        self._service = service
        self._board = Board(service)
        readiness = Readiness(service)
        status = Status(self._board, readiness)
        self._places: list[_Place] = []
        if admin.bind is not None:
            token, file = admin_token(admin, platformdirs.user_state_path("rds-iam-proxy"))
            access = Access(token, admin.bind.is_loopback, admin.public_host)
            self._add("admin", admin.bind, admin_app(self._board, readiness, status, access), file)
        if admin.health_bind is not None:
            self._add("health", admin.health_bind, health_app(readiness))
        if admin.metrics_bind is not None:
            self._add("metrics", admin.metrics_bind, metrics_app(status))

    def _add(self, what: str, bind: Address, app: web.Application, token_file: Path | None = None) -> None:
        self._places.append(_Place(what, bind, HTTPServer(app), token_file))

    async def start(self) -> None:
        """Listen everywhere. Raises ConfigError, and then nowhere."""
        sockets: list[socket.socket] = []
        try:
            sockets.extend(map(_listen, self._places))
        except ConfigError:
            for sock in sockets:
                sock.close()
            raise
        for place, sock in zip(self._places, sockets, strict=True):
            await place.server.start()
            self._service.spawn(_serve(place.server, sock))
            address = Address(place.bind.host, sock.getsockname()[1])
            file = None if place.token_file is None else str(place.token_file)
            event(log, logging.INFO, place.what, url=f"http://{address}/", token_file=file)
        self._service.spawn(self._pulse())

    async def _pulse(self) -> None:
        loop, pulses = asyncio.get_running_loop(), 0
        while True:
            due = loop.time() + PULSE_SECONDS
            await asyncio.sleep(PULSE_SECONDS)
            self._board.loop_lag.observe(max(0.0, loop.time() - due))
            pulses += 1
            if pulses % 2 == 0:
                self._board.tick()
                for place in self._places:
                    place.server.sweep()


def _listen(place: _Place) -> socket.socket:
    """Raises ConfigError."""
    try:
        return listen(place.bind).sock
    except OSError as exc:
        key = "--admin" if place.what == "admin" else f"admin.{place.what}_bind"
        raise ConfigError([f"cannot listen on {place.bind}: {exc.strerror}; choose another {key}"]) from exc


async def _serve(server: HTTPServer, sock: socket.socket) -> None:
    try:
        await server.run(sock)
    finally:
        await server.close()
