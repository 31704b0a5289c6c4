"""When a session seems idle, told from counters and packet headers alone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from mysql_wire.commands import CommandScanner
from mysql_wire.constants import Capability
from mysql_wire.packet import frame
from rds_iam_proxy.net.stream import Stream
from rds_iam_proxy.session.relay import Ending, Relay, Side, make_buffer

QUERY = frame(b"\x03SELECT 1", 0)
CLOSE_STATEMENT = frame(b"\x19\x01\0\0\0", 0)
ANSWER = frame(b"\0\0\0\2\0\0\0", 1)


class Between:
    """client ⇄ relay ⇄ rds"""

    def __init__(self) -> None:
        (self.client, front), (back, self.rds) = socket.socketpair(), socket.socketpair()
        self._streams = Stream(front), Stream(back)
        scanner = CommandScanner(Capability(0), lambda _: None)
        self.relay = Relay(*self._streams, scanner, make_buffer())
        self.task: asyncio.Task[Ending] = asyncio.get_running_loop().create_task(self.relay.run())

    async def says(self, *, client: bytes = b"", rds: bytes = b"") -> bool:
        """Whether it seems idle once these bytes are through."""
        before = self.relay.byte_count
        self.client.sendall(client)
        self.rds.sendall(rds)
        async with asyncio.timeout(5):
            while self.relay.byte_count < before + len(client) + len(rds):  # noqa: ASYNC110 - bytes are no events
                await asyncio.sleep(0)
        return self.relay.seems_idle

    async def close(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        for end in (*self._streams, self.client, self.rds):
            end.close()


@pytest.fixture
async def between() -> AsyncIterator[Between]:
    between = Between()
    yield between
    await between.close()


async def test_idle_from_the_login_to_the_first_command_and_after_each_answer(between: Between) -> None:
    assert between.relay.seems_idle
    for _ in range(3):
        assert not await between.says(client=QUERY)
        assert await between.says(rds=ANSWER)


async def test_not_idle_with_half_a_command(between: Between) -> None:
    assert not await between.says(client=QUERY[:3])
    assert not await between.says(client=QUERY[3:6])
    assert not await between.says(client=QUERY[6:])
    assert await between.says(rds=ANSWER)


async def test_idle_after_a_command_that_is_never_answered(between: Between) -> None:
    assert await between.says(client=CLOSE_STATEMENT)
    assert not await between.says(client=QUERY)
    assert not await between.says(client=CLOSE_STATEMENT), "the query still waits for its answer"
    assert await between.says(rds=ANSWER)


async def test_not_idle_after_a_query_in_one_piece_with_what_is_never_answered(between: Between) -> None:
    assert not await between.says(client=QUERY + CLOSE_STATEMENT)
    assert await between.says(rds=ANSWER)


async def test_end_is_the_proxys(between: Between) -> None:
    between.relay.end("why")
    ending = await between.task
    assert (ending.by, ending.why) == (Side.PROXY, "why")
