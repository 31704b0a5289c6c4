"""The framing of a cleaning round: what is sent to a session whose client has quit, and where its answers end. No I/O.

MySQL manual: COM_INIT_DB, COM_RESET_CONNECTION, COM_QUERY Response. The round begins with a nonce, as the name of a
database that is not there: what comes before the ERR that names it is what the client left unread, what comes behind it
answers our own commands, and only these answers are taken apart. Their bytes must equal a new session's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .constants import MAX_PACKET_PAYLOAD, Capability, Command
from .errors import UnexpectedPacket
from .packet import HEADER_LENGTH, frame
from .reply import ERR_HEADER, OK_HEADER

NONCE_DIGITS = 32
"""Hexadecimal digits of a nonce: no client can have sent it by chance."""

MAX_ANSWER_BYTES = 1 << 18
"""How much the answers to our own commands may take, all together."""

_MAX_ERR_BYTES = 1024
"""An ERR packet that names a database: its text has 512 bytes at most (MYSQL_ERRMSG_SIZE)."""

_UNKNOWN_DATABASE, _NO_RIGHTS = 1049, 1044
_EOF_HEADER = 0xFE
_MAX_EOF_PAYLOAD = 9


class OutOfStep(UnexpectedPacket):
    """The session does not answer as one in step does: it is of no further use."""


def init_db(name: bytes) -> bytes:
    """COM_INIT_DB's payload."""
    return bytes((Command.COM_INIT_DB,)) + name


def query(text: bytes, capabilities: Capability) -> bytes:
    """COM_QUERY's payload, without query attributes."""
    attributes = b"\0\1" if Capability.QUERY_ATTRIBUTES in capabilities else b""
    return bytes((Command.COM_QUERY,)) + attributes + text


def batch(payloads: Iterable[bytes]) -> bytes:
    """Several commands for one write."""
    return b"".join(frame(payload, 0) for payload in payloads)


@dataclass(slots=True)
class Answers:
    """Feed it what RDS sends until it `is_complete`; `results` are the bytes to compare then.

    First the ERR that names the `nonce` (empty: the session is in step already), then `oks` OK packets, then `results`
    results of one column each. `capabilities` are those agreed with RDS.
    """

    capabilities: Capability
    nonce: bytes = b""
    oks: int = 0
    result_count: int = 0
    answered: int = 0
    """How many of the commands are answered, the nonce too."""

    _buffer: bytearray = field(default_factory=bytearray)
    _results_at: int = 0
    _position: int = 0  # up to where the buffer is understood
    _number: int = 0  # of the next packet in the present answer
    _ends: int = 0  # EOF packets of the present result

    @property
    def is_complete(self) -> bool:
        """Every command is answered."""
        return self.answered == bool(self.nonce) + self.oks + self.result_count

    @property
    def results(self) -> bytes:
        """The results, packet for packet."""
        return bytes(self._buffer[self._results_at : self._position])

    def feed(self, data: bytes | memoryview) -> bytes:
        """Returns what comes before the nonce's ERR: it is the client's. Raises OutOfStep for anything that is not an
        answer, or more than that.
        """
        self._buffer += data
        unread = b""
        if self.nonce and not self.answered:
            unread = self._up_to_nonce()
            if not self.answered:
                return unread
        while not self.is_complete and (packet := self._next_packet()) is not None:
            self._take(packet)
        if self.is_complete and self._position < len(self._buffer):
            raise OutOfStep("bytes behind the last answer")
        if len(self._buffer) > MAX_ANSWER_BYTES:
            raise OutOfStep(f"answers of {len(self._buffer)} bytes, limit {MAX_ANSWER_BYTES}")
        return unread

    def _up_to_nonce(self) -> bytes:
        """Forget the nonce's ERR and what comes before it, which is returned."""
        place = _place_of_nonce(self._buffer, self.nonce)
        if place is None:
            start = end = max(0, len(self._buffer) - _MAX_ERR_BYTES)
        else:
            start, end = place
            if end > len(self._buffer):
                return b""
            self.answered = 1
        unread = bytes(self._buffer[:start])
        del self._buffer[:end]
        return unread

    def _next_packet(self) -> bytes | None:
        """Sequence id and payload of a packet that is there as a whole."""
        start = self._position
        if len(self._buffer) < start + HEADER_LENGTH:
            return None
        length = int.from_bytes(self._buffer[start : start + 3], "little")
        if not 0 < length < MAX_PACKET_PAYLOAD:
            raise OutOfStep(f"an answer in a packet of {length} bytes")
        end = start + HEADER_LENGTH + length
        if len(self._buffer) < end:
            return None
        self._position = end
        return bytes(self._buffer[start + 3 : end])

    def _take(self, packet: bytes) -> None:
        self._number += 1
        if packet[0] != self._number & 0xFF:
            raise OutOfStep(f"packet has sequence id {packet[0]} instead of {self._number & 0xFF}")
        header = packet[1]
        if header == ERR_HEADER:
            raise OutOfStep("a command was refused")
        if self.answered < bool(self.nonce) + self.oks:
            self._take_ok(header)
        elif self._ends_result(header, len(packet) - 1):
            self._end_answer()

    def _take_ok(self, header: int) -> None:
        if header != OK_HEADER:
            raise OutOfStep(f"0x{header:02x} begins no OK packet")
        self._end_answer()
        self._results_at = self._position

    def _ends_result(self, header: int, length: int) -> bool:
        """Column count, one column, [EOF], rows, EOF or OK: whether this packet is the last one."""
        if self._number == 1 and header != 1:
            raise OutOfStep(f"0x{header:02x} begins no result of one column")
        one_end = Capability.DEPRECATE_EOF in self.capabilities
        if self._number > 2 and header == _EOF_HEADER and (one_end or length < _MAX_EOF_PAYLOAD):
            self._ends += 1
        return self._ends == (1 if one_end else 2)

    def _end_answer(self) -> None:
        self.answered += 1
        self._number = self._ends = 0


def first_value(results: bytes, capabilities: Capability) -> bytes | None:
    """The value in the first row of the first result that `Answers` has put together; None for NULL or no row."""
    packets = list(_payloads(results, 4))
    row = packets[2 if Capability.DEPRECATE_EOF in capabilities else 3]
    first = row[0]
    if first < 0xFB:
        return row[1 : 1 + first]
    return row[3 : 3 + int.from_bytes(row[1:3], "little")] if first == 0xFC else None


def _payloads(packets: bytes, count: int) -> Iterable[bytes]:
    position = 0
    for _ in range(count):
        end = position + HEADER_LENGTH + int.from_bytes(packets[position : position + 3], "little")
        yield packets[position + HEADER_LENGTH : end]
        position = end


def _place_of_nonce(buffer: bytearray, nonce: bytes) -> tuple[int, int] | None:
    """Where the ERR packet that names the nonce begins and ends, be it all there or not; None: it is not there yet.

    The nearest header before it counts: between the two are words of the server alone. Raises OutOfStep.
    """
    found = buffer.find(nonce)
    if found < 0:
        return None
    for start in range(found, max(-1, found - _MAX_ERR_BYTES), -1):
        end = start + HEADER_LENGTH + int.from_bytes(buffer[start : start + 3], "little")
        code = int.from_bytes(buffer[start + 5 : start + 7], "little")
        is_err = buffer[start + 3 : start + 5] == b"\x01\xff" and code in (_UNKNOWN_DATABASE, _NO_RIGHTS)
        if is_err and found + len(nonce) <= end <= start + _MAX_ERR_BYTES:
            return start, end
    raise OutOfStep("the nonce is not in an ERR packet that answers it")
