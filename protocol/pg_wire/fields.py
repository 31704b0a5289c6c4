"""The protocol's basic data types, read and written with bounds checks.

PostgreSQL manual: Message Data Types (Int32, Int16, String, Byten).
"""

from .errors import LocalProtocolError, MalformedMessage


class PayloadReader:
    """Reads fields from one message's payload. Raises MalformedMessage naming the message, field and length."""

    __slots__ = ("_message", "_payload", "_position")

    def __init__(self, payload: bytes, message: str) -> None:
        self._payload = payload
        self._message = message
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._payload) - self._position

    def byten(self, length: int, field: str) -> bytes:
        if length > self.left:
            raise MalformedMessage(f"{self._message}.{field}: {length} bytes wanted, {self.left} left")
        start = self._position
        self._position = start + length
        return self._payload[start : self._position]

    def int32(self, field: str) -> int:
        """Without a sign."""
        return int.from_bytes(self.byten(4, field), "big")

    def string(self, field: str) -> bytes:
        end = self._payload.find(b"\0", self._position)
        if end < 0:
            raise MalformedMessage(f"{self._message}.{field}: no NUL in {self.left} bytes")
        value = self._payload[self._position : end]
        self._position = end + 1
        return value

    def rest(self) -> bytes:
        return self.byten(self.left, "rest")

    def end(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise MalformedMessage(f"{self._message}: {self.left} bytes behind its end")


def int32(value: int) -> bytes:
    """Raises LocalProtocolError."""
    if not 0 <= value < 1 << 32:
        raise LocalProtocolError("a number that is no Int32")
    return value.to_bytes(4, "big")


def string(value: bytes) -> bytes:
    """Raises LocalProtocolError for what a NUL-terminated string cannot carry."""
    if b"\0" in value:
        raise LocalProtocolError(f"a NUL in a NUL-terminated string of {len(value)} bytes")
    return value + b"\0"
