"""Packets over one non-blocking socket, plain at first and then TLS. Reads exactly what it needs, never more.

mysql-mimic's own stream reads headers that may be cut short, and starts TLS on a reader that may already have
swallowed the ClientHello; this one takes its place (same method names, as `Connection` calls them).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence

MAX_PAYLOAD = 0xFFFFFF
_CHUNK = 64 * 1024  # bytes read from the socket, or encrypted, at once


class ConnectionClosed(Exception):
    """The peer has gone, or was cut off."""


class OutOfOrder(Exception):
    """A packet with another sequence id than the one that is due."""


class TooLarge(Exception):
    """A payload above the limit that holds now; it was not read."""


class PacketStream:
    """One connection. Used by one task: a read and a write are never under way at once."""

    def __init__(self, sock: socket.socket, max_payload: int) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._sequence = 0
        self._unsent = bytearray()
        self.max_payload = max_payload  # bytes of a whole command, continuation packets included

    @property
    def cipher(self) -> str:
        """The TLS cipher's name, empty without TLS."""
        cipher = self._tls.cipher() if self._tls else None
        return cipher[0] if cipher else ""

    @property
    def tls_version(self) -> str:
        return (self._tls.version() if self._tls else None) or ""

    def reset_seq(self) -> None:
        self._sequence = 0

    async def read(self) -> bytes:
        """The next payload, joined if it came in several packets."""
        payload = bytearray()
        while True:
            header = await self._read_exactly(4)
            length = int.from_bytes(header[:3], "little")
            if header[3] != self._sequence:
                raise OutOfOrder
            self._sequence = (self._sequence + 1) % 256
            if len(payload) + length > self.max_payload:
                raise TooLarge
            payload += await self._read_exactly(length)
            if length < MAX_PAYLOAD:
                return bytes(payload)

    async def write(self, data: bytes, drain: bool = True) -> None:
        """Send one payload, in as many packets as it needs."""
        self.write_many([data])
        if drain or len(self._unsent) >= _CHUNK:
            await self.drain()

    def write_many(self, packets: Sequence[bytes]) -> None:
        """Frame payloads; `drain` sends them."""
        for payload in packets:
            for start in range(0, len(payload) + 1, MAX_PAYLOAD):
                part = payload[start : start + MAX_PAYLOAD]
                self._unsent += len(part).to_bytes(3, "little") + bytes([self._sequence])
                self._unsent += part
                self._sequence = (self._sequence + 1) % 256

    async def drain(self) -> None:
        unsent, self._unsent = memoryview(bytes(self._unsent)), bytearray()
        if self._tls is None:
            await self._send(unsent)
            return
        for start in range(0, len(unsent), _CHUNK):
            self._tls.write(unsent[start : start + _CHUNK])
            await self._flush_tls()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Be the server of a TLS handshake; raises ssl.SSLError where it fails."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush_tls()
                await self._feed_tls()
            except ssl.SSLError:
                with contextlib.suppress(ConnectionClosed):
                    await self._flush_tls()  # the alert that tells the client why
                raise
        self._tls = tls
        await self._flush_tls()

    def abort(self) -> None:
        """Cut the connection off under the task that uses it, which then sees ConnectionClosed."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    async def close(self, linger: float = 0.5) -> None:
        """Say goodbye, then swallow for up to `linger` seconds what the peer still sends.

        Closing with unread bytes would reset the connection, and the peer might lose our last ERR.
        """
        try:
            if self._tls is not None:
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                with contextlib.suppress(ConnectionClosed, OSError):
                    self._sock.send(self._outgoing.read())
            with contextlib.suppress(OSError, TimeoutError):
                self._sock.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(linger):
                    while await self._loop.sock_recv(self._sock, _CHUNK):
                        pass
        finally:
            self._sock.close()

    async def _read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += await self._read_some(count - len(data))
        return bytes(data)

    async def _read_some(self, most: int) -> bytes:
        if self._tls is None:
            return await self._receive(most)
        while True:
            try:
                data = self._tls.read(min(most, _CHUNK))
            except ssl.SSLWantReadError:
                await self._flush_tls()
                await self._feed_tls()
            except ssl.SSLError as exc:
                raise ConnectionClosed from exc
            else:
                if not data:
                    raise ConnectionClosed
                return data

    async def _receive(self, most: int) -> bytes:
        try:
            data = await self._loop.sock_recv(self._sock, min(most, _CHUNK))
        except OSError as exc:
            raise ConnectionClosed from exc
        if not data:
            raise ConnectionClosed
        return data

    async def _feed_tls(self) -> None:
        self._incoming.write(await self._receive(_CHUNK))

    async def _flush_tls(self) -> None:
        if self._outgoing.pending:
            await self._send(memoryview(self._outgoing.read()))

    async def _send(self, data: memoryview) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as exc:
            raise ConnectionClosed from exc
