"""The connections of one HTTP address: few, and none that says nothing. Knows no path.

aiohttp's own limits end with the first byte: a client that sends one every few seconds would stay for ever.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ..net.accept import Acceptance

MAX_CONNECTIONS = 50
"""The one that has been silent for longest makes room for the next."""

SILENT_SECONDS = 10.0
"""How long a connection may stay open without a whole request."""

SHUTDOWN_SECONDS = 0.5
HEADERS = {
    "Server": "rds-iam-proxy",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HTTPServer:
    """`start`, `run` until it is cancelled, meanwhile `sweep`, then `close`."""

    def __init__(self, app: web.Application, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._open: set[_Connection] = set()
        app.middlewares.insert(0, self._while_busy)
        app.on_response_prepare.append(_add_headers)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)

    async def start(self) -> None:
        await self._runner.setup()

    async def run(self, sock: socket.socket) -> None:
        """Serve what connects to this listening socket."""
        loop, acceptance = asyncio.get_running_loop(), Acceptance()
        try:
            while True:
                client, _ = await acceptance.accept(sock)
                self._make_room()
                with contextlib.suppress(OSError):  # it has gone already
                    await loop.connect_accepted_socket(self._connection, client)
        finally:
            sock.close()

    async def close(self) -> None:
        await self._runner.cleanup()

    def sweep(self) -> None:
        """Close what has been silent for too long; to be called once a second or so."""
        for connection in [one for one in self._open if one.silent_for(self._now()) >= SILENT_SECONDS]:
            connection.cut()

    def _make_room(self) -> None:
        while len(self._open) >= MAX_CONNECTIONS:
            longest = max(self._open, key=lambda one: one.silent_for(self._now()))
            self._open.discard(longest)
            longest.cut()

    def _connection(self) -> "_Connection":
        server = self._runner.server
        if server is None:
            raise RuntimeError("not started")
        return _Connection(server, self._open, self._now)

    @web.middleware
    async def _while_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):
            return await handler(request)
        connection.silent_since = None
        try:
            return await handler(request)
        finally:
            connection.silent_since = self._now()


class _Connection(web.RequestHandler):
    """Remembers since when it has been silent, and tells nobody which software this is."""

    def __init__(self, server: web.Server, among: "set[_Connection]", now: Callable[[], float]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=SILENT_SECONDS)  # type: ignore[arg-type]
        self._among = among
        self.silent_since: float | None = now()
        """None: a request is being answered."""

    def silent_for(self, now: float) -> float:
        return 0.0 if self.silent_since is None else now - self.silent_since

    def cut(self) -> None:
        """Whatever is still to be sent: who reads nothing would keep it open."""
        transport = self.transport  # force_close forgets it
        self.force_close()
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._among.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._among.discard(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What no handler has answered. What a client did wrong is not logged: it could fill the log."""
        if status >= 500:
            super().handle_error(request, status, exc, message)
        text = "an internal error; the log has more" if status >= 500 else "this is not an HTTP request"
        response = answer({"error": text}, status=status)
        response.headers.update(HEADERS)
        response.force_close()
        return response


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def answer(value: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value) + "\n", status=status, content_type="application/json")
