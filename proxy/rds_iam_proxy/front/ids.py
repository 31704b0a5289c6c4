"""The sessions that are open now, by what their clients know of them: a connection id, or an id and a key.

A client names sessions by it: in a KILL, or in a request to cancel.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FIRST_ID = 0x7000_0000
LAST_ID = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class LiveSession:
    """One client's session at RDS. `server` is the IP address and port that it runs on."""

    account: str
    target: str
    server: tuple[str, int]
    rds_connection_id: int
    rds_key: bytes = field(default=b"", repr=False)
    """What RDS asks of who cancels, where the protocol has that."""
    on_kill: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    """Hears that a client's KILL, which is on its way now, names it."""


class LiveSessions:
    """Connection ids are unique in this process, 31 bits long and far from those that servers give out."""

    def __init__(self) -> None:
        self._sessions: dict[Hashable, LiveSession] = {}
        self._ids = self._count()

    def __len__(self) -> int:
        return len(self._sessions)

    def new_id(self) -> int:
        return next(candidate for candidate in self._ids if candidate not in self._sessions)

    @contextmanager
    def known(self, name: Hashable, session: LiveSession) -> Iterator[None]:
        """`session` can be named so meanwhile."""
        self._sessions[name] = session
        try:
            yield
        finally:
            self._sessions.pop(name, None)

    def find(self, name: Hashable) -> LiveSession | None:
        return self._sessions.get(name)

    def kill_target(self, asking: LiveSession, connection_id: int) -> int | None:
        """RDS's id for one of ours, if the asker may kill it: the same account, target and server.

        Behind a reader endpoint two sessions run on two servers: there the id would be a stranger's. Never ask for
        sessions of an RDS Proxy.
        """
        named = self.find(connection_id)
        if named is None:
            return None
        if (named.account, named.target, named.server) != (asking.account, asking.target, asking.server):
            return None
        if named.on_kill is not None:
            named.on_kill()
        return named.rds_connection_id

    @staticmethod
    def _count() -> Iterator[int]:
        while True:
            yield from range(FIRST_ID, LAST_ID + 1)
