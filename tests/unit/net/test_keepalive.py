"""How soon each leg notices that nobody is at its other end."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from rds_iam_proxy.net import keepalive
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.dial import Dialler
from rds_iam_proxy.net.stream import Stream


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def tcp_option(stream: Stream, name: str) -> int:
    return stream._socket.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))


def questions(stream: Stream) -> tuple[int, ...]:
    return tuple(tcp_option(stream, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"))


async def test_both_legs_ask_a_silent_peer(server: socket.socket) -> None:
    address = Address(*server.getsockname())
    to_rds, _ = await Dialler().dial(address)
    to_client = Stream(server.accept()[0])
    try:
        for stream in (to_rds, to_client):
            assert stream._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert questions(stream) == (60, 10, 6)
        assert tcp_option(to_rds, "TCP_USER_TIMEOUT") == 120_000
        assert tcp_option(to_client, "TCP_USER_TIMEOUT") == 0
    finally:
        to_rds.close()
        to_client.close()


async def test_rds_may_take_its_time_to_take_bytes(server: socket.socket) -> None:
    """A server that waits for a lock in the middle of a COPY acknowledges nothing, and is there."""
    to_rds, _ = await Dialler().dial(Address(*server.getsockname()))
    with server.accept()[0] as rds:
        writing = asyncio.create_task(to_rds.write(bytes(64 * 1024 * 1024)))
        while tcp_option(to_rds, "TCP_USER_TIMEOUT"):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        rds.setblocking(False)
        loop = asyncio.get_running_loop()
        while not writing.done():
            await loop.sock_recv(rds, 1024 * 1024)
        assert tcp_option(to_rds, "TCP_USER_TIMEOUT") == 120_000
    to_rds.close()


def test_a_system_without_these_options_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name)
    with socket.socket() as sock:
        keepalive.keep_alive(sock)
        keepalive.limit_unacknowledged(sock, 120)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_macos_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "TCP_KEEPALIVE", socket.TCP_KEEPIDLE, raising=False)
    option = socket.TCP_KEEPIDLE
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    with socket.socket() as sock:
        keepalive.keep_alive(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, option) == 60
