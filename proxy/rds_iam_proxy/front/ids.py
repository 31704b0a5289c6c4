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

    def hear_of_kill(self) -> None:
        if self.on_kill is not None:
            self.on_kill()


class LiveSessions:
    """Connection ids are unique in this process, 31 bits long and far from those that servers give out."""

    def __init__(self) -> None:
        self._sessions: dict[Hashable, LiveSession] = {}
        self._at_rds: dict[tuple[tuple[str, int], int], LiveSession] = {}
        self._ids = self._count()

    def __len__(self) -> int:
        return len(self._sessions)

    def new_id(self) -> int:
        return next(candidate for candidate in self._ids if candidate not in self._sessions)

    @contextmanager
    def known(self, name: Hashable, session: LiveSession) -> Iterator[None]:
        """`session` can be named so meanwhile."""
        there = session.server, session.rds_connection_id
        self._sessions[name] = self._at_rds[there] = session
        try:
            yield
        finally:
            self._sessions.pop(name, None)
            if self._at_rds.get(there) is session:
                del self._at_rds[there]

    def find(self, name: Hashable) -> LiveSession | None:
        return self._sessions.get(name)

    def kill_target(self, asking: LiveSession, connection_id: int) -> int | None:
        """RDS's id for one of ours, if the asker may kill it: the same account, target and server.

        Behind a reader endpoint two sessions run on two servers: there the id would be a stranger's. Never ask for
        sessions of an RDS Proxy. A session that is named by RDS's id hears of it too.
        """
        named = self.find(connection_id)
        if named is None:
            other = self._at_rds.get((asking.server, connection_id))
            if other is not None:
                other.hear_of_kill()
            return None
        if (named.account, named.target, named.server) != (asking.account, asking.target, asking.server):
            return None
        named.hear_of_kill()
        return named.rds_connection_id

    @staticmethod
    def _count() -> Iterator[int]:
        while True:
            yield from range(FIRST_ID, LAST_ID + 1)
