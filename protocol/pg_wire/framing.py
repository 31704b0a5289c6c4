"""Where messages begin and end: during a login each is taken off whole, later only what tells that a session rests.

PostgreSQL manual: Message Flow (Simple Query, Extended Query, COPY Operations, Pipelining).
"""

from dataclasses import dataclass
from enum import Enum
from struct import Struct

from .constants import Kind, TransactionStatus
from .errors import LocalProtocolError, MalformedMessage, MessageTooLarge

MAX_FIRST_PACKET_BYTES = 10_000
"""Longest first packet without its length word, as the server's own limit."""

MAX_LOGIN_MESSAGE_BYTES = 65_535
"""Longest message accepted before a login has succeeded, without type and length; the server's limit for passwords."""

MIN_FIRST_PACKET_BYTES = 4
LENGTH_BYTES = 4
HEADER_BYTES = 5

_HEADER = Struct("!BI").unpack_from
_READY = b"Z\0\0\0\x05"
_READY_BYTES = len(_READY) + 1
_STATUS = {status.value[0]: status for status in TransactionStatus}
_BEHIND_READY_BYTES = 1024
"""How much that came unasked behind a ReadyForQuery, in the same chunk, is looked at."""

_ASKING = frozenset({Kind.QUERY, Kind.SYNC, Kind.FUNCTION_CALL})
"""Messages from the client that the server answers with one ReadyForQuery each."""

_EXTENDED = frozenset({Kind.PARSE, Kind.BIND, Kind.DESCRIBE, Kind.EXECUTE, Kind.CLOSE})
"""Messages from the client whose answers a Sync must end. A Flush is never answered itself."""

_COPY_DATA = Kind.COPY_DATA
_COPY = frozenset({Kind.COPY_DATA, Kind.COPY_DONE, Kind.COPY_FAIL})

_UNASKED = frozenset({Kind.NOTIFICATION_RESPONSE, Kind.NOTICE_RESPONSE, Kind.PARAMETER_STATUS})
"""Messages that the server sends at any time."""


class Form(Enum):
    """What the next bytes are."""

    FIRST_PACKET = "length and payload"
    MESSAGE = "type, length and payload"
    SINGLE_BYTE = "the answer to an SSLRequest"


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message; `kind` is 0 where it has no type."""

    kind: int
    payload: bytes


class Frames:
    """Takes messages off one at a time. Feed it exactly `needs` bytes: then nothing is read that TLS is to read.

    Set `form` before the first byte of a message.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self._kind: int | None = None
        self._length = 0

    @property
    def needs(self) -> int:
        """How many bytes to read next; at least one."""
        if self._kind is not None:
            return self._length
        return {Form.FIRST_PACKET: LENGTH_BYTES, Form.MESSAGE: HEADER_BYTES, Form.SINGLE_BYTE: 1}[self.form]

    def receive(self, data: bytes) -> Frame | None:
        """The message that is whole now. Raises MalformedMessage, MessageTooLarge, before memory is taken for it."""
        if len(data) != self.needs:
            raise LocalProtocolError(f"{len(data)} bytes where {self.needs} were needed")
        if self._kind is not None:
            kind, self._kind = self._kind, None
            return Frame(kind, data)
        if self.form is Form.SINGLE_BYTE:
            return Frame(0, data)
        if self.form is Form.FIRST_PACKET:
            kind, length = 0, int.from_bytes(data, "big") - LENGTH_BYTES
            _check("first packet", length, MIN_FIRST_PACKET_BYTES, MAX_FIRST_PACKET_BYTES)
        else:
            kind, length = data[0], int.from_bytes(data[1:], "big") - LENGTH_BYTES
            _check("message", length, 0, MAX_LOGIN_MESSAGE_BYTES)
        if not length:
            return Frame(kind, b"")
        self._kind, self._length = kind, length
        return None


def _check(what: str, length: int, least: int, most: int) -> None:
    if length < least:
        raise MalformedMessage(f"{what} of {length} bytes, at least {least} are possible")
    if length > most:
        raise MessageTooLarge(f"{what} of {length} bytes, limit {most}")


class SessionWatch:
    """Tells whether a session rests, from the bytes of both sides as they pass. Copies little, holds nothing back.

    The server flushes behind each ReadyForQuery. So a session rests when as many of them came as the client asked for,
    and behind the last one nothing but what comes unasked. From the server only the end of each chunk is looked at,
    unless more than one answer is awaited: then the ReadyForQuery in all of it are counted.

    Where it errs it says "busy", but for rows that hold the bytes of a ReadyForQuery while several answers are awaited.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_by_sync",
        "_head",
        "_last",
        "_left",
        "_tail",
        "_unsynced",
        "commands",
        "has_quit",
        "status",
    )

    def __init__(self) -> None:
        self.status: TransactionStatus | None = TransactionStatus.IDLE
        """What the last ReadyForQuery said; None while the client waits for an answer or a message is half sent."""
        self.commands = 0
        """Messages that asked for an answer of their own."""
        self.has_quit = False
        """The client's last message was Terminate."""
        self._last = TransactionStatus.IDLE
        self._asked = 0  # ReadyForQuery awaited since the last rest
        self._answered = 0
        self._by_sync = False  # the last message that asked was a Sync
        self._unsynced = False  # messages of the extended protocol that no Sync follows yet
        self._head = b""  # of a client's message, while it is not whole
        self._left = 0  # bytes of a client's message that are still to come
        self._tail = b""  # the last bytes from the server, too few for a ReadyForQuery

    def feed(self, data: memoryview) -> None:
        """Bytes from the client."""
        if not data:
            return
        if self.status is not None:
            self.status = None
            self._asked = self._answered = 0
            self._tail = b""
            self._by_sync = False
        position, end = self._left, len(data)
        if self._head:
            missing = HEADER_BYTES - len(self._head)
            self._head += bytes(data[:missing])
            if len(self._head) < HEADER_BYTES:
                return
            kind, length = _HEADER(self._head)
            self._message(kind)
            position = missing + max(0, length - LENGTH_BYTES)
        last = end - HEADER_BYTES
        while position <= last:
            kind, length = _HEADER(data, position)
            if kind == _COPY_DATA and not self._by_sync:  # of these there are many
                self.has_quit = False
            else:
                self._message(kind)
            position += length + 1 if length > 3 else HEADER_BYTES
        self._head = bytes(data[position:]) if position < end else b""
        self._left = max(0, position - end)
        self._rest_if_all_is_answered()

    def answered(self, data: memoryview) -> None:
        """Bytes from the server."""
        if self.status is not None:
            return
        counting = self._unsynced or self._asked > self._answered + 1
        if not (counting or self._tail) and data[-_READY_BYTES:-1] == _READY and (last := _STATUS.get(data[-1])):
            self._answered, self._last = self._asked, last  # the common case
            self._rest_if_all_is_answered()
            return
        if counting or len(data) <= _BEHIND_READY_BYTES:
            seen = self._tail + bytes(data)
        else:
            seen = bytes(data[-_BEHIND_READY_BYTES:])
        self._tail = seen[1 - _READY_BYTES :]
        if counting:
            self._answered += seen.count(_READY, 0, len(seen) - 1)  # each with its status behind it
        last = _ready_at_end(seen)
        if last is None:
            return
        if not counting:
            self._answered = self._asked
        self._last = last
        self._rest_if_all_is_answered()

    def _rest_if_all_is_answered(self) -> None:
        if self._answered >= self._asked and not (self._unsynced or self._head or self._left):
            self.status = self._last

    def _message(self, kind: int) -> None:
        self.has_quit = kind == Kind.TERMINATE
        if kind in _ASKING:
            self._asked += 1
            self.commands += 1
            self._by_sync = kind == Kind.SYNC
            self._unsynced = False
        elif kind in _EXTENDED:
            self._unsynced = True
        elif kind in _COPY and self._by_sync:
            self._asked -= 1  # the COPY that began before that Sync has swallowed it
            self._by_sync = False
            self._unsynced = True


def _ready_at_end(seen: bytes) -> TransactionStatus | None:
    """What the last ReadyForQuery says, if only messages that come unasked follow; the last of them may be cut."""
    start = seen.rfind(_READY, 0, len(seen) - 1)
    if start < 0:
        return None
    position = start + _READY_BYTES
    while position < len(seen):
        if seen[position] not in _UNASKED:
            return None
        if position + HEADER_BYTES > len(seen):
            break
        position += max(HEADER_BYTES, _HEADER(seen, position)[1] + 1)
    return _STATUS.get(seen[start + len(_READY)])
