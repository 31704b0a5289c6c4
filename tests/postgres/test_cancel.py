"""Requests to cancel: they reach the session that they name, in every way that clients send them, and nobody else's."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest

from kit.running_proxy import PASSWORD, USER, RunningProxy
from postgres.conftest import connect, no_check
from postgres.raw_client import SSL_REQUEST, PostgresClient, cancel_request, query
from servers.postgres_accounts import DATABASE

LONG = "SELECT pg_sleep(30)"


def ends_soon(run: Callable[[], Any]) -> Any:
    began = time.monotonic()
    try:
        return run()
    finally:
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("version", ["3.0", "3.2"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
@pytest.mark.parametrize("way", ["cancel", "cancel_safe"])
def test_psycopg_cancels(postgres_proxy: RunningProxy, sslmode: str, version: str, way: str) -> None:
    """`cancel` is in clear in any case, `cancel_safe` over TLS if the session is."""
    with connect(postgres_proxy, sslmode=sslmode, max_protocol_version=version) as connection:
        timer = threading.Timer(0.5, getattr(connection, way))
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            ends_soon(lambda: connection.execute(LONG))
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psycopg2_cancels(postgres_proxy: RunningProxy) -> None:
    where = f"host=127.0.0.1 port={postgres_proxy.port} user={USER} dbname={DATABASE}"
    with contextlib.closing(psycopg2.connect(where, password=PASSWORD)) as connection, connection.cursor() as cursor:
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        with pytest.raises(psycopg2.errors.QueryCanceled):
            ends_soon(lambda: cursor.execute(LONG))
        timer.join()


def test_asyncpg_cancels_at_its_timeout(postgres_proxy: RunningProxy) -> None:
    async def ask() -> Any:
        where = {"host": "127.0.0.1", "port": postgres_proxy.port, "user": USER, "password": PASSWORD}
        connection = await asyncpg.connect(**where, database=DATABASE, ssl=no_check())
        try:
            with pytest.raises(TimeoutError):
                await connection.execute(LONG, timeout=0.5)
            return await connection.fetchval("SELECT 7")
        finally:
            await connection.close()

    assert ends_soon(lambda: asyncio.run(ask())) == 7


def canceled(client: PostgresClient) -> bool:
    """Whether the statement under way has ended with 57014."""
    client.socket.settimeout(15)
    return any(kind == b"E" and b"C57014\0" in payload for kind, payload in _until_ready(client))


def _until_ready(client: PostgresClient) -> list[tuple[bytes, bytes]]:
    came = [client.read_message()]
    while came[-1][0] != b"Z":
        came.append(client.read_message())
    return came


def send_plain(port: int, request: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(request)
    return sock


def send_over_tls(port: int, request: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(SSL_REQUEST)
    assert sock.recv(1) == b"S"
    tls = no_check().wrap_socket(sock)
    tls.sendall(request)
    return tls


def send_over_direct_tls(port: int, request: bytes) -> socket.socket:
    context = no_check()
    context.set_alpn_protocols(["postgresql"])
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
    tls.sendall(request)
    return tls


@pytest.mark.parametrize("send", [send_plain, send_over_tls, send_over_direct_tls])
def test_a_request_is_never_answered_and_closed_when_the_server_knows(
    postgres_proxy: RunningProxy, send: Callable[[int, bytes], socket.socket]
) -> None:
    before = postgres_proxy.log_position()
    with PostgresClient(postgres_proxy.port) as client:
        client.log_in(USER, PASSWORD, database=DATABASE)
        client.send(query(LONG))
        time.sleep(0.3)
        with send(postgres_proxy.port, cancel_request(client.process_id, client.key)) as asking:
            assert asking.recv(1) == b""
        assert canceled(client)
    assert postgres_proxy.events("login refused", since=before) == []


def test_a_wrong_key_cancels_nothing(postgres_proxy: RunningProxy) -> None:
    with PostgresClient(postgres_proxy.port) as client:
        client.log_in(USER, PASSWORD, database=DATABASE)
        assert len(client.key) == 4
        client.send(query("SELECT pg_sleep(1)"))
        wrong = bytes(byte ^ 0xFF for byte in client.key)
        for pid, key in ((client.process_id, wrong), (client.process_id + 1, client.key), (0, b"\0" * 4)):
            with send_plain(postgres_proxy.port, cancel_request(pid, key)) as asking:
                assert asking.recv(1) == b""
        assert not canceled(client)


def test_the_servers_own_key_is_not_given_away(postgres_proxy: RunningProxy) -> None:
    """Two sessions have two keys of ours, and one that has ended can no longer be named."""
    with PostgresClient(postgres_proxy.port) as one, PostgresClient(postgres_proxy.port) as other:
        for client in (one, other):
            client.log_in(USER, PASSWORD, database=DATABASE)
        assert one.key != other.key
        assert one.process_id != other.process_id
        one.send(query(LONG))
        other.send(query("SELECT pg_sleep(1)"))
        time.sleep(0.3)
        with send_plain(postgres_proxy.port, cancel_request(one.process_id, one.key)) as asking:
            assert asking.recv(1) == b""
        assert canceled(one)
        assert not canceled(other)
