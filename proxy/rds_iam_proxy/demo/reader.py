"""Reads MySQL's field types from one payload, bounds-checked."""


class Malformed(Exception):
    """The packet is not what the manual says. The text names the field, never its content."""


class Reader:
    """A position in a payload. Every method raises Malformed where the bytes are not there."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def take(self, count: int, name: str) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise Malformed(f"{name}: {count} bytes, {len(self._data) - self._position} are left")
        start, self._position = self._position, end
        return self._data[start:end]

    def until_nul(self, name: str, most: int) -> bytes:
        end = self._data.find(b"\x00", self._position)
        if end < 0:
            raise Malformed(f"{name}: no NUL in {len(self._data) - self._position} bytes")
        if end - self._position > most:
            raise Malformed(f"{name}: {end - self._position} bytes, {most} are allowed")
        value = self._data[self._position : end]
        self._position = end + 1
        return value

    def lenenc_int(self, name: str) -> int:
        first = self.take(1, name)[0]
        if first < 0xFB:
            return first
        if first not in (0xFC, 0xFD, 0xFE):
            raise Malformed(f"{name}: not a length-encoded integer")
        return int.from_bytes(self.take({0xFC: 2, 0xFD: 3, 0xFE: 8}[first], name), "little")

    def lenenc_string(self, name: str) -> bytes:
        return self.take(self.lenenc_int(name), name)

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position, "rest")
