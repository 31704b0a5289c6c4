"""Stream and relay between socket pairs, on both event loops, plain and over TLS."""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mysql_wire.commands import MAX_PACKETS, CommandScanner
from mysql_wire.constants import Capability
from mysql_wire.packet import Header, frame
from rds_iam_proxy.commands.serve import new_event_loop
from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from rds_iam_proxy.net.stream import EndOfStream, Stream
from rds_iam_proxy.session.relay import BUFFER_SIZE, Ending, Relay, Side, make_buffer

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "default"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    def run_it(work: Awaitable[None]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(30):
                await work

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(limited())

    return run_it


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server's and client's."""
    ca = make_ca("CA")
    made = make_server_certificate(("localhost",), issuer=ca)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pem"
        path.write_bytes(made.certificate_pem + made.private_key_pem)
        server.load_cert_chain(path)
    client.load_verify_locations(cadata=ca.certificate_pem.decode())
    return server, client


class Between:
    """client ⇄ [front | relay | back] ⇄ rds"""

    def __init__(self, *, local_files: bool = False) -> None:
        (self.client_end, front), (back, self.rds_end) = socket.socketpair(), socket.socketpair()
        self.client, self.front, self.back, self.rds = map(Stream, (self.client_end, front, back, self.rds_end))
        capabilities = Capability.LOCAL_FILES if local_files else Capability(0)
        self.scanner = CommandScanner(capabilities, lambda _: None)
        self.relay: Relay
        self.task: asyncio.Task[Ending]

    def start(self) -> "Between":
        self.relay = Relay(self.front, self.back, self.scanner, make_buffer())
        self.task = asyncio.create_task(self.relay.run())
        return self

    async def __aenter__(self) -> "Between":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        for stream in (self.client, self.front, self.back, self.rds):
            stream.close()


def test_a_flood_of_tiny_packets_arrives_whole_and_leaves_others_their_turns(
    run: Callable[[Awaitable[None]], None],
) -> None:
    async def flooded() -> None:
        flood = frame(b"\x19\x01\0\0\0", 0) * 20_000
        async with Between(local_files=True).start() as between:
            turns = 0

            def others() -> None:
                nonlocal turns
                turns += 1
                asyncio.get_running_loop().call_soon(others)

            loop = asyncio.get_running_loop()
            loop.call_soon(others)
            writing = asyncio.create_task(between.client.write(flood + frame(b"\x0e", 0)))
            assert await _digest(between.rds, len(flood)) == hashlib.sha256(flood).hexdigest()
            assert await between.rds.read_exactly(5) == frame(b"\x0e", 0)
            await writing
            assert turns >= 20_000 / MAX_PACKETS
            assert between.scanner.commands == 20_001
            await between.rds.write(b"answer")
            assert await between.client.read_exactly(6) == b"answer"

    run(flooded())


async def _digest(stream: Stream, length: int) -> str:
    digest = hashlib.sha256()
    while length:
        part = await stream.read_exactly(min(length, 65536))
        digest.update(part)
        length -= len(part)
    return digest.hexdigest()


def test_bytes_arrive_as_they_were_sent_with_back_pressure(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            data = bytes(range(256)) * 40_000  # 10 MB, far above any buffer
            writing = asyncio.create_task(between.rds.write(data))
            await asyncio.sleep(0.05)
            assert not writing.done(), "nobody reads, so the sender has to wait"
            assert await _digest(between.client, len(data)) == hashlib.sha256(data).hexdigest()
            await writing
            assert between.relay.downward.byte_count == len(data)

    run(work())


def test_what_was_read_before_the_end_still_arrives(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            data = b"x" * BUFFER_SIZE * 2
            writing = asyncio.create_task(between.rds.write(data))
            reading = asyncio.create_task(_digest(between.client, len(data)))
            await writing
            between.rds.close()
            await reading
            assert await between.task == Ending(Side.RDS, "closed")

    run(work())


def test_client_that_leaves_ends_it(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            await between.client.write(frame(b"\x03SELECT 1", 0) + b"\x05\0\0\0\x03SE")  # the second is cut
            between.client.close()
            assert await between.rds.read_exactly(13 + 7) == frame(b"\x03SELECT 1", 0) + b"\x05\0\0\0\x03SE"
            with pytest.raises(EndOfStream):
                await between.rds.read_exactly(1)
            between.rds.close()
            assert await between.task == Ending(Side.CLIENT, "closed")

    run(work())


def test_client_that_sends_no_more_gets_its_answer_and_then_the_end(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            answer = bytes(4 * BUFFER_SIZE)
            await between.client.write(frame(b"\x03SELECT 1", 0))
            between.client.end_writing()
            assert await between.rds.read_exactly(13) == frame(b"\x03SELECT 1", 0)
            writing = asyncio.create_task(between.rds.write(answer))
            assert await between.client.read_exactly(len(answer)) == answer
            await writing
            between.rds.close()
            assert await between.task == Ending(Side.CLIENT, "closed")

    run(work())


def test_client_that_is_gone_when_its_answer_comes_ends_it(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            between.client.close()
            with pytest.raises(EndOfStream):
                await between.rds.read_exactly(1)
            between.rds.send(b"answer")
            assert await between.task == Ending(Side.CLIENT, "closed")

    run(work())


def test_quit_is_the_client_s_ending(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            await between.client.write(frame(b"\x01", 0))
            assert await between.rds.read_exactly(5) == frame(b"\x01", 0)
            between.rds.close()
            assert await between.task == Ending(Side.CLIENT, "quit")

    run(work())


def test_change_user_interrupts_after_what_came_before(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            payload = b"\x11app\0\0shop\0"
            await between.client.write(frame(b"\x0e", 0) + frame(payload, 0))
            ending = await between.task
            assert ending.interrupted == payload
            assert await between.rds.read_exactly(5) == frame(b"\x0e", 0)

    run(work())


def test_protocol_breach_ends_it(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        async with Between().start() as between:
            await between.client.write(Header(300_000, 0).encode() + b"\x11")
            assert (await between.task).by is Side.PROXY

    run(work())


@pytest.mark.parametrize("leg", ["front", "back"])
def test_over_tls_nothing_stays_behind(
    run: Callable[[Awaitable[None]], None], contexts: tuple[ssl.SSLContext, ssl.SSLContext], leg: str
) -> None:
    server, client = contexts

    async def work() -> None:
        between = Between()
        ours, theirs = (between.front, between.client) if leg == "front" else (between.back, between.rds)
        await asyncio.gather(
            ours.start_tls(server, server_side=True), theirs.start_tls(client, server_hostname="localhost")
        )
        # One record that holds the login's last packet and the relay's first bytes.
        await theirs.write(b"loginfirst bytes")
        assert await ours.read_exactly(5) == b"login"
        async with between.start():
            other = between.rds if leg == "front" else between.client
            if leg == "back":
                assert await other.read_exactly(11) == b"first bytes"
            data = bytes(range(256)) * 20_000
            if leg == "front":
                data = b"".join(frame(data[i : i + 50_000], 1) for i in range(0, len(data), 50_000))
            writing = asyncio.create_task(between.rds.write(data))
            assert await _digest(between.client, len(data)) == hashlib.sha256(data).hexdigest()
            await writing

    run(work())


def test_read_exactly_reports_how_much_is_missing(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        near, far = map(Stream, socket.socketpair())
        await far.write(b"abc")
        far.close()
        with pytest.raises(EndOfStream, match="closed with 2 of 5 bytes missing"):
            await near.read_exactly(5)
        near.close()

    run(work())


def test_a_descriptor_number_used_again_at_once_is_watched(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        numbers = set()
        for _ in range(50):
            near, far = socket.socketpair()
            numbers.add(near.fileno())
            ours, theirs = Stream(near), Stream(far)
            reading = asyncio.create_task(ours.read_exactly(4))
            await asyncio.sleep(0)
            await theirs.write(b"ping")
            assert await reading == b"ping"
            waiting = asyncio.create_task(ours.read_exactly(1))
            await asyncio.sleep(0)
            waiting.cancel()
            ours.close()
            theirs.close()
        assert len(numbers) < 10

    run(work())


def test_finish_lets_the_last_packet_arrive_although_more_was_sent(run: Callable[[Awaitable[None]], None]) -> None:
    async def work() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
        listener.close()
        ours, theirs = Stream(near), Stream(far)
        await theirs.write(b"x" * 1000)
        await ours.write(b"refused")
        finishing = asyncio.create_task(ours.finish())
        assert await theirs.read_exactly(7) == b"refused"
        with pytest.raises(EndOfStream):
            await theirs.read_exactly(1)
        theirs.close()
        await finishing

    run(work())
