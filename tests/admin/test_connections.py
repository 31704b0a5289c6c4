"""Connections of an HTTP address that say nothing, little, or something else than HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop
from aiohttp import web

from rds_iam_proxy.admin.connections import MAX_CONNECTIONS, SILENT_SECONDS, HTTPServer, answer
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import listen

SECONDS = 20.0
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A server with one path that answers at once and one that waits."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.port = 0
        app = web.Application()
        app.router.add_get("/now", self._now)
        app.router.add_get("/later", self._later)
        app.router.add_get("/long", self._long)
        app.router.add_get("/broken", self._broken)
        self.server = HTTPServer(app, now=self.clock)

    async def _now(self, _: web.Request) -> web.Response:
        return answer({"said": "now"})

    async def _later(self, _: web.Request) -> web.Response:
        self.asked.set()
        await self.gate.wait()
        return answer({"said": "later"})

    async def _long(self, _: web.Request) -> web.Response:
        self.asked.set()
        return web.Response(body=bytes(64 << 20))

    async def _broken(self, _: web.Request) -> web.Response:
        raise ZeroDivisionError("secret")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        sock = listen(Address("127.0.0.1", 0)).sock
        self.port = sock.getsockname()[1]
        await self.server.start()
        task = asyncio.create_task(self.server.run(sock))
        try:
            yield
        finally:
            self.gate.set()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.server.close()

    async def connect(self, says: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(says)
        return reader, writer

    async def ask(self, path: str) -> bytes:
        reader, writer = await self.connect(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        found = await asyncio.wait_for(reader.read(), SECONDS)
        writer.close()
        return found


async def is_closed(client: Client) -> bool:
    with suppress(ConnectionError):
        return await asyncio.wait_for(client[0].read(), SECONDS) == b""
    return True


@pytest.mark.parametrize("says", [b"", b"GET /now HT", b"GET /now HTTP/1.1\r\nHost: x\r\nX: "])
async def test_one_that_makes_no_whole_request_is_closed_after_10_s(says: bytes) -> None:
    bench = Bench()
    async with bench.running():
        client = await bench.connect(says)
        await bench.ask("/now")  # by then the other has been accepted
        bench.clock.now += SILENT_SECONDS - 0.1
        bench.server.sweep()
        if says:
            client[1].write(b"T")  # which is no request either
        await bench.ask("/now")
        bench.clock.now += 0.1
        bench.server.sweep()
        assert await is_closed(client)
        client[1].close()


async def test_a_request_that_takes_long_is_answered() -> None:
    bench = Bench()
    async with bench.running():
        asked = asyncio.create_task(bench.ask("/later"))
        await asyncio.wait_for(bench.asked.wait(), SECONDS)
        bench.clock.now += 100
        bench.server.sweep()
        bench.gate.set()
        assert b"later" in await asked


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_one_that_reads_no_answer_is_cut(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(_read_no_answer())


async def _read_no_answer() -> None:
    bench = Bench()
    async with bench.running():
        sock = socket.create_connection(("127.0.0.1", bench.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(SECONDS):
            await bench.asked.wait()
            (unread,) = bench.server._open
            await bench.ask("/now")
            assert unread in bench.server._open
            bench.clock.now += SILENT_SECONDS
            bench.server.sweep()
            await bench.ask("/now")
            assert unread not in bench.server._open
        sock.close()


async def test_silent_ones_take_no_room_from_those_who_ask() -> None:
    bench = Bench()
    async with bench.running():
        silent = []
        for _ in range(3 * MAX_CONNECTIONS):
            silent.append(await bench.connect())
            bench.clock.now += 0.001
        for _ in range(5):
            assert b"200 OK" in await bench.ask("/now")
        assert len(bench.server._open) <= MAX_CONNECTIONS
        assert await is_closed(silent[0])
        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize(
    "says", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
async def test_what_is_no_http_gets_our_headers_and_no_versions(says: bytes, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    async with bench.running():
        reader, writer = await bench.connect(says + bytes(20) + b"\r\n\r\n")
        found = (await asyncio.wait_for(reader.read(), SECONDS)).decode()
        writer.close()
    assert " 400 " in found.splitlines()[0]
    assert "Server: rds-iam-proxy" in found
    assert "Content-Security-Policy: default-src 'none'" in found
    assert "X-Content-Type-Options: nosniff" in found
    assert not [word for word in ("aiohttp", "Python", "python") if word in found]
    assert not caplog.messages, "anybody could fill the log"


async def test_an_internal_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    async with bench.running():
        found = (await bench.ask("/broken")).decode()
    assert " 500 " in found.splitlines()[0]
    assert "Server: rds-iam-proxy" in found
    assert "secret" not in found
    assert len(caplog.records) == 1


async def test_a_client_that_left_before_it_was_accepted_ends_nothing() -> None:
    bench = Bench()
    async with bench.running():
        for _ in range(5):
            sock = socket.create_connection(("127.0.0.1", bench.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()  # with a reset
        assert b"200 OK" in await bench.ask("/now")
