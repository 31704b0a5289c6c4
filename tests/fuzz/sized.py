"""Cuts a fuzzer's bytes into what a target needs: choices in front, the rest behind."""


class Sized:
    """Reads choices from the front; where the bytes have ended, every choice is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def byte(self) -> int:
        return int.from_bytes(self.take(1))

    def take(self, length: int) -> bytes:
        taken = self._data[self._position : self._position + length]
        self._position += len(taken)
        return taken

    def block(self) -> bytes:
        """Two bytes of length, and so many bytes."""
        return self.take(int.from_bytes(self.take(2), "little"))

    def blocks(self) -> list[bytes]:
        """All blocks that are left."""
        blocks = []
        while self._position < len(self._data):
            blocks.append(self.block())
        return blocks

    def rest(self) -> bytes:
        return self.take(len(self._data))
