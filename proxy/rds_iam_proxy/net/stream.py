"""One non-blocking socket, plain or TLS, for the whole life of a connection.

A login reads exact sizes, so that TLS can start on the bare socket and nothing is lost in a buffer. A relay is driven
by readiness: `receive`, `send` and two callbacks. Asyncio's transports do neither.
"""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from .keepalive import UNACKNOWLEDGED_SECONDS, keep_alive, limit_unacknowledged

MAX_TLS_RECORD = 16 * 1024
BULK_RECORD = 4 * 1024
"""Behind a TLS record this long another one is looked for: MySQL fills its records, PostgreSQL sends 8 KiB in each."""

LINGER_SECONDS = 1.0
LINGER_BYTES = 1024 * 1024
"""How long, and for how many bytes, a refused client is read from, so that the refusal reaches it."""

_LINGER = struct.Struct("HH" if os.name == "nt" else "ii")  # struct linger


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class EndOfStream(ConnectionError):
    """The peer closed where more bytes were due."""


class Stream:
    """Owns the socket. `close` may be called at any time, and any number of times."""

    __slots__ = (
        "_fd",
        "_loop",
        "_must_acknowledge",
        "_notifies_end",
        "_read_record",
        "_socket",
        "_waits_to_write",
        "ended_by_peer",
    )

    def __init__(self, sock: socket.socket, *, must_acknowledge: bool = False) -> None:
        """`must_acknowledge`: a peer that does not for two minutes is gone."""
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(sock)
            if must_acknowledge:
                limit_unacknowledged(sock, UNACKNOWLEDGED_SECONDS)
        self._must_acknowledge = must_acknowledge
        self._waits_to_write = False
        self._notifies_end = False
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._fd = sock.fileno()
        self._read_record: Callable[[int, memoryview], int] | None = None  # None: there is no TLS
        self.ended_by_peer = False

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The TLS socket, once TLS was started."""
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    # --- login: coroutines ---

    async def read_exactly(self, length: int) -> bytes:
        """`length` bytes; the caller has checked that it is not too many. Raises EndOfStream, OSError."""
        data = bytearray(length)
        view = memoryview(data)
        while view:
            try:
                count = self._socket.recv_into(view)
            except _BLOCKED as blocked:
                await self._until_ready(blocked, write=False)
                continue
            if count == 0:
                raise EndOfStream(f"closed with {len(view)} of {length} bytes missing")
            view = view[count:]
        return bytes(data)

    async def read_some(self, buffer: memoryview, deadline: float) -> int:
        """What there is, into `buffer`, which has room for a TLS record at least: the number of bytes. Waits until
        `deadline`, on the loop's clock. Raises EndOfStream, TimeoutError, OSError.
        """
        while (count := self.receive(buffer)) is None:
            async with asyncio.timeout_at(deadline):
                await self._until_ready(BlockingIOError(), write=False)
        if count == 0:
            raise EndOfStream("closed where more was due")
        return count

    async def peek(self) -> bytes:
        """The first byte that comes, left where it is; empty at the end. Before TLS only. Raises OSError."""
        while True:
            try:
                return self._socket.recv(1, socket.MSG_PEEK)
            except _BLOCKED as blocked:
                await self._until_ready(blocked, write=False)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """All of `data`. Raises OSError."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except _BLOCKED as blocked:
                await self._until_ready(blocked, write=True)

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """TLS from the next byte on. Raises ssl.SSLError, EndOfStream, OSError."""
        wrapped = context.wrap_socket(
            self._socket,
            server_side=server_side,
            do_handshake_on_connect=False,
            server_hostname=server_hostname,
            session=session,
        )
        self._socket = wrapped
        self._notifies_end = server_side
        self._read_record = cast("Callable[[int, memoryview], int]", wrapped.read)  # as recv_into, with less before it
        while True:
            try:
                wrapped.do_handshake()
            except _BLOCKED as blocked:
                await self._until_ready(blocked, write=False)
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                raise EndOfStream("closed during the TLS handshake") from None
            else:
                return

    async def finish(self) -> None:
        """Let what was sent reach the peer, then close.

        Closing a socket with unread bytes makes the kernel send a reset, which can overtake an ERR packet.
        """
        self._close_notify()
        with suppress(OSError):
            # Not SSLSocket.shutdown: it drops the TLS object. The raw socket's is wanted here.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            async with asyncio.timeout(LINGER_SECONDS):
                await self._discard()
        self.close()

    def _close_notify(self) -> None:
        """What a server says before it closes a TLS connection, and we never say to one.

        A database server whose statement waits (GET_LOCK, SLEEP) looks whether its socket is readable: the alert's
        bytes pass for a client that is there, and hide the end behind them. The statement runs on, with its locks.
        """
        if self._notifies_end and self.tls is not None:
            with suppress(OSError, ValueError):
                self.tls.unwrap()  # it would then wait for the peer's, but this socket does not

    async def _discard(self) -> None:
        left = LINGER_BYTES
        while left > 0:
            try:
                count = len(socket.socket.recv(self._socket, 16 * 1024))
            except BlockingIOError as blocked:
                await self._until_ready(blocked, write=False)
                continue
            if count == 0:
                return
            left -= count

    async def _until_ready(self, blocked: BaseException, *, write: bool) -> None:
        """Wait for what the socket, or TLS in its own way, is waiting for."""
        if isinstance(blocked, ssl.SSLWantWriteError):
            write = True
        elif isinstance(blocked, ssl.SSLWantReadError):
            write = False
        ready = self._loop.create_future()
        watch = self.watch_writable if write else self.watch_readable
        watch(partial(_wake, ready))
        try:
            await ready
        finally:
            watch(None)

    # --- between login and relay ---

    def watch_end(self, callback: Callable[[], object]) -> None:
        """Call back once if the peer closes. Nothing is read, so after bytes that came early it is not noticed."""
        self.watch_readable(partial(self._peek, callback))

    @property
    def has_unread(self) -> bool:
        """The peer has sent something, or closed."""
        try:
            return self.has_pending or socket.socket.recv(self._socket, 1, socket.MSG_PEEK) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _peek(self, callback: Callable[[], object]) -> None:
        try:
            # Not SSLSocket.recv, which takes no flags.
            self.ended_by_peer = not socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.ended_by_peer = True
        self.watch_readable(None)
        if self.ended_by_peer:
            callback()

    # --- relay: readiness ---

    def receive(self, buffer: memoryview) -> int | None:
        """Read into `buffer`: the number of bytes, 0 at the end of the stream, None if there is nothing now.

        Gathers several TLS records, but begins none that might not fit: nothing stays behind in the TLS object, for
        which no readiness would be signalled. Raises OSError; SSLWantWriteError is one.
        """
        read_record = self._read_record
        if read_record is None:
            try:
                return self._socket.recv_into(buffer)
            except BlockingIOError:
                return None
        try:
            count = filled = read_record(MAX_TLS_RECORD, buffer)
        except ssl.SSLWantReadError:
            return None
        with suppress(OSError):  # it comes again with the next call
            while count >= BULK_RECORD and len(buffer) - filled >= MAX_TLS_RECORD:
                count = read_record(MAX_TLS_RECORD, buffer[filled:])
                filled += count
        return filled

    @property
    def has_pending(self) -> bool:
        """Decrypted bytes wait in the TLS object."""
        return self.tls is not None and bool(self.tls.pending())

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Write as much as goes now: the number of bytes. Raises OSError."""
        sent = 0
        try:
            sent = self._socket.send(data)
            while sent < len(data):  # TLS takes one record at a time
                sent += self._socket.send(memoryview(data)[sent:])
        except _BLOCKED:
            return sent
        return sent

    def watch_readable(self, callback: Callable[[], object] | None) -> None:
        if self._fd < 0:
            return
        if callback is None:
            self._loop.remove_reader(self._fd)
        else:
            self._loop.add_reader(self._fd, callback)

    def watch_writable(self, callback: Callable[[], object] | None) -> None:
        if self._fd < 0 or (callback is None and not self._waits_to_write):
            return
        if self._must_acknowledge and self._waits_to_write is (callback is None):
            # A peer that takes nothing may be busy (a COPY that waits for a lock): Linux would count it as gone.
            limit_unacknowledged(self._socket, UNACKNOWLEDGED_SECONDS if callback is None else 0)
        self._waits_to_write = callback is not None
        if callback is None:
            self._loop.remove_writer(self._fd)
        else:
            self._loop.add_writer(self._fd, callback)

    def end_writing(self) -> None:
        """The peer reads to the end of what was sent, and may still answer."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)  # not SSLSocket's: it drops the TLS object

    @property
    def was_reset(self) -> bool:
        """The peer broke the connection off: there is no peer any more. Through TLS that reads like an ordinary end."""
        try:
            self._socket.getpeername()
        except OSError:
            return True
        return False

    def reset(self) -> None:
        """Close by breaking the connection off."""
        if self._fd < 0:
            return
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
        self._drop()

    def close(self) -> None:
        """Close at once."""
        if self._fd < 0:
            return
        self._close_notify()
        self._drop()

    def _drop(self) -> None:
        """The watches go first: the next connection may get the same descriptor number."""
        self.watch_readable(None)
        self.watch_writable(None)
        self._fd = -1
        self._socket.close()
