"""What answers in RDS's place and is not it: nothing secret is said to it, and the client learns what is wrong."""

import socket
from pathlib import Path

import pytest

from e2e.conftest import refused_once, running
from kit.fake_server import (
    HOST,
    OK,
    WITHOUT_TLS,
    Behaviour,
    FakeServer,
    after_tls,
    fake_server,
    greeting,
    read_packet,
    tls_context,
)
from kit.raw_client import packet, refusal
from kit.running_proxy import PASSWORD, USER, config_text
from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from servers.real_server import make_key

CA = make_ca("CA of a fake server")


def hang_up(connection: socket.socket, server: FakeServer) -> None:
    connection.sendall(greeting())


def talk_http(connection: socket.socket, server: FakeServer) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def greet_without_tls(connection: socket.socket, server: FakeServer) -> None:
    connection.sendall(greeting(WITHOUT_TLS))
    server.heard.append(connection.recv(1000))


def talk_no_tls_after_all(connection: socket.socket, server: FakeServer) -> None:
    connection.sendall(greeting())
    connection.recv(36)
    connection.sendall(b"this is no TLS record at all, but it is long enough for one")
    connection.recv(1000)


@pytest.mark.parametrize(
    ("behaviour", "code", "reason", "text"),
    [
        (hang_up, 2003, "unreachable", "ended the login while starting TLS"),
        (talk_http, 2003, "unreachable", "check that the address is a MySQL or MariaDB endpoint"),
        (greet_without_tls, 2026, "tls", "offers no TLS"),
        (talk_no_tls_after_all, 2026, "tls", "TLS with"),
    ],
)
def test_what_is_no_rds(tmp_path: Path, behaviour: Behaviour, code: int, reason: str, text: str) -> None:
    with fake_server(behaviour, CA, tmp_path) as server, running(config_text(server)) as proxy:
        proxy.wait_for("target down")
        error, line = refused_once(proxy)
        heard = b"".join(server.heard)
    assert (error.code, error.sqlstate, line["reason"]) == (code, "HY000", reason)
    assert text in error.text
    assert server.endpoint in error.text
    assert heard == b"", "nothing is said to a server without TLS"


def let_in(connection: socket.socket, server: FakeServer) -> None:
    server.heard.append(connection.recv(1000))
    connection.sendall(packet(b"\0\0\0\2\0\0\0", 3))
    while data := connection.recv(1000):
        server.heard.append(data)


def want_native(connection: socket.socket, server: FakeServer) -> None:
    server.heard.append(connection.recv(1000))
    connection.sendall(packet(b"\xfemysql_native_password\0" + b"n" * 20 + b"\0", 3))
    while data := connection.recv(1000):
        server.heard.append(data)


def want_full_sha2(connection: socket.socket, server: FakeServer) -> None:
    server.heard.append(connection.recv(1000))
    connection.sendall(packet(b"\x01\x04", 3))
    while data := connection.recv(1000):
        server.heard.append(data)


@pytest.mark.parametrize("behaviour", [let_in, want_native, want_full_sha2])
def test_server_that_wants_no_token_gets_none(tmp_path: Path, behaviour: Behaviour) -> None:
    with (
        fake_server(after_tls(CA, tmp_path, behaviour), CA, tmp_path) as server,
        running(config_text(server), key=make_key()) as proxy,
    ):
        proxy.wait_for("target down")
        error, _ = refused_once(proxy)
        heard = b"".join(server.heard)
    assert (error.code, error.sqlstate) == (1045, "28000")
    assert "does not log in with IAM" in error.text
    assert b"user_batch\0" in heard
    assert b"X-Amz" not in heard


@pytest.mark.parametrize("when", ["with the greeting", "after the SSLRequest"])
@pytest.mark.parametrize(
    "injected", [packet(OK, 2), packet(b"\xfemysql_clear_password\0", 2), b"\0"], ids=["OK", "AuthSwitch", "NUL"]
)
def test_clear_text_injected_before_tls_is_refused(tmp_path: Path, when: str, injected: bytes) -> None:
    context = tls_context(make_server_certificate((HOST,), issuer=CA), tmp_path)

    def inject(connection: socket.socket, server: FakeServer) -> None:
        if when == "with the greeting":
            connection.sendall(greeting() + injected)
            read_packet(connection)
        else:
            connection.sendall(greeting())
            read_packet(connection)
            connection.sendall(injected)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            server.heard.append(encrypted.recv(1000))

    with fake_server(inject, CA, tmp_path) as server, running(config_text(server), key=make_key()) as proxy:
        proxy.wait_for("target down")
        error = refusal(proxy.port, USER, PASSWORD)
        heard = b"".join(server.heard)
    assert (error.code, error.sqlstate) == (2026, "HY000")
    assert heard == b""
