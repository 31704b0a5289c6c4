"""Who is here, and what the last minutes were like; ends a session when an operator asks for it. Dials nothing."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping

from ..config import Listener
from ..errors.tree import Ended
from ..logs import event
from ..service.budgets import LoginBudget
from ..service.service import LastReload, Service
from ..service.wiring import Route
from ..session.clients import Client
from ..session.view import SILENCE_SECONDS, Activity, SessionView
from ..stats.histogram import Histogram
from ..stats.refused import SeenError
from .history import History, Totals

IN = (Activity.RUNNING, Activity.IDLE, Activity.IN_TRANSACTION)
"""What clients do who are in."""

log = logging.getLogger(__name__)


class Board:
    """`tick` is to be called once a second."""

    def __init__(self, service: Service) -> None:
        self.loop_lag = Histogram()
        self.history = History()
        self._service = service

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._service.wiring.routes

    @property
    def views(self) -> Iterator[SessionView]:
        return (client.view() for client in self._service.clients)

    @property
    def listeners(self) -> Iterator[tuple[object, Listener]]:
        """With the addresses that they listen on."""
        return zip(self._service.addresses, self._service.config.listeners, strict=True)

    @property
    def errors(self) -> Iterator[tuple[str, SeenError]]:
        """With the target's name."""
        for name, route in self.routes.items():
            for seen in route.upstream.stats.errors.values():
                yield name, seen

    @property
    def fleet_budgets(self) -> list[LoginBudget]:
        """Those that other proxies have a part of."""
        return [budget for budget in self._service.wiring.budgets.values() if budget.key.sharing is not None]

    @property
    def last_reload(self) -> LastReload | None:
        return self._service.last_reload

    @property
    def tokens_signed(self) -> int:
        return sum(tokens.signed for tokens in self._service.wiring.tokens.values())

    def count_bytes(self) -> None:
        """So that those of open sessions are in the targets' counters."""
        for client in self._service.clients:
            client.count_bytes()

    def tick(self) -> None:
        """Take a point for the charts."""
        sessions = Counter(view.target for view in self.views if view.activity in IN)
        self.history.add({name: _totals(route, sessions[name]) for name, route in self.routes.items()})

    def end_session(self, connection_id: int) -> bool | None:
        """None: there is none of this number. False: it has not logged in yet."""
        for client in self._service.clients:
            view = client.view()
            if view.id == connection_id and view.activity is not Activity.ENDING:
                return _end(client, view)
        return None


def _end(client: Client, view: SessionView) -> bool:
    why = "ended on the status page"
    idle = client.idle_seconds()
    told = idle is not None and idle >= SILENCE_SECONDS and client.end(Ended("session-ended"), why)
    if not told and not client.cut(why):
        return False
    event(log, logging.WARNING, why, id=view.id, account=view.account, peer=view.peer, target=view.target)
    return True


def _totals(route: Route, sessions: int) -> Totals:
    stats = route.upstream.stats
    return Totals(stats.accepted, stats.refused.total(), route.upstream.limiter.waiting, sessions)
