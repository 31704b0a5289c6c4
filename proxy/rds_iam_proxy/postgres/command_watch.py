"""Follows the commands of one session: `dialect.Watch` over pg_wire's SessionWatch."""

from pg_wire.constants import TransactionStatus
from pg_wire.errors import RemoteProtocolError
from pg_wire.framing import SessionWatch

from ..dialect import Bytes

TURN_BYTES = 64 * 1024
"""What is looked at in one turn of the loop: 13,000 of the shortest messages."""


class CommandWatch:
    """`dialect.Watch` for PostgreSQL. A client that breaks the protocol is RDS's to judge."""

    broken: type[Exception] = RemoteProtocolError
    watches_answers = True
    awaits_answer = True
    """Of each command that is counted."""
    interrupted: bytes | None = None
    """Nobody logs in twice."""
    kept_quit = False
    behind_quit = 0
    """No session is lent again."""

    def __init__(self) -> None:
        self._session = SessionWatch()
        self.answered = self._session.answered
        self._waiting = memoryview(b"")

    @property
    def commands(self) -> int:
        return self._session.commands

    @property
    def at_boundary(self) -> bool:
        return self._session.status is not None and not self.has_more

    @property
    def in_transaction(self) -> bool:
        return self._session.status in (TransactionStatus.IN_TRANSACTION, TransactionStatus.FAILED_TRANSACTION)

    @property
    def has_quit(self) -> bool:
        return self._session.has_quit

    @property
    def has_more(self) -> bool:
        return bool(self._waiting)

    def feed(self, data: memoryview) -> Bytes:
        if len(data) > TURN_BYTES:
            self._waiting = memoryview(bytes(data[TURN_BYTES:]))  # the buffer is everybody's
            data = data[:TURN_BYTES]
        self._session.feed(data)
        return data

    def more(self) -> Bytes:
        part, self._waiting = self._waiting[:TURN_BYTES], self._waiting[TURN_BYTES:]
        self._session.feed(part)
        return part

    def flush(self) -> bytes:
        """All but what waits was handed on at once."""
        rest, self._waiting = bytes(self._waiting), memoryview(b"")
        return rest
