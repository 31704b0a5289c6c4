"""Finds where each client command starts in the byte stream towards RDS. Headers only; payloads stream through.

MySQL manual: Command Phase. Four kinds of command do not pass as they came: KILL and COM_PROCESS_KILL name connection
ids that only the proxy knows, COM_CHANGE_USER is answered by the proxy, replication commands are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from .constants import MAX_PACKET_PAYLOAD, Capability, Command
from .errors import LocalProtocolError, PacketTooLarge, RemoteProtocolError, UnexpectedPacket
from .kill_statement import connection_id, may_be_kill
from .packet import HEADER_LENGTH, MAX_LOGIN_PAYLOAD, frame

MAX_KILL_PAYLOAD = 256
"""Longest COM_QUERY payload, in bytes, that is looked at; only such packets are held back until complete."""

MAX_PACKETS = 256
"""Packets that one `feed` or `more` looks at, at most: a flood of tiny ones does not keep the loop from the others."""

MAX_INFILE_NAME = 512
TAIL_LENGTH = MAX_INFILE_NAME + 8
"""How much of RDS's last bytes is kept to recognise a LOCAL INFILE request."""

REPLICATION = frozenset({Command.COM_BINLOG_DUMP, Command.COM_BINLOG_DUMP_GTID, Command.COM_REGISTER_SLAVE})
UNANSWERED = frozenset({Command.COM_STMT_CLOSE, Command.COM_STMT_SEND_LONG_DATA, Command.COM_QUIT})
"""Commands that the server never answers."""

_QUERY = int(Command.COM_QUERY)  # plain numbers: this is looked at for each command
_PINNING = REPLICATION | {Command.COM_SET_OPTION}
_NEVER_FILE_DATA = REPLICATION | {Command.COM_CHANGE_USER}
_OTHERS_WATCHED = frozenset(map(int, _PINNING | {Command.COM_QUIT, Command.COM_PROCESS_KILL, Command.COM_CHANGE_USER}))

_SHORTEST_KILL = HEADER_LENGTH + 1 + len("KILL 1")
_NOTHING = memoryview(b"")


def _ignored(command: Command) -> None:
    pass


@dataclass(slots=True)
class CommandScanner:
    """Feed it what the client sent; forward what it returns, and what `more` returns while there is more.

    `capabilities` are those agreed with RDS. `kill_target` maps one of the proxy's connection ids to RDS's, or None
    where the id is to pass unchanged. When `change_user` or `kept_quit` is set nothing more must be fed: the proxy
    answers first. `keep_quit`: COM_QUIT is not passed on, so that RDS's session outlives the client's, unless something
    pins the two together.
    """

    capabilities: Capability
    kill_target: Callable[[int], int | None]
    allow_replication: bool = False
    keep_quit: bool = False
    on_refused: Callable[[Command], object] = _ignored
    """Hears at once of a replication command that RDS will refuse."""

    commands: int = 0
    last_command: int | None = None
    change_user: bytes | None = None
    refused: int | None = None
    kept_quit: bool = False
    """COM_QUIT came and was not passed on."""
    behind_quit: int = 0
    """Bytes that came behind it: no client sends any, and they were not looked at."""
    pinned_by: Command | None = None
    """The first command that leaves in the session what COM_RESET_CONNECTION does not undo and SQL does not show."""

    _held: bytearray | None = None
    _left: int = 0  # bytes of the current packet's payload that stream through
    _is_command: bool = False
    _is_doubtful: bool = False  # it may be file data, or a command
    _previous_length: int = 0
    _previous_id: int = 0
    _rest: memoryview = _NOTHING  # fed, and for `more` to look at
    _tail: bytes = b""
    _infile: bool | None = None  # whether the tail ends in a LOCAL INFILE request; None: not looked at yet
    _local_files: bool = field(init=False)

    def __post_init__(self) -> None:
        self._local_files = Capability.LOCAL_FILES in self.capabilities

    @property
    def broken(self) -> type[RemoteProtocolError]:
        """What `feed` raises."""
        return RemoteProtocolError

    @property
    def interrupted(self) -> bytes | None:
        """The payload of the COM_CHANGE_USER that has to be answered first."""
        return self.change_user

    @property
    def awaits_answer(self) -> bool:
        """The last command is one that the server answers."""
        return self.last_command not in UNANSWERED

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open stands in the answers, which are not read."""
        return False

    @property
    def watches_answers(self) -> bool:
        """`answered` must be told of what RDS sends: only a LOCAL INFILE request there tells data from a command."""
        return self._local_files

    @property
    def at_boundary(self) -> bool:
        """No command is half sent."""
        return not (self._held or self._left or self._rest) and self._previous_length != MAX_PACKET_PAYLOAD

    @property
    def has_more(self) -> bool:
        """Part of what was fed waits for `more`, to be called once others had their turn."""
        return bool(self._rest)

    @property
    def has_quit(self) -> bool:
        """The last command was COM_QUIT."""
        return self.last_command == Command.COM_QUIT

    def answered(self, data: memoryview) -> None:
        """Bytes from RDS, where `watches_answers`."""
        self._infile = None
        if len(data) >= TAIL_LENGTH:
            self._tail = bytes(data[-TAIL_LENGTH:])
        else:
            self._tail = (self._tail + data)[-TAIL_LENGTH:]

    def feed(self, data: memoryview) -> memoryview | bytes | bytearray:
        """Bytes from the client → bytes for RDS. Raises PacketTooLarge, UnexpectedPacket.

        LocalProtocolError if `has_more`: the order of bytes would be lost.
        """
        if self._rest:
            raise LocalProtocolError(f"{len(self._rest)} bytes wait for their turn")
        if self._left:
            if self._left >= len(data):
                self._left -= len(data)
                return data
        elif not self._held and self._is_plain_packet(data):
            return data
        out = self._feed_slowly(data)
        self._rest = memoryview(bytes(self._rest))  # the caller's buffer is used again
        return out

    def more(self) -> bytearray:
        """The next part of what was fed → bytes for RDS. Raises as `feed` does."""
        return self._feed_slowly(self._rest)

    def flush(self) -> bytes:
        """What is held of a packet that will not be completed. Packets that wait for `more` are given up."""
        held = bytes(self._held or b"")
        self._held, self._rest = None, _NOTHING
        return held

    def _is_plain_packet(self, data: memoryview) -> bool:
        """The common case: one packet, or how a long one begins, and none of those that may be changed."""
        there = len(data) - HEADER_LENGTH
        length = data[0] | data[1] << 8 | data[2] << 16 if there > 0 else 0
        if not 0 < there <= length:
            return False
        command = data[4]
        if command == _QUERY:
            if length <= MAX_KILL_PAYLOAD and (there < length or _may_be_kill_packet(data)):
                return False
        elif command in _OTHERS_WATCHED:
            return False
        self._start_packet(length, data[3])
        self._left = length - there
        if self._is_command:
            self._count(command)
        return True

    def _feed_slowly(self, data: memoryview) -> bytearray:
        out = bytearray()
        position = packets = 0
        while position < len(data) and packets < MAX_PACKETS and self.change_user is None and not self.kept_quit:
            if self._left:
                step = data[position : position + self._left]
                out += step
                self._left -= len(step)
            else:
                held = self._held = self._held or bytearray()
                step = data[position : position + self._wanted(held) - len(held)]
                held += step
                if len(held) == HEADER_LENGTH:
                    self._start_packet(int.from_bytes(held[:3], "little"), held[3])
                if len(held) == self._wanted(held):
                    packets += 1
                    self._held = None
                    self._left = self._previous_length - (len(held) - HEADER_LENGTH)
                    out += self._decided(held)
            position += len(step)
        self._keep(data[position:])
        return out

    def _keep(self, rest: memoryview) -> None:
        if rest and self.change_user is not None:
            raise UnexpectedPacket("a command was sent before COM_CHANGE_USER was answered")
        if self.kept_quit:
            self.behind_quit += len(rest)
            rest = _NOTHING
        self._rest = rest

    def _wanted(self, held: bytearray) -> int:
        """How many bytes of the packet must be there to decide what becomes of it."""
        if len(held) < HEADER_LENGTH:
            return HEADER_LENGTH
        length = self._previous_length
        if length == 0 or not (self._is_command or self._is_doubtful):
            return HEADER_LENGTH
        if len(held) == HEADER_LENGTH or self._is_doubtful:
            return HEADER_LENGTH + 1
        command = held[HEADER_LENGTH]
        if command == Command.COM_CHANGE_USER:
            if length > MAX_LOGIN_PAYLOAD:
                raise PacketTooLarge(f"COM_CHANGE_USER of {length} bytes, limit {MAX_LOGIN_PAYLOAD}")
            return HEADER_LENGTH + length
        if command in (Command.COM_QUERY, Command.COM_PROCESS_KILL) and length <= MAX_KILL_PAYLOAD:
            return HEADER_LENGTH + length
        return HEADER_LENGTH + 1

    def _start_packet(self, length: int, sequence_id: int) -> None:
        """Whether a packet is a command follows from its header and the one before it.

        Sequence ids of long LOCAL INFILE data wrap to 0, but never right after 255 with an empty packet, which ends
        the data. What remains is file data that answers a request with id 255: RDS's last bytes show that, but a value
        may read like one.
        """
        self._is_command = (
            sequence_id == 0
            and self._previous_length != MAX_PACKET_PAYLOAD  # else it continues that one
            and not (self._previous_id == 255 and self._previous_length > 0)  # else the id has wrapped
        )
        if self._local_files:
            self._is_doubtful = self._is_command and self._infile_requested()
            self._is_command = self._is_command and not self._is_doubtful
        self._previous_length = length
        self._previous_id = sequence_id

    def _infile_requested(self) -> bool:
        """RDS's last packet is a LOCAL INFILE request. Looked for once, however many packets the client sends."""
        if self._infile is None:
            self._infile = _ends_in_infile_request(self._tail)
        return self._infile

    def _count(self, command: int | None) -> None:
        self.commands += 1
        self.last_command = command

    def _decided(self, packet: bytearray) -> bytearray | bytes:
        """The packet's held part as RDS is to see it."""
        if not self._is_command:
            if self._is_doubtful and len(packet) > HEADER_LENGTH:
                self._doubt(packet[HEADER_LENGTH])
            return packet
        command = packet[HEADER_LENGTH] if len(packet) > HEADER_LENGTH else None
        self._count(command)
        complete = not self._left
        if command in _PINNING and self.pinned_by is None:
            self.pinned_by = Command(command)
        if command == Command.COM_QUIT and complete and self.keep_quit and self.pinned_by is None:
            self.kept_quit = True
            return b""
        if command == Command.COM_CHANGE_USER:
            self.change_user = bytes(packet[HEADER_LENGTH:])
            return b""
        if command in REPLICATION and not self.allow_replication:
            self.refused = command
            self.on_refused(Command(command))
            packet[HEADER_LENGTH] = 0x00  # no command: RDS itself answers 1047, in the right place
        elif command == Command.COM_PROCESS_KILL and complete and len(packet) == HEADER_LENGTH + 5:
            target = self.kill_target(int.from_bytes(packet[5:9], "little"))
            if target is not None:
                packet[5:9] = target.to_bytes(4, "little")
        elif command == Command.COM_QUERY and complete:
            return self._rewritten_kill(packet)
        return packet

    def _doubt(self, byte: int) -> None:
        """The first byte of what may be file data passes, unless RDS must not see it if it is a command."""
        if byte in _PINNING and self.pinned_by is None:
            self.pinned_by = Command(byte)
        if byte in _NEVER_FILE_DATA and not (self.allow_replication and byte in REPLICATION):
            raise UnexpectedPacket(f"a command {byte}, or a file's data that looks like it: RDS's answer does not tell")

    def _rewritten_kill(self, packet: bytearray) -> bytearray | bytes:
        start = HEADER_LENGTH + 1
        if Capability.QUERY_ATTRIBUTES in self.capabilities and packet[start : start + 2] == b"\x00\x01":
            start += 2  # no parameters, one set of them
        text = bytes(packet[start:])
        found = connection_id(text)
        target = self.kill_target(int(text[found])) if found else None
        if found is None or target is None:
            return packet
        rewritten = b"%b%d%b" % (text[: found.start], target, text[found.stop :])
        return frame(bytes(packet[HEADER_LENGTH:start]) + rewritten, 0)


def _ends_in_infile_request(tail: bytes) -> bool:
    """`len | ff | fb | file name`, up to the very last byte.

    Servers send the name up to its first NUL. So a value that reads like a request is none where a packet follows,
    which any complete answer ends with: its length has a NUL in it.
    """
    found = tail.find(b"\xff\xfb")
    while found >= 0:
        fits = found >= 3 and int.from_bytes(tail[found - 3 : found], "little") == len(tail) - found - 1
        if fits and b"\0" not in tail[found + 2 :]:
            return True
        found = tail.find(b"\xff\xfb", found + 1)
    return False


def _may_be_kill_packet(packet: memoryview) -> bool:
    """Whether a COM_QUERY has to be looked at closely. Nearly all are ruled out by their first letter."""
    if len(packet) < _SHORTEST_KILL:
        return False
    first = packet[HEADER_LENGTH + 1] or packet[HEADER_LENGTH + 3]  # `00 01` is before the text: no query attributes
    return may_be_kill(first) and b"KILL" in bytes(packet).upper()
