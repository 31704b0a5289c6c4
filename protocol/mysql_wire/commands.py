"""Finds where each client command starts in the byte stream towards RDS. Headers only; payloads stream through.

MySQL manual: Command Phase. Four kinds of command do not pass as they came: KILL and COM_PROCESS_KILL name connection
ids that only the proxy knows, COM_CHANGE_USER is answered by the proxy, replication commands are refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .constants import MAX_PACKET_PAYLOAD, Capability, Command
from .errors import PacketTooLarge, UnexpectedPacket
from .packet import HEADER_LENGTH, MAX_LOGIN_PAYLOAD, frame

MAX_KILL_PAYLOAD = 256
"""Longest COM_QUERY payload, in bytes, that is looked at; only such packets are held back until complete."""

MAX_INFILE_NAME = 512
TAIL_LENGTH = MAX_INFILE_NAME + 8
"""How much of RDS's last bytes is kept to recognise a LOCAL INFILE request."""

REPLICATION = frozenset({Command.COM_BINLOG_DUMP, Command.COM_BINLOG_DUMP_GTID, Command.COM_REGISTER_SLAVE})
UNANSWERED = frozenset({Command.COM_STMT_CLOSE, Command.COM_STMT_SEND_LONG_DATA, Command.COM_QUIT})
"""Commands that the server never answers."""

_QUERY = int(Command.COM_QUERY)  # plain numbers: this is looked at for each command
_OTHERS_WATCHED = frozenset(
    map(int, REPLICATION | {Command.COM_QUIT, Command.COM_PROCESS_KILL, Command.COM_CHANGE_USER})
)

_KILL = re.compile(
    rb"(?:\s|/\*(?!!|M!).*?\*/|--\s[^\n]*\n|#[^\n]*\n)*"
    rb"KILL\s+(?:(?:HARD|SOFT)\s+)?(?:(?:CONNECTION|QUERY)\s+)?(\d{1,10})\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_KILL_WORD = re.compile(rb"KILL", re.IGNORECASE)
_BEFORE_KILL = frozenset(b" \t\n\r\f\v/-#Kk")
"""What the text of a KILL begins with: white space, a comment, the word."""

_SHORTEST_KILL = HEADER_LENGTH + 1 + len("KILL 1")


@dataclass(slots=True)
class CommandScanner:
    """Feed it what the client sent; forward what it returns.

    `capabilities` are those agreed with RDS. `kill_target` maps one of the proxy's connection ids to RDS's, or None
    where the id is to pass unchanged. When `change_user` is set the rest must not be fed: the proxy answers first.
    """

    capabilities: Capability
    kill_target: Callable[[int], int | None]
    allow_replication: bool = False

    commands: int = 0
    last_command: int | None = None
    change_user: bytes | None = None
    refused: int | None = None

    _held: bytearray | None = None
    _left: int = 0  # bytes of the current packet's payload that stream through
    _is_command: bool = False
    _previous_length: int = 0
    _previous_id: int = 0
    _tail: bytes = b""
    _local_files: bool = field(init=False)

    def __post_init__(self) -> None:
        self._local_files = Capability.LOCAL_FILES in self.capabilities

    @property
    def watches_answers(self) -> bool:
        """`answered` must be told of what RDS sends: only a LOCAL INFILE request there tells data from a command."""
        return self._local_files

    @property
    def at_boundary(self) -> bool:
        """No command is half sent."""
        return not self._held and not self._left and self._previous_length != MAX_PACKET_PAYLOAD

    @property
    def has_quit(self) -> bool:
        """The last command was COM_QUIT."""
        return self.last_command == Command.COM_QUIT

    def answered(self, data: memoryview) -> None:
        """Bytes from RDS, where `watches_answers`."""
        if len(data) >= TAIL_LENGTH:
            self._tail = bytes(data[-TAIL_LENGTH:])
        else:
            self._tail = (self._tail + data)[-TAIL_LENGTH:]

    def feed(self, data: memoryview) -> memoryview | bytes | bytearray:
        """Bytes from the client → bytes for RDS. Raises PacketTooLarge, UnexpectedPacket."""
        if self._left:
            if self._left >= len(data):
                self._left -= len(data)
                return data
        elif not self._held and self._is_plain_packet(data):
            return data
        return self._feed_slowly(data)

    def flush(self) -> bytes:
        """What is held of a packet that will not be completed."""
        held = bytes(self._held or b"")
        self._held = None
        return held

    def _is_plain_packet(self, data: memoryview) -> bool:
        """The common case: one packet, or how a long one begins, and none of those that may be changed."""
        there = len(data) - HEADER_LENGTH
        length = data[0] | data[1] << 8 | data[2] << 16 if there > 0 else 0
        if not 0 < there <= length:
            return False
        command = data[4]
        if command == _QUERY:
            if length <= MAX_KILL_PAYLOAD and (there < length or _may_be_kill(data)):
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
        position = 0
        while position < len(data) and self.change_user is None:
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
                    self._held = None
                    self._left = self._previous_length - (len(held) - HEADER_LENGTH)
                    out += self._decided(held)
            position += len(step)
        if position < len(data):
            raise UnexpectedPacket("a command was sent before COM_CHANGE_USER was answered")
        return out

    def _wanted(self, held: bytearray) -> int:
        """How many bytes of the packet must be there to decide what becomes of it."""
        if len(held) < HEADER_LENGTH:
            return HEADER_LENGTH
        length = self._previous_length
        if not self._is_command or length == 0:
            return HEADER_LENGTH
        if len(held) == HEADER_LENGTH:
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
        the data. What remains is file data that answers a request with id 255: RDS's last bytes show that.
        """
        self._is_command = (
            sequence_id == 0
            and self._previous_length != MAX_PACKET_PAYLOAD  # else it continues that one
            and not (self._previous_id == 255 and self._previous_length > 0)  # else the id has wrapped
            and not (self._local_files and self._infile_requested())
        )
        self._previous_length = length
        self._previous_id = sequence_id

    def _infile_requested(self) -> bool:
        """RDS's last packet is `len | ff | fb | file name`, up to its very last byte."""
        tail = self._tail
        found = tail.find(b"\xff\xfb")
        while found >= 0:
            if found >= 3 and int.from_bytes(tail[found - 3 : found], "little") == len(tail) - found - 1:
                return True
            found = tail.find(b"\xff\xfb", found + 1)
        return False

    def _count(self, command: int | None) -> None:
        self.commands += 1
        self.last_command = command

    def _decided(self, packet: bytearray) -> bytearray | bytes:
        """The packet's held part as RDS is to see it."""
        if not self._is_command:
            return packet
        command = packet[HEADER_LENGTH] if len(packet) > HEADER_LENGTH else None
        self._count(command)
        complete = not self._left
        if command == Command.COM_CHANGE_USER:
            self.change_user = bytes(packet[HEADER_LENGTH:])
            return b""
        if command in REPLICATION and not self.allow_replication:
            self.refused = command
            packet[HEADER_LENGTH] = 0x00  # no command: RDS itself answers 1047, in the right place
        elif command == Command.COM_PROCESS_KILL and complete and len(packet) == HEADER_LENGTH + 5:
            target = self.kill_target(int.from_bytes(packet[5:9], "little"))
            if target is not None:
                packet[5:9] = target.to_bytes(4, "little")
        elif command == Command.COM_QUERY and complete:
            return self._rewritten_kill(packet)
        return packet

    def _rewritten_kill(self, packet: bytearray) -> bytearray | bytes:
        start = HEADER_LENGTH + 1
        if Capability.QUERY_ATTRIBUTES in self.capabilities and packet[start : start + 2] == b"\x00\x01":
            start += 2  # no parameters, one set of them
        kill = _KILL.fullmatch(packet, start)
        target = self.kill_target(int(kill[1])) if kill else None
        if kill is None or target is None:
            return packet
        packet[kill.start(1) : kill.end(1)] = b"%d" % target
        return frame(bytes(packet[HEADER_LENGTH:]), 0)


def _may_be_kill(packet: memoryview) -> bool:
    """Whether a COM_QUERY has to be looked at closely. Nearly all are ruled out by their first letter."""
    if len(packet) < _SHORTEST_KILL:
        return False
    first = packet[HEADER_LENGTH + 1] or packet[HEADER_LENGTH + 3]  # `00 01` is before the text: no query attributes
    return first in _BEFORE_KILL and _KILL_WORD.search(packet) is not None
