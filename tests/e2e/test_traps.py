"""Clients and servers that do not keep to the protocol, byte by byte, against the running proxy."""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.conftest import running
from kit.raw_client import (
    CAPABILITY_EXTENSION,
    COM_QUERY,
    COM_QUIT,
    COMPRESS,
    CONNECT_ATTRS,
    MULTI_FACTOR,
    NATIVE,
    PLUGIN_AUTH,
    PROTOCOL_41,
    REMEMBER_OPTIONS,
    SECURE_CONNECTION,
    SESSION_TRACK,
    SHA2,
    SSL,
    USUAL,
    VERIFY_SERVER_CERT,
    ZSTD,
    Error,
    RawClient,
    Refusal,
    login_payload,
    packet,
    scramble,
)
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer

CA = make_ca("CA of a fake server")
BAD_HANDSHAKE = Error(1043, "08S01", "Bad handshake")
OUT_OF_ORDER = Error(1156, "08S01", "Got packets out of order")
FIRST_ID = 0x70000000


def login(client: RawClient, password: str = PASSWORD) -> bytes:
    """A whole login packet by the plugin of the greeting."""
    plugin = client.greeting.plugin
    return packet(login_payload(USER, scramble(password, plugin, client.greeting.nonce), plugin), 1)


# --- what comes after a failed login ---


def test_query_in_one_segment_with_a_failed_login_is_never_answered(
    real_server: RealServer, proxy: RunningProxy
) -> None:
    position = real_server.log.position()
    with RawClient(proxy.port) as client:
        client.socket.sendall(login(client, "wrong") + packet(COM_QUERY + b"SELECT 1", 0))
        assert client.read_error().code == 1045
    with RawClient(proxy.port) as client:  # the same after an AuthSwitchRequest
        other = NATIVE if client.greeting.plugin == SHA2 else SHA2
        client.send(login_payload(USER, b"", other), 1)
        client.read()
        client.socket.sendall(packet(b"x" * 20, 3) + packet(COM_QUERY + b"SELECT 1", 0) * 1000)
        assert client.read_error().code == 1045
    assert real_server.log.verdicts(position) == []
    proxy.connect().close()


def test_query_in_one_segment_with_a_good_login_is_answered_after_it(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as client:
        client.socket.sendall(login(client) + packet(COM_QUERY + b"DO 1", 0) + packet(COM_QUIT, 0))
        client.finish_login(PASSWORD, 2)
        done = client.read()
        assert (done.sequence_id, done.payload[0]) == (1, 0)
        assert client.rest() == b""


# --- login packets that are not right ---


def without_user_end(client: RawClient) -> bytes:
    return packet(struct.pack("<IIB23x", USUAL, 1 << 24, 45) + b"xxxx", 1)


def with_an_answer_that_is_too_long(client: RawClient) -> bytes:
    return packet(struct.pack("<IIB23x", USUAL, 1 << 24, 45) + b"u\0" + b"\xfa" + b"x" * 20, 1)


def of_one_byte(client: RawClient) -> bytes:
    return packet(b"\x00", 1)


def of_no_bytes(client: RawClient) -> bytes:
    return packet(b"", 1)


def with_attributes_beyond_the_packet(client: RawClient) -> bytes:
    payload = login_payload(USER, b"x" * 20, NATIVE, capabilities=USUAL | CONNECT_ATTRS, rest=b"\xfd\xff\xff\xffxx")
    return packet(payload, 1)


def with_a_user_of_129_bytes(client: RawClient) -> bytes:
    return packet(login_payload("u" * 129, b"x" * 20, NATIVE), 1)


@pytest.mark.parametrize(
    "bad_login",
    [
        without_user_end,
        with_an_answer_that_is_too_long,
        of_one_byte,
        of_no_bytes,
        with_attributes_beyond_the_packet,
        with_a_user_of_129_bytes,
    ],
)
def test_malformed_login_is_a_bad_handshake(proxy: RunningProxy, bad_login: Callable[[RawClient], bytes]) -> None:
    for _ in range(12):  # such packets count against nobody's password
        with RawClient(proxy.port) as client:
            client.socket.sendall(bad_login(client))
            assert client.read_error() == BAD_HANDSHAKE
    started = time.monotonic()
    proxy.connect().close()
    assert time.monotonic() - started < 5


def test_login_of_36_bytes_freezes_nothing(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as client:
        bad = without_user_end(client)
        assert len(bad) == 4 + 36
        client.socket.sendall(bad)
        assert client.read_error() == BAD_HANDSHAKE
    with RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD)
        client.ping()


def test_plugin_flag_without_a_plugin_name_is_a_native_login(proxy: RunningProxy) -> None:
    for end in (b"", b"\0"):
        with RawClient(proxy.port) as client:
            answer = scramble(PASSWORD, NATIVE, client.greeting.nonce)
            client.send(login_payload(USER, answer, None, capabilities=USUAL | PLUGIN_AUTH, rest=end), 1)
            client.finish_login(PASSWORD, 2)
            client.ping()


def test_client_without_plugins_logs_in_by_native(proxy: RunningProxy) -> None:
    flags = USUAL & ~PLUGIN_AUTH
    for password, code in ((PASSWORD, None), ("wrong", 1045)):
        with RawClient(proxy.port) as client:
            answer = scramble(password, NATIVE, client.greeting.nonce)
            client.send(login_payload(USER, answer, None, capabilities=flags), 1)
            first = client.read()
            assert first.sequence_id == 2, "no AuthSwitchRequest: such a client does not know it"
            if code is None:
                assert first.payload[0] == 0
                client.ping()
            else:
                assert Error.of(first.payload).code == code


def test_login_byte_by_byte(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as client:
        other = NATIVE if client.greeting.plugin == SHA2 else SHA2
        _dribble(client, packet(login_payload(USER, b"", other), 1))
        switch = client.read()
        nonce = switch.payload[-21:-1]
        _dribble(client, packet(scramble(PASSWORD, other, nonce), 3))
        client.finish_login(PASSWORD, 4)
        _dribble(client, packet(COM_QUERY + b"DO 1", 0))
        assert client.read().payload[0] == 0


def _dribble(client: RawClient, data: bytes) -> None:
    for number, byte in enumerate(data):
        client.socket.sendall(bytes((byte,)))
        if number < 8:
            time.sleep(0.003)  # so that the header and what follows it are read one by one


@pytest.mark.parametrize("sequence_id", [0, 2, 255])
def test_wrong_sequence_id(proxy: RunningProxy, sequence_id: int) -> None:
    with RawClient(proxy.port) as client:
        client.socket.sendall(packet(login(client)[4:], sequence_id))
        assert client.read_error() == OUT_OF_ORDER


def test_wrong_sequence_id_after_an_auth_switch(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as client:
        other = NATIVE if client.greeting.plugin == SHA2 else SHA2
        client.send(login_payload(USER, b"", other), 1)
        client.read()
        client.send(b"x" * 20, 2)
        assert client.read_error() == OUT_OF_ORDER


def test_header_of_the_proxy_protocol(proxy: RunningProxy) -> None:
    for header in (b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 3306\r\n", b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes(12)):
        with RawClient(proxy.port) as client:
            client.socket.sendall(header + login(client))
            error = client.read_error()
            assert error == OUT_OF_ORDER


@pytest.mark.parametrize("length", [128 * 1024 + 1, 0xFFFFFF])
def test_login_that_announces_megabytes_gets_no_memory(proxy: RunningProxy, length: int) -> None:
    before = resident(proxy)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(proxy.port)) for _ in range(20)]
        for client in clients:
            client.socket.sendall(length.to_bytes(3, "little") + b"\x01" + b"x" * 1000)
        for client in clients:
            error = client.read_error()
            assert (error.code, error.sqlstate) == (1043, "08S01")
            assert "Bad handshake" in error.text
        assert resident(proxy) - before < 10 * 1024 * 1024


def resident(proxy: RunningProxy) -> int:
    """Bytes of memory that the process uses."""
    pages = int(Path(f"/proc/{proxy.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("flags", [0, 1, PROTOCOL_41])
def test_client_from_before_mysql_4_1(proxy: RunningProxy, flags: int) -> None:
    with RawClient(proxy.port) as client:
        old = struct.pack("<H", flags) + b"\xff\xff\xff" + USER.encode() + b"\0" + b"scramble"
        new = struct.pack("<IIB23x", flags, 1 << 24, 45) + USER.encode() + b"\0" + b"scramble\0"
        client.send(new if flags & PROTOCOL_41 else old, 1)
        error = client.read_error()
    assert (error.code, error.sqlstate) == (1251, ""), "such a client knows no sqlstate"
    assert "upgrading MySQL client" in error.text


# --- what both sides agree on ---


def test_capabilities_that_were_not_offered_are_ignored(proxy: RunningProxy) -> None:
    odd = COMPRESS | ZSTD | MULTI_FACTOR | CAPABILITY_EXTENSION | VERIFY_SERVER_CERT | REMEMBER_OPTIONS
    with RawClient(proxy.port) as client:
        assert client.greeting.capabilities & odd == 0
        needed = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH
        assert client.greeting.capabilities & needed == needed
        harmless = odd & ~(COMPRESS | ZSTD)
        client.log_in(USER, PASSWORD, capabilities=USUAL | harmless, rest=b"\x03")  # more than there should be
        assert client.query("SELECT CURRENT_USER()") == [("user_batch@%",)]
        client.ping()


@pytest.mark.parametrize("flag", [COMPRESS, ZSTD])
def test_compression_that_was_not_offered_is_refused_in_a_packet(proxy: RunningProxy, flag: int) -> None:
    with RawClient(proxy.port) as client, pytest.raises(Refusal) as refused:
        client.log_in(USER, PASSWORD, capabilities=USUAL | flag, rest=b"\x03")
    assert refused.value.error.sqlstate == "08S01"


def test_tls_that_was_not_offered_is_ignored_or_refused(real_server: RealServer) -> None:
    config = config_text(real_server).replace("[[listeners]]", '[[listeners]]\ntls = "off"')
    with running(config, key=real_server.key) as proxy:
        with RawClient(proxy.port) as client:
            assert client.greeting.capabilities & SSL == 0
            client.log_in(USER, PASSWORD, capabilities=USUAL | SSL, rest=b"\0\0\0\0")
            client.ping()
        with RawClient(proxy.port) as client:
            ssl_request = packet(struct.pack("<IIB23x", USUAL | SSL, 1 << 24, 45), 1)
            client.socket.sendall(ssl_request + b"\x16\x03\x01\x00\x05hello")
            assert client.read_error() == BAD_HANDSHAKE


def test_ok_of_the_login_holds_nothing_of_the_proxys_own_login(proxy: RunningProxy) -> None:
    # MariaDB 11.8 puts a proof of the password into it, which would be one of the token.
    for flags in (USUAL, USUAL | SESSION_TRACK):
        with RawClient(proxy.port) as client:
            ok = client.log_in(USER, PASSWORD, capabilities=flags, database="shop")
            assert ok.payload[:3] == b"\0\0\0"
            assert b"redirect_url" not in ok.payload.replace(b"redirect_url\0", b""), "only an empty one"
            if flags == USUAL:
                assert ok.payload[7:] == b"", ok.payload
            else:
                assert ok.payload[7:8] in (b"", b"\0"), ok.payload


def test_greeting_is_that_of_the_server(real_server: RealServer, proxy: RunningProxy) -> None:
    with socket.create_connection((real_server.host, real_server.port), timeout=10) as direct:
        direct.settimeout(10)
        header = direct.recv(4, socket.MSG_WAITALL)
        version = direct.recv(int.from_bytes(header[:3], "little"), socket.MSG_WAITALL)[1:].split(b"\0")[0]
    with RawClient(proxy.port) as client:
        assert client.greeting.version == version
        assert client.greeting.plugin == (SHA2 if real_server.family == "mysql" else NATIVE)


def test_connection_ids_and_nonces_are_never_the_same(proxy: RunningProxy) -> None:
    with contextlib.ExitStack() as stack:
        greetings = [stack.enter_context(RawClient(proxy.port)).greeting for _ in range(50)]
    ids = [greeting.connection_id for greeting in greetings]
    assert len(set(ids)) == 50
    assert all(FIRST_ID <= number < 1 << 31 for number in ids)
    nonces = {greeting.nonce for greeting in greetings}
    assert len(nonces) == 50
    assert all(nonce.isalnum() and len(nonce) == 20 for nonce in nonces)


# --- clients that go ---


def test_client_that_leaves_at_any_point_disturbs_nobody(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as working:
        working.log_in(USER, PASSWORD)
        for sent in (0, 1, 4, 20):
            with RawClient(proxy.port) as client:
                client.socket.sendall(login(client)[:sent])
        with RawClient(proxy.port) as client:  # with a reset
            client.socket.sendall(login(client))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with RawClient(proxy.port) as client:  # in the middle of a command
            client.log_in(USER, PASSWORD)
            client.socket.sendall(b"\x20\0\0\0\x03SEL")
        with RawClient(proxy.port) as client:  # in the middle of a result
            client.log_in(USER, PASSWORD)
            client.send(COM_QUERY + b"SELECT REPEAT('x', 100000000)", 0)
            client.read()
        working.ping()
        assert working.query("SELECT 'still there'") == [("still there",)]
