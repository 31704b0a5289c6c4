"""The sessions that are open now, by the connection ids that their clients know."""

from collections.abc import Iterator
from dataclasses import dataclass

FIRST_ID = 0x7000_0000
LAST_ID = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class LiveSession:
    """One client's session at RDS. `server` is the IP address and port that it runs on."""

    account: str
    target: str
    server: tuple[str, int]
    rds_connection_id: int


class LiveSessions:
    """Connection ids are unique in this process, 31 bits long and far from those that servers give out."""

    def __init__(self) -> None:
        self._sessions: dict[int, LiveSession] = {}
        self._ids = self._count()

    def __len__(self) -> int:
        return len(self._sessions)

    def new_id(self) -> int:
        return next(candidate for candidate in self._ids if candidate not in self._sessions)

    def add(self, connection_id: int, session: LiveSession) -> None:
        self._sessions[connection_id] = session

    def remove(self, connection_id: int) -> None:
        self._sessions.pop(connection_id, None)

    def kill_target(self, asking: LiveSession, connection_id: int) -> int | None:
        """RDS's id for one of ours, if the asker may kill it: the same account, target and server.

        Behind a reader endpoint two sessions run on two servers: there the id would be a stranger's. Never ask for
        sessions of an RDS Proxy.
        """
        named = self._sessions.get(connection_id)
        if named is None:
            return None
        same = (named.account, named.target, named.server) == (asking.account, asking.target, asking.server)
        return named.rds_connection_id if same else None

    @staticmethod
    def _count() -> Iterator[int]:
        while True:
            yield from range(FIRST_ID, LAST_ID + 1)
