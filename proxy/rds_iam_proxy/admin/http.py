"""What is served at the admin addresses: health, metrics, status, the page, and ending a session."""

import asyncio
from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Middleware

from . import metrics
from .access import Access, Refusal
from .board import Board
from .choice import Choice
from .connections import Handler, answer
from .health import Readiness
from .status import Status

MAX_BODY = 1024

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "ask", "charts", "words")},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def health_app(readiness: Readiness) -> web.Application:
    """The health paths and nothing else, for everybody who can connect."""
    return _app(*_health_routes(readiness))


def metrics_app(status: Status) -> web.Application:
    """/metrics and nothing else, for everybody who can connect."""

    async def show(_: web.Request) -> web.Response:
        return _metrics(status)

    return _app(web.get("/metrics", show))


def admin_app(board: Board, readiness: Readiness, status: Status, access: Access) -> web.Application:
    """All of it, as far as `access` allows."""

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = access.check_host(request.headers)
        return await handler(request) if refusal is None else _refuse(refusal)

    async def show_metrics(request: web.Request) -> web.Response:
        refusal = access.check_reading(request.headers)
        return _metrics(status) if refusal is None else _refuse(refusal)

    async def show_status(request: web.Request) -> web.Response:
        refusal = access.check_reading(request.headers)
        return answer(status.status(Choice.asked(request.query))) if refusal is None else _refuse(refusal)

    async def end_session(request: web.Request) -> web.Response:
        refusal = access.check_acting(request.headers)
        return await _end_session(board, int(request.match_info["id"])) if refusal is None else _refuse(refusal)

    return _app(
        *_health_routes(readiness),
        web.get("/metrics", show_metrics),
        web.get("/status", show_status),
        web.post(r"/sessions/{id:\d{1,10}}/end", end_session),
        *(web.get(path, _page(name, content_type)) for path, (name, content_type) in _PAGE.items()),
        middlewares=(check_host,),
    )


def _app(*routes: web.AbstractRouteDef, middlewares: tuple[Middleware, ...] = ()) -> web.Application:
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app.add_routes(routes)
    return app


def _health_routes(readiness: Readiness) -> list[web.RouteDef]:
    async def startup(_: web.Request) -> web.Response:
        if readiness.has_started:
            return answer({"status": "started"})
        return answer({"status": "starting"}, status=503)

    async def ready(request: web.Request) -> web.Response:
        """`?target=NAME` asks about one target only."""
        target = request.query.get("target")
        try:
            obstacles = readiness.obstacles(target)
        except KeyError:
            return answer({"status": "not ready", "why": ["there is no such target"]}, status=404)
        if not readiness.has_started and target is None and not readiness.is_draining:
            return answer({"status": "starting", "why": obstacles}, status=503)
        if obstacles:
            state = "draining" if readiness.is_draining else "not ready"
            return answer({"status": state, "why": obstacles}, status=503)
        return answer({"status": "ready"})

    async def liveness(_: web.Request) -> web.Response:
        """That it answers at all is the answer: the event loop runs."""
        return answer({"status": "alive"})

    return [web.get("/startup", startup), web.get("/readiness", ready), web.get("/liveness", liveness)]


def _metrics(status: Status) -> web.Response:
    return web.Response(body=metrics.render(status.numbers()), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _end_session(board: Board, number: int) -> web.Response:
    ended = board.end_session(number)
    if ended is None:
        return _refuse(Refusal(404, "there is no such session any more"))
    if not ended:
        return _refuse(Refusal(409, "this client has not logged in yet"))
    await asyncio.sleep(0)  # so that it is gone when the page looks next
    return answer({"ended": True})


def _page(name: str, content_type: str) -> Handler:
    body = (resources.files(__package__) / "page" / name).read_bytes()

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return page


def _refuse(refusal: Refusal) -> web.Response:
    return answer({"error": refusal.text}, status=refusal.status)
