"""What becomes of clients whom nobody has accepted yet when a listener is closed."""

import asyncio
import logging
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from kit.raw_client import Error
from rds_iam_proxy.errors.tree import LoginError
from rds_iam_proxy.front.slots import LoginSlots
from rds_iam_proxy.mysql.farewells import turn_away
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import ListeningSocket, listen
from rds_iam_proxy.net.stream import Stream
from rds_iam_proxy.postgres import farewells
from rds_iam_proxy.service.acceptor import MAX_TOLD, Acceptor


async def closed(listening: ListeningSocket, clients: int) -> list[bytes]:
    """What clients read that connected to a listener with no login slot left, which is then closed."""
    told = []

    def turn_away_soon(stream: Stream, error: LoginError) -> "asyncio.Task[None]":
        told.append(asyncio.create_task(turn_away(stream, error)))
        return told[-1]

    listener = Acceptor(listening, lambda *_: None, LoginSlots(most=0, most_waiting=0), lambda: True, turn_away_soon)
    task = asyncio.create_task(listener.run())
    address = listening.sock.getsockname()
    connected = [socket.socket(listening.sock.family) for _ in range(clients)]
    for client in connected:
        client.settimeout(0.5)
        client.connect(address)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*told)
    try:
        return [client.recv(4096) for client in connected]
    finally:
        for client in connected:
            client.close()


async def test_waiting_clients_are_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for bind in (Address("127.0.0.1", 0), path):
        for told in await closed(listen(bind), 3):
            assert told[:4] == bytes((len(told) - 4, 0, 0, 0))
            error = Error.of(told[4:])
            assert (error.code, error.sqlstate) == (1053, "")
    assert not path.exists()


async def test_those_of_a_borrowed_socket_wait_for_whoever_accepts_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        borrowed = ListeningSocket(ours.dup(), is_borrowed=True)
        borrowed.sock.setblocking(False)
        with pytest.raises(TimeoutError):
            await closed(borrowed, 1)
        ours.accept()[0].close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    for bind in (Address("127.0.0.1", 0), tmp_path / "s"):
        listening = listen(bind)
        listening.close()
        listening.close()


async def test_a_crowd_that_says_nothing_keeps_few_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL's clients speak first, and are listened to before they are told."""
    with closing(listen(Address("127.0.0.1", 0))) as listening:
        told: list[asyncio.Task[None]] = []

        def listen_to(stream: Stream, error: LoginError) -> "asyncio.Task[None]":
            told.append(asyncio.create_task(farewells.turn_away(stream, error)))
            return told[-1]

        acceptor = Acceptor(listening, lambda *_: None, LoginSlots(), lambda: False, listen_to)
        task = asyncio.create_task(acceptor.run())
        with ExitStack() as stack, caplog.at_level(logging.WARNING):
            crowd = [stack.enter_context(closing(socket.socket())) for _ in range(MAX_TOLD + 20)]
            for one in crowd:
                one.setblocking(False)
                await asyncio.get_running_loop().sock_connect(one, listening.sock.getsockname())
            assert await asyncio.get_running_loop().sock_recv(crowd[-1], 1) == b""
            assert len(told) == MAX_TOLD
            await asyncio.gather(*told)
        task.cancel()
    assert caplog.messages == ["client turned away"]
