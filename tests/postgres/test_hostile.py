"""Connections that mean no good: each is refused or closed, costs the server nothing, and keeps nobody out."""

import random
import socket
import time

import pytest

from kit.running_proxy import PASSWORD, USER, RunningProxy
from postgres.conftest import connect
from postgres.raw_client import (
    GSSENC_REQUEST,
    SSL_REQUEST,
    PostgresClient,
    cancel_request,
    message,
    query,
    startup,
)
from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer

CONNECTIONS = 1000
SEED = 20_260_101

OPENINGS = (
    b"",
    b"\0",
    b"\0\0\0\0",
    b"\0\0\0\x07",
    b"\xff\xff\xff\xff\0\x03\0\0",
    b"\0\0\x27\x16" + bytes(10_000),
    b"GET / HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01" + bytes(60),
    SSL_REQUEST,
    SSL_REQUEST + startup(USER),
    SSL_REQUEST + SSL_REQUEST,
    GSSENC_REQUEST * 3,
    startup(USER) + query("SELECT 1"),
    startup(USER) + message(b"p", b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
    startup(USER) + message(b"p", b"SCRAM-SHA-1\0\0\0\0\x05n,,n="),
    startup(USER) + message(b"p", b"SCRAM-SHA-256\0\x7f\xff\xff\xff"),
    startup(USER) + b"p\xff\xff\xff\xff",
    startup(USER) + message(b"X"),
    startup(""),
    startup(USER, version=2 << 16),
    startup(USER, version=(3 << 16) + 9999, parameters={b"_pq_.x": b"y"}),
    startup("x" * 9_000),
    startup(USER)[:-1],
    cancel_request(1, b"\0" * 4),
    cancel_request(1, b"\0" * 256),
    cancel_request(1, b""),
    b"\x4a\0\0\0\x0a8.0.36\0",
)


def hostile(port: int, opening: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.settimeout(3)
        try:
            sock.sendall(opening)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        except OSError:
            return


@pytest.mark.alone
def test_hostile_connections_cost_the_server_nothing(
    postgres_proxy: RunningProxy, postgres_server: PostgresServer
) -> None:
    chance = random.Random(SEED)
    since, before = postgres_server.log.position(), postgres_proxy.log_position()
    for number in range(CONNECTIONS):
        opening = bytearray(OPENINGS[number % len(OPENINGS)])
        if opening and number >= len(OPENINGS):
            opening[chance.randrange(len(opening))] = chance.randrange(256)
        hostile(postgres_proxy.port, bytes(opening))
    assert postgres_server.log.verdicts(since) == []
    assert postgres_proxy.events("internal error", since=before) == []
    connect(postgres_proxy).close()


def test_clear_bytes_before_tls_are_not_taken_for_what_comes_through_it(postgres_proxy: RunningProxy) -> None:
    with PostgresClient(postgres_proxy.port) as client:
        client.send(SSL_REQUEST + startup(USER))
        assert client.read(1) == b"S"
        assert client.is_closed()


def test_a_flood_of_tiny_messages_keeps_nobody_waiting(postgres_proxy: RunningProxy) -> None:
    """A quarter of a megabyte of Syncs at once, again and again, beside somebody who asks one thing."""
    with PostgresClient(postgres_proxy.port) as flood, connect(postgres_proxy) as other:
        flood.log_in(USER, PASSWORD, database=DATABASE)
        flood.socket.settimeout(0.01)
        bulk = message(b"S") * 50_000
        until = time.monotonic() + 3
        longest = 0.0
        while time.monotonic() < until:
            try:
                flood.socket.send(bulk)
                flood.socket.recv(1 << 18)
            except TimeoutError:
                pass
            began = time.monotonic()
            other.execute("SELECT 1")
            longest = max(longest, time.monotonic() - began)
        assert longest < 2
