"""Packet framing: the four-byte header and sequence ids. No I/O.

MySQL manual: Protocol Basics, MySQL Packets.
"""

from dataclasses import dataclass, field

from .constants import MAX_PACKET_PAYLOAD
from .errors import LocalProtocolError, PacketTooLarge, UnexpectedPacket

HEADER_LENGTH = 4
MAX_LOGIN_PAYLOAD = 128 * 1024
"""Longest payload accepted before a login has succeeded, in bytes. Such packets are never continued."""


@dataclass(frozen=True, slots=True)
class Header:
    """`payload length: int<3>, sequence id: int<1>`."""

    length: int
    sequence_id: int

    @classmethod
    def decode(cls, header: bytes) -> "Header":
        return cls(length=int.from_bytes(header[:3], "little"), sequence_id=header[3])

    def encode(self) -> bytes:
        return self.length.to_bytes(3, "little") + bytes((self.sequence_id,))


def frame(payload: bytes, sequence_id: int) -> bytes:
    """One packet. Only for short messages: raises LocalProtocolError for a payload that would need two."""
    if len(payload) >= MAX_PACKET_PAYLOAD:
        raise LocalProtocolError(f"a payload of {len(payload)} bytes does not fit into one packet")
    return Header(len(payload), sequence_id & 0xFF).encode() + payload


@dataclass(slots=True)
class Sequence:
    """The sequence id that the next packet must carry, in either direction."""

    next_id: int = field(default=0)

    def frame(self, payload: bytes) -> bytes:
        """Our packet, behind the next sequence id."""
        packet = frame(payload, self.next_id)
        self._advance()
        return packet

    def accept(self, header: Header, *, limit: int = MAX_LOGIN_PAYLOAD) -> None:
        """Check the peer's header before its payload is read.

        Raises UnexpectedPacket for a wrong sequence id, PacketTooLarge for a length above `limit` bytes.
        """
        if header.sequence_id != self.next_id:
            raise UnexpectedPacket(f"packet has sequence id {header.sequence_id} instead of {self.next_id}")
        if header.length > limit:
            raise PacketTooLarge(f"packet of {header.length} bytes, limit {limit}")
        self._advance()

    def _advance(self) -> None:
        self.next_id = (self.next_id + 1) & 0xFF
