"""Whether the proxy has started, may be sent work, and is being stopped. Dials nothing, changes nothing."""

from collections.abc import Mapping

from ..service.service import Service
from ..service.wiring import Route
from ..stats.target import Health


class Readiness:
    """Of a service and its targets."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._has_started = False

    @property
    def has_started(self) -> bool:
        """Every target has been tried once, whatever came of it. Once true it stays true."""
        if not self._has_started:
            self._has_started = all(map(_is_known, self._routes.values()))
        return self._has_started

    @property
    def is_draining(self) -> bool:
        return self._service.clients.is_stopping

    @property
    def is_ready(self) -> bool:
        return self.has_started and not self.obstacles()

    @property
    def state(self) -> str:
        """In one word or two."""
        if self.is_draining:
            return "draining"
        if not self.has_started:
            return "starting"
        return "not ready" if self.obstacles() else "ready"

    def obstacles(self, target: str | None = None) -> list[str]:
        """Why no work should be sent here, or not for this target. Raises KeyError for an unknown target."""
        if self.is_draining:
            return ["the proxy is being stopped"]
        routes = self._routes if target is None else {target: self._routes[target]}
        faults = []
        for name, route in routes.items():
            health, why = health_of(route)
            if health is not Health.READY and route.probe.db_user is not None:
                faults.append(f"target {name} is {health}: {why}")
        return faults

    @property
    def _routes(self) -> Mapping[str, Route]:
        return self._service.wiring.routes


def health_of(route: Route) -> tuple[Health, str]:
    """What the last logins say about a target, and why."""
    return route.upstream.stats.health(breaker_open=route.upstream.breaker_open)


def _is_known(route: Route) -> bool:
    return route.probe.db_user is None or health_of(route)[0] is not Health.STARTING
