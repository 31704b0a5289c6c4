"""Queries over a bare socket. An answer's bytes are counted once and from then on only read: so a driver is quick."""

import socket

BUFFER = bytearray(1024 * 1024)
MAX_PAYLOAD = 0xFFFFFF
_EOF_OR_ERR = (0xFE, 0xFF)


def packets(payload: bytes) -> bytes:
    """A command, in as many packets as it takes."""
    out, number = bytearray(), 0
    while True:
        piece = payload[:MAX_PAYLOAD]
        out += len(piece).to_bytes(3, "little") + bytes((number & 0xFF,)) + piece
        payload, number = payload[MAX_PAYLOAD:], number + 1
        if len(piece) < MAX_PAYLOAD:
            return bytes(out)


def query(text: bytes) -> bytes:
    return packets(b"\x03" + text)


def send(sock: socket.socket, data: bytes) -> None:
    """All of it."""
    sock.sendall(data)


def read(sock: socket.socket, count: int) -> None:
    """So many bytes, thrown away."""
    view = memoryview(BUFFER)
    while count:
        got = sock.recv_into(view[: min(count, len(view))])
        if got == 0:
            raise ConnectionError("closed in the middle of an answer")
        count -= got


class Packets:
    """Reads packet by packet, and counts all bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.count = 0

    def next(self) -> bytes:
        header = self._exactly(4)
        return self._exactly(int.from_bytes(header[:3], "little"))

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            got = self._sock.recv_into(view)
            if got == 0:
                raise ConnectionError("closed in the middle of an answer")
            view = view[got:]
        self.count += length
        return bytes(data)


def answer_length(sock: socket.socket, command: bytes) -> int:
    """Sends the command and says how many bytes its answer has: an OK, or one result without DEPRECATE_EOF."""
    send(sock, command)
    reader = Packets(sock)
    first = reader.next()
    if first[0] == 0xFF:
        raise ConnectionError(f"refused: {first[9:200]!r}")
    if first[0] == 0x00:
        return reader.count
    ends = 0
    while ends < 2:  # after the columns, after the rows
        packet = reader.next()
        if packet[0] in _EOF_OR_ERR and len(packet) < 9:
            ends += 1
        elif packet[0] == 0xFF:
            raise ConnectionError(f"the result broke off: {packet[9:200]!r}")
    return reader.count
