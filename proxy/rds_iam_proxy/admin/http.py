"""The admin address over HTTP: health, metrics, status, the page, and ending a session."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from . import metrics
from .access import Access, Refusal
from .board import Board

SHUTDOWN_SECONDS = 0.5
MAX_BODY = 1024

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "ask", "charts", "words")},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
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

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminHTTP:
    """`start`, then `close`."""

    def __init__(self, board: Board, access: Access) -> None:
        self._board = board
        self._access = access
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/startup", self._startup)
        app.router.add_get("/readiness", self._readiness)
        app.router.add_get("/liveness", self._liveness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/status", self._status)
        app.router.add_post(r"/sessions/{id:\d{1,10}}/end", self._end_session)
        for path, (name, content_type) in _PAGE.items():
            app.router.add_get(path, _page(name, content_type))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS)

    async def start(self, sock: socket.socket) -> None:
        """Serve what connects to this listening socket, which is ours from now on."""
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        refusal = self._access.check_host(request.headers)
        if refusal is not None:
            return _refuse(refusal)
        return await handler(request)

    # --- health: for everybody who can connect, and without a token ---

    async def _startup(self, _: web.Request) -> web.Response:
        if self._board.has_started:
            return _answer({"status": "started"})
        return _answer({"status": "starting"}, status=503)

    async def _readiness(self, request: web.Request) -> web.Response:
        """`?target=NAME` asks about one target only."""
        target = request.query.get("target")
        try:
            obstacles = self._board.obstacles(target)
        except KeyError:
            return _answer({"status": "not ready", "why": ["there is no such target"]}, status=404)
        if not self._board.has_started and target is None and not self._board.is_draining:
            return _answer({"status": "starting", "why": obstacles}, status=503)
        if obstacles:
            state = "draining" if self._board.is_draining else "not ready"
            return _answer({"status": state, "why": obstacles}, status=503)
        return _answer({"status": "ready"})

    async def _liveness(self, _: web.Request) -> web.Response:
        """That it answers at all is the answer: the event loop runs."""
        return _answer({"status": "alive"})

    # --- the rest ---

    async def _metrics(self, request: web.Request) -> web.Response:
        refusal = self._access.check_reading(request.headers)
        if refusal is not None:
            return _refuse(refusal)
        body = metrics.render(self._board.numbers())
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _status(self, request: web.Request) -> web.Response:
        refusal = self._access.check_reading(request.headers)
        return _refuse(refusal) if refusal is not None else _answer(self._board.status())

    async def _end_session(self, request: web.Request) -> web.Response:
        refusal = self._access.check_acting(request.headers)
        if refusal is not None:
            return _refuse(refusal)
        ended = self._board.end_session(int(request.match_info["id"]))
        if ended is None:
            return _refuse(Refusal(404, "there is no such session any more"))
        if not ended:
            return _refuse(Refusal(409, "this client has not logged in yet"))
        await asyncio.sleep(0)  # so that it is gone when the page looks next
        return _answer({"ended": True})


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _page(name: str, content_type: str) -> _Handler:
    body = (resources.files(__package__) / "page" / name).read_bytes()

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return page


def _answer(value: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value) + "\n", status=status, content_type="application/json")


def _refuse(refusal: Refusal) -> web.Response:
    return _answer({"error": refusal.text}, status=refusal.status)
