"""Moves bytes between one client and its RDS session. From RDS they are never parsed.

Memory: one buffer serves every session of the loop; a session owns bytes only while its receiver does not take them,
and then its sender is not read.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ..dialect import Bytes, Watch
from ..net.stream import Stream

BUFFER_SIZE = 256 * 1024
"""Bytes read from one side at one wake-up, at most: a bulk result does not starve the others."""

FLUSH_SECONDS = 5.0
TLS_RETRY_SECONDS = 0.01

LAST_ANSWER_SECONDS = 60.0
"""For RDS to answer a client that sends no more but may still read. One that is gone looks no different."""


class Side(StrEnum):
    CLIENT = "client"
    RDS = "rds"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Ending:
    """Who ended the relay, and why; `interrupted`: by what command the client logs in once more; `owed`: RDS was not
    told that the client has taken leave, and this, of what it answered, the client has not taken yet; `behind`: bytes
    that came behind the farewell.
    """

    by: Side
    why: str
    interrupted: bytes | None = None
    owed: bytes | None = None
    behind: int = 0


def make_buffer() -> memoryview:
    """The read buffer of one event loop."""
    return memoryview(bytearray(BUFFER_SIZE))


class Relay:
    """`run` returns when one side ended; the streams stay open and belong to the caller."""

    def __init__(self, client: Stream, rds: Stream, watch: Watch, buffer: memoryview) -> None:
        self._watch = watch
        self._asked_at = -1  # how many bytes had come from RDS when the client asked last
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        listen = self._listen if watch.watches_answers else None
        self.upward = Direction(Side.CLIENT, client, rds, buffer, self._over, self._scan)
        self.downward = Direction(Side.RDS, rds, client, buffer, self._over, listen)
        self.upward.has_more = watch.has_more

    @property
    def byte_count(self) -> int:
        """Of both directions."""
        return self.upward.byte_count + self.downward.byte_count

    @property
    def seems_idle(self) -> bool:
        """No command is half sent, and something came back since the last one that is answered.

        A guess, until there was silence for a while too: answers are not parsed. A transaction may be open.
        """
        waiting = self.upward.is_held_up or self.downward.is_held_up
        return self._watch.at_boundary and self.downward.byte_count > self._asked_at and not waiting

    @property
    def in_transaction(self) -> bool:
        """Known only where answers are followed."""
        return self._watch.in_transaction

    @property
    def has_unread(self) -> bool:
        """One side has sent something, or closed, and it was not looked at yet."""
        return self.upward.has_unread or self.downward.has_unread

    def end(self, why: str) -> None:
        """Make `run` return; what is under way is broken off."""
        self._end(Ending(Side.PROXY, why))

    async def run(self) -> Ending:
        try:
            self.upward.resume()
            self.downward.resume()
            ending = await self._over
        finally:
            self.upward.detach()
            self.downward.detach()
        await self._flush(ending)
        if self._watch.kept_quit and ending.by is Side.CLIENT:
            return Ending(Side.CLIENT, "quit", owed=self.downward.take_pending(), behind=self._watch.behind_quit)
        if self.upward.is_at_end and ending.by is Side.CLIENT:
            await self._last_answer()
        if self._watch.has_quit:
            return Ending(Side.CLIENT, "quit")  # RDS may have been quicker to close
        return ending

    async def _flush(self, ending: Ending) -> None:
        """What was read from the side that ended still reaches the other one."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                if ending.by is Side.CLIENT:
                    await self.upward.flush(self._watch.flush())
                if ending.by is Side.RDS or ending.interrupted is not None:
                    await self.downward.flush(b"")
        except (OSError, TimeoutError):
            return  # the other side has gone as well

    async def _last_answer(self) -> None:
        """RDS sees that no more comes, as it would directly: it ends what waits, and answers what runs."""
        self._over = asyncio.get_running_loop().create_future()
        self.upward.end_sink()
        try:
            async with asyncio.timeout(LAST_ANSWER_SECONDS):
                self.downward.go_on(self._over)
                await self._over
        except TimeoutError:
            return
        finally:
            self.downward.detach()
        await self._flush(Ending(Side.RDS, "closed"))

    def _scan(self, data: memoryview) -> Bytes:
        watch = self._watch
        before = watch.commands
        try:
            out = watch.feed(data) if data else watch.more()
        except watch.broken as exc:
            self._end(Ending(Side.PROXY, str(exc)))
            return b""
        self.upward.has_more = watch.has_more
        if watch.commands != before:
            # Of several at once only the last one's kind is known: then one of them is taken to be answered.
            if watch.awaits_answer or watch.commands > before + 1:
                self._asked_at = self.downward.byte_count
            if watch.interrupted is not None:
                self._end(Ending(Side.CLIENT, "log in again", watch.interrupted))
            elif watch.kept_quit:
                self._end(Ending(Side.CLIENT, "quit"))
        return out

    def _listen(self, data: memoryview) -> Bytes:
        self._watch.answered(data)
        return data

    def _end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)


class Direction:
    """Bytes from one side to the other.

    `transform` makes of what was read what is sent. While it says that there is more to make (`has_more`), it is called
    again without bytes, once in each turn of the loop, and nothing else is read.
    """

    __slots__ = (
        "_buffer",
        "_name",
        "_over",
        "_pending",
        "_sink",
        "_source",
        "_transform",
        "byte_count",
        "has_more",
        "is_at_end",
    )

    def __init__(
        self,
        name: Side,
        source: Stream,
        sink: Stream,
        buffer: memoryview,
        over: asyncio.Future[Ending],
        transform: Callable[[memoryview], Bytes] | None,
    ) -> None:
        self.byte_count = 0
        self._name = name
        self._source = source
        self._sink = sink
        self._buffer = buffer
        self._over = over
        self._transform = transform
        self._pending: memoryview | None = None
        self.has_more = False
        self.is_at_end = False
        """The source sends no more."""

    @property
    def is_held_up(self) -> bool:
        """The receiver has not taken all that was read."""
        return self._pending is not None

    @property
    def has_unread(self) -> bool:
        return self._source.has_unread

    def resume(self) -> None:
        """Read when there is something to read, and when all that was read is handed on."""
        if self.has_more:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        self._source.watch_readable(self._readable)
        if self._source.has_pending:  # no readiness will tell of these
            asyncio.get_running_loop().call_soon(self._readable)

    def go_on(self, over: asyncio.Future[Ending]) -> None:
        """After `detach`, until `over`."""
        self._over = over
        if self._pending is None:
            self.resume()
        else:
            self._sink.watch_writable(self._writable)

    def end_sink(self) -> None:
        """The receiver gets no more."""
        self._sink.end_writing()

    def detach(self) -> None:
        self._source.watch_readable(None)
        self._sink.watch_writable(None)

    async def flush(self, rest: bytes) -> None:
        await self._sink.write(self.take_pending())
        await self._sink.write(rest)

    def take_pending(self) -> bytes:
        """What the receiver has not taken, for the caller to hand over."""
        pending, self._pending = self._pending, None
        return bytes(pending or b"")

    def _readable(self) -> None:
        if self._over.done() or self._pending is not None or self.has_more:
            return
        try:
            count = self._source.receive(self._buffer)
        except ssl.SSLWantWriteError:
            # TLS has to send first (a key update into a full socket): rare, so a later try is enough.
            self._source.watch_readable(None)
            asyncio.get_running_loop().call_later(TLS_RETRY_SECONDS, self._retry)
            return
        except OSError as exc:
            self._end(self._name, _reason(exc))
            return
        if count is None:
            return
        if count == 0:
            self.is_at_end = True
            self._end(self._name, "closed")
            return
        self.byte_count += count
        self._hand_on(self._buffer[:count])
        if self.has_more:
            self._source.watch_readable(None)
            self._resume_unless_held_up()

    def _go_on(self) -> None:
        if not self._over.done() and self._pending is None:
            self._hand_on(self._buffer[:0])
            self._resume_unless_held_up()

    def _hand_on(self, view: memoryview) -> None:
        data = view if self._transform is None else self._transform(view)
        if data:
            self._send(data)

    def _resume_unless_held_up(self) -> None:
        if not self._over.done() and self._pending is None:
            self.resume()

    def _retry(self) -> None:
        if not self._over.done() and self._pending is None:
            self.resume()
            self._readable()

    def _send(self, data: Bytes) -> None:
        try:
            sent = self._sink.send(data)
        except OSError as exc:
            self._end(Side.RDS if self._name is Side.CLIENT else Side.CLIENT, _reason(exc))
            return
        if sent < len(data):
            self._pending = memoryview(bytes(data[sent:]))
            if not self._over.done():
                self._source.watch_readable(None)
                self._sink.watch_writable(self._writable)

    def _writable(self) -> None:
        if self._pending is None or self._over.done():
            return
        data, self._pending = self._pending, None
        self._send(data)
        if self._pending is None and not self._over.done():
            self._sink.watch_writable(None)
            self.resume()

    def _end(self, by: Side, why: str) -> None:
        if not self._over.done():
            self._over.set_result(Ending(by, why))


def _reason(exc: OSError) -> str:
    return exc.strerror or type(exc).__name__
