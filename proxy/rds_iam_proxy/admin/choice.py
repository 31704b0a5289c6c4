"""Which sessions are shown, and in which order: there may be thousands. Knows nothing of HTTP."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..session.view import SessionView
from .board import IN

MAX_FIND = 64
"""Characters of what is looked for; more are cut off."""

NEWEST = "newest"

_Rank = Callable[[SessionView], float | str]

ORDERS: Mapping[str, _Rank] = {
    NEWEST: lambda view: view.age_seconds,
    "oldest": lambda view: -view.age_seconds,
    "account": lambda view: (view.account or "").casefold(),
    "idle": lambda view: -view.quiet_seconds,
    "sent": lambda view: -view.bytes_from_client,
    "received": lambda view: -view.bytes_from_rds,
}
"""What may be asked for, and what is compared then; the smallest comes first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Sessions in which `find` stands somewhere, those that are in before those that wait."""

    find: str = ""
    order: str = NEWEST

    @classmethod
    def asked(cls, query: Mapping[str, str]) -> "Choice":
        """An order that there is not is the usual one."""
        order = query.get("order", "")
        return cls(query.get("find", "").strip()[:MAX_FIND].casefold(), order if order in ORDERS else NEWEST)

    def of(self, views: Iterable[SessionView]) -> list[SessionView]:
        rank = ORDERS[self.order]
        found = (view for view in views if not self.find or self.find in _words(view))
        return sorted(found, key=lambda view: (view.activity not in IN, rank(view)))


def _words(view: SessionView) -> str:
    """All that a person may know of a session."""
    peer = view.peer if view.port is None else f"{view.peer}:{view.port}"
    names = (view.account or "", view.db_user or "", view.program, view.target, str(view.activity), peer)
    return "\n".join((f"id {view.id}", f"rds {view.rds_connection_id}", *names)).casefold()
