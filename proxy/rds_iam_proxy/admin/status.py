"""All that is true now, as JSON for the status page and `status`, and as numbers for metrics. Changes nothing."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .. import __version__
from ..limits.shared_budget import Source
from ..logs import dropped_lines, escaped, printable
from ..rds.tunnel.tunnel import Tunnel
from ..service.budgets import LoginBudget
from ..service.service import LastReload
from ..service.wiring import Route
from ..session.view import Activity, SessionView
from ..stats.refused import SeenError
from ..stats.target import Health
from .board import IN, Board
from .choice import Choice
from .expiry import CertificateEnds
from .health import Readiness, health_of
from .metrics import Numbers, TargetNumbers

MAX_SESSIONS_SHOWN = 200
MAX_ERRORS_SHOWN = 50

MAX_OF_ONE_KIND = 20
"""Errors of one reason that are shown: somebody who tries names must not push another error off the page."""


_ALL = Choice()
_WORST = (Health.DOWN, Health.REFUSED, Health.STARTING, Health.READY)


class Status:
    """What a board and the readiness say, put together."""

    def __init__(self, board: Board, readiness: Readiness, *, wall: Callable[[], float] = time.time) -> None:
        self._board = board
        self._readiness = readiness
        self._wall = wall
        self._started_at = wall()
        self._ends = CertificateEnds()

    def status(self, choice: Choice = _ALL) -> dict[str, Any]:
        """For JSON, with the first of the sessions that are chosen.

        Text from clients is escaped for a terminal; a page must still treat it as text.
        """
        board, readiness = self._board, self._readiness
        board.count_bytes()
        views = list(board.views)
        chosen = choice.of(views)
        targets = [self._target_status(name, route, views) for name, route in board.routes.items()]
        return {
            "version": __version__,
            "state": readiness.state,
            "obstacles": [_line(text) for text in readiness.obstacles()],
            "reload": _reload_status(board.last_reload),
            "log_lines_dropped": dropped_lines(),
            "now": self._wall(),
            "started": self._started_at,
            "listeners": [
                {"address": str(address), "target": listener.target, "tls": listener.tls}
                for address, listener in board.listeners
            ],
            "targets": sorted(targets, key=lambda target: _WORST.index(target["health"])),
            "budgets": [_budget_status(budget) for budget in board.fleet_budgets],
            "sessions_total": len(views),
            "sessions_found": len(chosen),
            "sessions": [_session_status(view) for view in chosen[:MAX_SESSIONS_SHOWN]],
            "errors": [_error_status(name, seen) for name, seen in _shown(list(board.errors))],
        }

    def numbers(self) -> Numbers:
        """For metrics."""
        board, readiness = self._board, self._readiness
        board.count_bytes()
        views = list(board.views)
        ends = {str(address): self._ends.of(listener.tls_cert) for address, listener in board.listeners}
        return Numbers(
            now=self._wall(),
            ready=readiness.is_ready,
            draining=readiness.is_draining,
            targets=tuple(_target_numbers(name, route, views) for name, route in board.routes.items()),
            tokens_signed=board.tokens_signed,
            loop_lag=board.loop_lag,
            listener_certificates={address: end for address, end in ends.items() if end is not None},
            last_reload=board.last_reload,
            log_lines_dropped=dropped_lines(),
            budgets=tuple(board.fleet_budgets),
        )

    def _target_status(self, name: str, route: Route, views: list[SessionView]) -> dict[str, Any]:
        upstream, stats = route.upstream, route.upstream.stats
        target = upstream.target
        health, why = health_of(route)
        mine = [view for view in views if view.target == name]
        return {
            "name": name,
            "endpoint": str(target.address),
            "engine": target.engine,
            "dial": str(target.dial) if target.dial != target.address else None,
            "tunnel": _tunnel(upstream.tunnel),
            "region": target.region,
            "health": str(health),
            "why": _line(why),
            "breaker_open": upstream.breaker_open,
            "server_version": route.dialect.version() or None,
            "sessions": sum(view.activity in IN for view in mine),
            "running": sum(view.activity is Activity.RUNNING for view in mine),
            "max_sessions": target.max_sessions,
            "parked": len(upstream.pool),
            "lent": stats.lent,
            "waiting": upstream.limiter.waiting,
            "rate": round(upstream.limiter.rate, 1),
            "rate_limit": round(upstream.limiter.limit, 1),
            "accepted": stats.accepted,
            "refused": stats.refused.total(),
            "abandoned": stats.abandoned,
            "last_login": stats.last_login,
            "bytes_from_client": stats.bytes_from_client,
            "bytes_from_rds": stats.bytes_from_rds,
            "token_ages": {user: round(age) for user, age in _token_ages(route).items()},
            "certificate_expires": stats.certificate_expires,
            "history": self._board.history.of(name),
            "points_taken": self._board.history.taken,
        }


def _tunnel(tunnel: Tunnel | None) -> dict[str, Any] | None:
    if tunnel is None:
        return None
    why = "" if tunnel.failure is None else _line(tunnel.failure.text)
    return {"way": str(tunnel), "state": str(tunnel.state), "starts": tunnel.starts, "said": tunnel.said, "why": why}


def _budget_status(budget: LoginBudget) -> dict[str, Any]:
    """A login budget that is shared with other proxies; without a store this proxy has a fixed part of it."""
    permits, member, sharing = budget.permits, budget.member, budget.key.sharing
    status: dict[str, Any] = {
        "name": budget.key.name,
        "size": sharing.size if sharing else 1,
        "rate": round(budget.limiter.rate, 1),
        "rate_limit": budget.key.rate,
        "waiting": budget.limiter.waiting,
        "store": None,
    }
    if permits is None or member is None:
        return status
    answer = permits.answer
    return status | {
        "store": str(member.store.place),
        "store_up": member.up,
        "store_fault": _line(member.why),
        "source": str(permits.source),
        "members": 0 if answer is None else answer.members,
        "from_store": permits.granted[Source.STORE],
        "from_share": permits.granted[Source.SHARE],
        "slots_dropped": permits.dropped,
        "clock_resets": permits.clock_resets,
    }


def _target_numbers(name: str, route: Route, views: list[SessionView]) -> TargetNumbers:
    return TargetNumbers(
        name=name,
        stats=route.upstream.stats,
        health=health_of(route)[0],
        breaker_open=route.upstream.breaker_open,
        tunnel=route.upstream.tunnel,
        sessions=Counter(view.activity for view in views if view.target == name),
        max_sessions=route.upstream.target.max_sessions,
        parked=len(route.upstream.pool),
        rate=route.upstream.limiter.rate,
        waiting=route.upstream.limiter.waiting,
        token_ages=_token_ages(route),
        roots_expire=route.upstream.trust.roots_expire,
    )


def _token_ages(route: Route) -> dict[str, float]:
    target = route.upstream.target
    return route.upstream.tokens.ages(target.address, target.region)


def _shown(errors: list[tuple[str, SeenError]]) -> list[tuple[str, SeenError]]:
    """The latest first, and not too many of one kind."""
    kinds: Counter[str] = Counter()
    shown = []
    for name, seen in sorted(errors, key=lambda found: found[1].last_at, reverse=True):
        kinds[seen.latest.error.reason] += 1
        if kinds[seen.latest.error.reason] <= MAX_OF_ONE_KIND:
            shown.append((name, seen))
    return shown[:MAX_ERRORS_SHOWN]


def _reload_status(last: LastReload | None) -> dict[str, Any] | None:
    return None if last is None else {"at": last.at, "faults": [_line(fault) for fault in last.faults]}


def _session_status(view: SessionView) -> dict[str, Any]:
    return {
        "id": view.id,
        "target": view.target,
        "peer": view.peer,
        "port": view.port,
        "rds_connection_id": view.rds_connection_id,
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
