"""What is true of the proxy now: readiness, the data of the status page, the numbers for metrics. Dials nothing."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .. import __version__
from ..config import Listener, Target
from ..errors.tree import LoginError
from ..logs import escaped, event, printable
from ..mysql import farewells
from ..service.service import Service
from ..service.wiring import Route
from ..session.clients import Client
from ..session.view import SILENCE_SECONDS, Activity, SessionView
from ..stats.histogram import Histogram
from ..stats.refused import SeenError
from ..stats.target import Health
from .expiry import CertificateEnds
from .history import History, Totals
from .metrics import Numbers, TargetNumbers

MAX_SESSIONS_SHOWN = 200
MAX_ERRORS_SHOWN = 50

_IN = (Activity.RUNNING, Activity.IDLE)

RETRY_SECONDS = 15.0
"""A target whose last login failed is tried again so often: else it would look down until a client comes."""

log = logging.getLogger(__name__)


class Board:
    """`tick` is to be called once a second."""

    def __init__(
        self, service: Service, *, wall: Callable[[], float] = time.time, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.loop_lag = Histogram()
        self._service = service
        self._wall = wall
        self._now = now
        self._started_at = wall()
        self._history = History()
        self._ends = CertificateEnds()
        self._has_started = False
        self._retried: dict[str, float] = {}

    # --- health ---

    @property
    def has_started(self) -> bool:
        """Every target has been tried once, whatever came of it. Once true it stays true."""
        if not self._has_started:
            self._has_started = all(_is_known(route) for route in self._routes.values())
        return self._has_started

    @property
    def is_draining(self) -> bool:
        return self._service.clients.is_stopping

    def obstacles(self, target: str | None = None) -> list[str]:
        """Why no work should be sent here, or not for this target. Raises KeyError for an unknown target."""
        if self.is_draining:
            return ["the proxy is being stopped"]
        routes = self._routes if target is None else {target: self._routes[target]}
        faults = []
        for name, route in routes.items():
            health, why = _health(route)
            if health is not Health.READY and route.probe.db_user is not None:
                faults.append(f"target {name} is {health}: {why}")
        return faults

    # --- once a second ---

    def tick(self) -> None:
        """Take a point for the charts, and try targets again that are not ready."""
        sessions = Counter(view.target for view in self._views() if view.activity in _IN)
        self._history.add({name: _totals(route, sessions[name]) for name, route in self._routes.items()})
        if self.is_draining:
            return
        for name, route in self._routes.items():
            if self._is_due(name, route) and route.probe.db_user is not None:
                self._retried[name] = self._now()
                self._service.spawn(_try_again(route, route.probe.db_user))

    def _is_due(self, name: str, route: Route) -> bool:
        """Before its first greeting a target is tried again by its probe."""
        if route.probe.identity is None or _health(route)[0] is Health.READY:
            return False
        latest = max((attempt.at for attempt in route.upstream.watch.attempts.values()), default=0.0)
        since_retry = self._now() - self._retried.get(name, float("-inf"))
        return since_retry >= RETRY_SECONDS and not 0 <= self._wall() - latest < RETRY_SECONDS

    # --- ending a session ---

    def end_session(self, connection_id: int) -> bool | None:
        """None: there is none of this number. False: it has not logged in yet."""
        for client in self._service.clients:
            view = client.view()
            if view.id == connection_id and view.activity is not Activity.ENDING:
                return self._end(client, view)
        return None

    def _end(self, client: Client, view: SessionView) -> bool:
        why = "ended on the status page"
        idle = client.idle_seconds()
        told = idle is not None and idle >= SILENCE_SECONDS and client.end(farewells.ended_by_operator(), why)
        if not told and not client.cut(why):
            return False
        event(log, logging.WARNING, why, id=view.id, account=view.account, peer=view.peer, target=view.target)
        return True

    # --- what is shown ---

    def status(self) -> dict[str, Any]:
        """All of it, for JSON. Text from clients is escaped for a terminal; a page must still treat it as text."""
        self._count_bytes()
        obstacles, wall = self.obstacles(), self._wall()
        views = sorted(self._views(), key=lambda view: view.activity not in _IN)
        state = "draining" if self.is_draining else "ready" if not obstacles else "not ready"
        if state != "draining" and not self.has_started:
            state = "starting"
        errors = sorted(self._errors(), key=lambda found: found[1].last_at, reverse=True)
        return {
            "version": __version__,
            "state": state,
            "obstacles": [_line(text) for text in obstacles],
            "now": wall,
            "started": self._started_at,
            "listeners": [
                {"address": str(address), "target": listener.target, "tls": listener.tls}
                for address, listener in self._listeners()
            ],
            "targets": [self._target_status(name, route, views) for name, route in self._routes.items()],
            "sessions_total": len(views),
            "sessions": [_session_status(view) for view in views[:MAX_SESSIONS_SHOWN]],
            "errors": [_error_status(name, seen) for name, seen in errors[:MAX_ERRORS_SHOWN]],
        }

    def numbers(self) -> Numbers:
        """For metrics."""
        self._count_bytes()
        views = list(self._views())
        ends = {str(address): self._ends.of(listener.tls_cert) for address, listener in self._listeners()}
        return Numbers(
            now=self._wall(),
            ready=self.has_started and not self.obstacles(),
            draining=self.is_draining,
            targets=tuple(self._target_numbers(name, route, views) for name, route in self._routes.items()),
            tokens_signed=sum(tokens.signed for tokens in self._service.wiring.tokens.values()),
            loop_lag=self.loop_lag,
            listener_certificates={address: end for address, end in ends.items() if end is not None},
        )

    def _target_status(self, name: str, route: Route, views: list[SessionView]) -> dict[str, Any]:
        upstream, watch = route.upstream, route.upstream.watch
        target = upstream.target
        health, why = _health(route)
        mine = [view for view in views if view.target == name]
        identity = route.probe.identity
        return {
            "name": name,
            "endpoint": str(target.address),
            "dial": str(target.dial) if target.dial != target.address else None,
            "region": target.region,
            "health": str(health),
            "why": _line(why),
            "breaker_open": upstream.breaker_open,
            "server_version": printable(identity.version) if identity is not None else None,
            "sessions": sum(view.activity in _IN for view in mine),
            "running": sum(view.activity is Activity.RUNNING for view in mine),
            "max_sessions": target.max_sessions,
            "waiting": route.limiter.waiting,
            "rate": round(route.limiter.rate, 1),
            "rate_limit": target.logins_per_second,
            "accepted": watch.accepted,
            "refused": watch.refused.total(),
            "abandoned": watch.abandoned,
            "last_login": watch.last_login,
            "bytes_from_client": watch.bytes_from_client,
            "bytes_from_rds": watch.bytes_from_rds,
            "token_ages": {user: round(age) for user, age in self._token_ages(route).items()},
            "certificate_expires": watch.certificate_expires,
            "history": self._history.of(name),
            "points_taken": self._history.taken,
        }

    def _target_numbers(self, name: str, route: Route, views: list[SessionView]) -> TargetNumbers:
        return TargetNumbers(
            name=name,
            watch=route.upstream.watch,
            health=_health(route)[0],
            breaker_open=route.upstream.breaker_open,
            sessions=Counter(view.activity for view in views if view.target == name),
            max_sessions=route.upstream.target.max_sessions,
            rate=route.limiter.rate,
            waiting=route.limiter.waiting,
            token_ages=self._token_ages(route),
            roots_expire=route.trust.roots_expire,
        )

    def _token_ages(self, route: Route) -> dict[str, float]:
        target: Target = route.upstream.target
        return route.tokens.ages(target.address, target.region)

    def _errors(self) -> Iterator[tuple[str, SeenError]]:
        for name, route in self._routes.items():
            for seen in route.upstream.watch.errors.values():
                yield name, seen

    def _listeners(self) -> Iterator[tuple[object, Listener]]:
        return zip(self._service.addresses, self._service.config.listeners, strict=True)

    def _views(self) -> Iterator[SessionView]:
        return (client.view() for client in self._service.clients)

    def _count_bytes(self) -> None:
        for client in self._service.clients:
            client.count_bytes()

    @property
    def _routes(self) -> dict[str, Route]:
        return self._service.wiring.routes


async def _try_again(route: Route, db_user: str) -> None:
    try:
        await route.probe.log_in_once(db_user)
    except LoginError as exc:
        event(log, logging.DEBUG, "target is still not ready", target=route.upstream.target.name, reason=exc.reason)


def _health(route: Route) -> tuple[Health, str]:
    return route.upstream.watch.health(breaker_open=route.upstream.breaker_open)


def _is_known(route: Route) -> bool:
    return route.probe.db_user is None or _health(route)[0] is not Health.STARTING


def _totals(route: Route, sessions: int) -> Totals:
    watch = route.upstream.watch
    return Totals(watch.accepted, watch.refused.total(), route.limiter.waiting, sessions)


def _session_status(view: SessionView) -> dict[str, Any]:
    return {
        "id": view.id,
        "target": view.target,
        "peer": view.peer,
        "account": None if view.account is None else printable(view.account),
        "db_user": None if view.db_user is None else printable(view.db_user),
        "program": view.program,
        "activity": str(view.activity),
        "quiet": round(view.quiet_seconds, 1),
        "age": round(view.age_seconds, 1),
        "bytes_from_client": view.bytes_from_client,
        "bytes_from_rds": view.bytes_from_rds,
        "tls": view.tls,
    }


def _error_status(target: str, seen: SeenError) -> dict[str, Any]:
    error = seen.latest.error
    return {
        "target": target,
        "user": seen.latest.user,
        "peer": seen.latest.peer,
        "reason": error.reason,
        "code": seen.latest.code,
        "text": _line(seen.latest.text),
        "detail": _line(error.detail),
        "cause": error.row.cause,
        "remedy": error.row.remedy,
        "first": seen.first_at,
        "last": seen.last_at,
        "count": seen.count,
    }


def _line(text: str) -> str:
    return escaped(" ".join(text.split()))
