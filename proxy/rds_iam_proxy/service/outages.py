"""Tells the log, once each, when a target goes down and when it is up. Asks their statistics; dials nothing."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..logs import event
from ..stats.target import Attempt, Health
from .wiring import Route

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the log says last of a target. `since`: seconds since 1970, when it began to be so."""

    health: Health
    reason: str
    since: float
    refused: int
    """Logins of clients that it had refused by then."""


class Outages:
    """`look` is to be called often. A target that fails in another way than before is told again."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._told: dict[str, _Told] = {}

    def look(self, routes: Mapping[str, Route]) -> None:
        for name in self._told.keys() - routes.keys():
            del self._told[name]
        for name, route in routes.items():
            self._look_at(name, route)

    def _look_at(self, name: str, route: Route) -> None:
        upstream, stats = route.upstream, route.upstream.stats
        health, _ = stats.health(breaker_open=upstream.breaker_open)
        if health is Health.STARTING:
            return
        db_user, latest = next(reversed(stats.attempts.items()))
        before, reason = self._told.get(name), "" if health is Health.READY else latest.reason
        if before is not None and (before.health, before.reason) == (health, reason):
            return
        is_still_down = before is not None and before.health is not Health.READY and health is not Health.READY
        now = _Told(
            health,
            reason,
            before.since if before is not None and is_still_down else self._wall(),
            before.refused if before is not None and is_still_down else stats.refused.total(),
        )
        self._told[name] = now
        if health is Health.READY:
            self._tell_up(name, route, before)
        else:
            _tell_down(name, route, health, db_user, latest)

    def _tell_up(self, name: str, route: Route, before: _Told | None) -> None:
        upstream = route.upstream
        event(
            log,
            logging.INFO,
            "target up",
            target=name,
            endpoint=str(upstream.target.address),
            version=route.dialect.version() or None,
            down_seconds=None if before is None else round(self._wall() - before.since, 1),
            logins_refused=None if before is None else upstream.stats.refused.total() - before.refused,
        )


def _tell_down(name: str, route: Route, health: Health, db_user: str, latest: Attempt) -> None:
    event(
        log,
        logging.WARNING,
        "target down",
        target=name,
        endpoint=str(route.upstream.target.address),
        health=str(health),
        db_user=db_user,
        reason=latest.reason,
        text=latest.text,
        detail=latest.detail or None,
    )
