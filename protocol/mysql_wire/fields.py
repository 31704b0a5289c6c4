"""The protocol's basic data types, read and written with bounds checks.

MySQL manual: Protocol Basics, Data Types (int<n>, int<lenenc>, string<NUL>, string<lenenc>, string<fix>, string<EOF>).
"""

from .errors import LocalProtocolError, MalformedPacket


class PayloadReader:
    """Reads fields from one packet's payload. Raises MalformedPacket naming the message, field and length."""

    __slots__ = ("_message", "_payload", "_position")

    def __init__(self, payload: bytes, message: str) -> None:
        self._payload = payload
        self._message = message
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._payload) - self._position

    def string_fixed(self, length: int, field: str) -> bytes:
        start = self._position
        end = start + length
        if end > len(self._payload):
            raise MalformedPacket(f"{self._message}.{field}: {length} bytes wanted, {self.left} left")
        self._position = end
        return self._payload[start:end]

    def int_fixed(self, length: int, field: str) -> int:
        return int.from_bytes(self.string_fixed(length, field), "little")

    def int_lenenc(self, field: str) -> int:
        first = self.int_fixed(1, field)
        if first < 0xFB:
            return first
        if first == 0xFC:
            return self.int_fixed(2, field)
        if first == 0xFD:
            return self.int_fixed(3, field)
        if first == 0xFE:
            return self.int_fixed(8, field)
        raise MalformedPacket(f"{self._message}.{field}: 0x{first:02x} begins no length-encoded integer")

    def string_nul(self, field: str) -> bytes:
        end = self._payload.find(b"\0", self._position)
        if end < 0:
            raise MalformedPacket(f"{self._message}.{field}: no NUL in {self.left} bytes")
        value = self._payload[self._position : end]
        self._position = end + 1
        return value

    def string_lenenc(self, field: str) -> bytes:
        return self.string_fixed(self.int_lenenc(field), field)

    def string_eof(self) -> bytes:
        return self.string_fixed(self.left, "rest")


class PayloadWriter:
    """Builds one packet's payload; methods return the writer. Raises LocalProtocolError for what cannot be sent."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = bytearray()

    def string_fixed(self, value: bytes) -> "PayloadWriter":
        self._parts += value
        return self

    def int_fixed(self, value: int, length: int) -> "PayloadWriter":
        self._parts += value.to_bytes(length, "little")
        return self

    def int_lenenc(self, value: int) -> "PayloadWriter":
        if value < 0xFB:
            return self.int_fixed(value, 1)
        if value <= 0xFFFF:
            return self.int_fixed(0xFC, 1).int_fixed(value, 2)
        if value <= 0xFFFFFF:
            return self.int_fixed(0xFD, 1).int_fixed(value, 3)
        return self.int_fixed(0xFE, 1).int_fixed(value, 8)

    def string_nul(self, value: bytes) -> "PayloadWriter":
        if b"\0" in value:
            raise LocalProtocolError(f"a NUL in a NUL-terminated string of {len(value)} bytes")
        self._parts += value
        self._parts.append(0)
        return self

    def string_lenenc(self, value: bytes) -> "PayloadWriter":
        return self.int_lenenc(len(value)).string_fixed(value)

    def payload(self) -> bytes:
        return bytes(self._parts)
