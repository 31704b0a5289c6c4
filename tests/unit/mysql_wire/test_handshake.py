"""Greeting, TLS request, login packet and COM_CHANGE_USER."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_wire.capabilities import LOGIN_CAPABILITIES, NOT_RELAYED, asked, offered, same_format
from mysql_wire.constants import Capability, MariaDBCapability
from mysql_wire.errors import LocalProtocolError, MalformedPacket
from mysql_wire.handshake import (
    ChangeUser,
    HandshakeResponse41,
    HandshakeV10,
    LoginRequest,
    ServerIdentity,
    SSLRequest,
    ssl_request,
)

NONCE = b"abcdefghij0123456789"
MYSQL = ServerIdentity(b"9.7.4", Capability(0xDFFFFFFF), MariaDBCapability(0), 255, "caching_sha2_password")
MARIADB = ServerIdentity(b"5.5.5-10.11.19-MariaDB", Capability(0x81FFFFFE), MariaDBCapability(0x1D), 45)
FLAGS = LOGIN_CAPABILITIES | Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS

requests = st.builds(
    LoginRequest,
    user=st.binary(max_size=128).filter(lambda b: b"\0" not in b),
    database=st.binary(max_size=256).filter(lambda b: b"\0" not in b),
    collation=st.integers(0, 255),
    max_packet_size=st.integers(0, 2**32 - 1),
    capabilities=st.just(FLAGS),
    mariadb_capabilities=st.just(MariaDBCapability(0)),
    attributes=st.binary(max_size=600),
)


@pytest.mark.parametrize("identity", [MYSQL, MARIADB])
def test_greeting_round_trip_and_truncation(identity: ServerIdentity) -> None:
    greeting = HandshakeV10(identity, 0x70000001, NONCE)
    payload = greeting.encode()
    assert HandshakeV10.decode(payload) == greeting
    before_plugin = len(payload) - len(identity.auth_plugin_name) - 1
    for end in range(before_plugin):
        with pytest.raises(MalformedPacket):
            HandshakeV10.decode(payload[:end])
    assert HandshakeV10.decode(payload[:-1]) == greeting  # servers that leave the last NUL out


def test_greeting_of_another_protocol_version() -> None:
    with pytest.raises(MalformedPacket, match="9 instead of 10"):
        HandshakeV10.decode(b"\x09" + bytes(60))


def test_greeting_with_a_plugin_name_longer_than_servers_have() -> None:
    with pytest.raises(MalformedPacket, match="auth_plugin_name: 65 bytes"):
        HandshakeV10.decode(HandshakeV10(replace(MYSQL, auth_plugin_name="p" * 65), 1, NONCE).encode())


def test_greeting_refuses_a_nonce_that_the_wire_cannot_carry() -> None:
    with pytest.raises(LocalProtocolError):
        HandshakeV10(MYSQL, 1, b"\0" * 20).encode()


def test_reserved_bytes_of_mysql_are_no_mariadb_capabilities() -> None:
    payload = bytearray(HandshakeV10(MARIADB, 1, NONCE).encode())
    flags_at = payload.index(b"\0", 1) + 1 + 4 + 9
    payload[flags_at] |= 1  # LONG_PASSWORD
    assert HandshakeV10.decode(bytes(payload)).identity.mariadb_capabilities == 0


def test_old_clients_know_all_that_the_greeting_names() -> None:
    old = MYSQL.for_old_clients()
    assert (old.auth_plugin_name, old.collation) == ("mysql_native_password", 45)
    assert (old.version, old.capabilities) == (MYSQL.version, MYSQL.capabilities)
    assert MARIADB.for_old_clients() == MARIADB


@given(requests, st.binary(max_size=300))
def test_login_packet_round_trip(request: LoginRequest, answer: bytes) -> None:
    response = HandshakeResponse41(request, answer, "mysql_native_password")
    decoded = HandshakeResponse41.decode(response.encode(), MYSQL)
    assert decoded == response


def test_login_packet_at_every_truncation_is_malformed() -> None:
    request = LoginRequest(b"app", b"shop", 45, 1 << 24, FLAGS, MariaDBCapability(0), b"\x03abc\x03def")
    payload = HandshakeResponse41(request, b"x" * 20, "mysql_native_password").encode()
    tolerated = len(payload) - len(b"mysql_native_password\0") - 9  # a missing plugin name is tolerated; attributes not
    for end in range(len(payload)):
        with pytest.raises(MalformedPacket):
            HandshakeResponse41.decode(payload[:end], MYSQL)
    without_attributes = MYSQL.capabilities & ~Capability.CONNECT_ATTRS
    no_name = ServerIdentity(MYSQL.version, without_attributes, MariaDBCapability(0), 45)
    assert HandshakeResponse41.decode(payload[:tolerated], no_name).auth_plugin_name is None


def test_trailing_bytes_are_tolerated() -> None:
    request = LoginRequest(b"app", b"", 45, 0, FLAGS, MariaDBCapability(0), b"")
    response = HandshakeResponse41(request, b"", "p")
    assert HandshakeResponse41.decode(response.encode() + bytes(4), MYSQL) == response


def test_36_bytes_without_a_nul_are_malformed() -> None:
    payload = int(LOGIN_CAPABILITIES).to_bytes(4, "little") + bytes(28) + b"user"
    with pytest.raises(MalformedPacket, match="username: no NUL in 4 bytes"):
        HandshakeResponse41.decode(payload, MYSQL)


def test_names_beyond_their_limits_are_malformed() -> None:
    for request in (
        LoginRequest(b"u" * 129, b"", 45, 0, FLAGS, MariaDBCapability(0), b""),
        LoginRequest(b"u", b"d" * 257, 45, 0, FLAGS, MariaDBCapability(0), b""),
        LoginRequest(b"u", b"", 45, 0, FLAGS, MariaDBCapability(0), b"a" * 65_536),
    ):
        with pytest.raises(MalformedPacket, match="limit"):
            HandshakeResponse41.decode(HandshakeResponse41(request, b"", "p").encode(), MYSQL)


def test_layout_follows_what_both_sides_named() -> None:
    """libmariadb sets CONNECT_ATTRS but leaves the field out where the server does not have it."""
    flags = LOGIN_CAPABILITIES | Capability.CONNECT_ATTRS | Capability.MULTI_FACTOR_AUTHENTICATION
    payload = int(flags).to_bytes(4, "little") + bytes(28) + b"app\0" + b"\0" + b"p\0"
    identity = offered(MYSQL, tls=False)
    poor = ServerIdentity(b"x", identity.capabilities & ~Capability.CONNECT_ATTRS, MariaDBCapability(0), 45)
    decoded = HandshakeResponse41.decode(payload, poor)
    assert decoded.request.attributes is None
    assert Capability.MULTI_FACTOR_AUTHENTICATION not in decoded.request.capabilities


def test_ssl_request_is_the_beginning_of_the_login_packet() -> None:
    request = LoginRequest(b"app", b"", 45, 7, FLAGS | Capability.SSL, MariaDBCapability(0), b"")
    encoded = ssl_request(request).encode()
    assert SSLRequest.matches(encoded)
    assert HandshakeResponse41(request, b"", "p").encode().startswith(encoded)
    assert not SSLRequest.matches(encoded + b"x")


def test_offered_capabilities() -> None:
    plain = offered(MYSQL, tls=False)
    assert not plain.capabilities & NOT_RELAYED
    assert offered(MYSQL, tls=True).capabilities == plain.capabilities | Capability.SSL


def test_asked_capabilities_are_shared_ones_and_always_tls() -> None:
    everything = LoginRequest(b"u", None, 45, 0, Capability(0xFFFFFFFF), MariaDBCapability(0x3D), b"a")
    towards_mariadb = asked(everything, MARIADB)
    assert Capability.SSL in towards_mariadb.capabilities
    assert Capability.LONG_PASSWORD not in towards_mariadb.capabilities
    assert Capability.QUERY_ATTRIBUTES not in towards_mariadb.capabilities
    assert towards_mariadb.mariadb_capabilities == MARIADB.mariadb_capabilities
    nothing = LoginRequest(b"u", None, 45, 0, Capability(0), MariaDBCapability(0))
    assert asked(nothing, MYSQL).capabilities == LOGIN_CAPABILITIES | Capability.SSL | Capability.LONG_PASSWORD


def test_a_server_without_an_agreed_format_is_another_server() -> None:
    request = LoginRequest(b"u", None, 45, 0, Capability.DEPRECATE_EOF, MariaDBCapability(0))
    older = ServerIdentity(b"5.6", MYSQL.capabilities & ~Capability.DEPRECATE_EOF, MariaDBCapability(0), 8)
    assert same_format(request, MYSQL, MYSQL)
    assert not same_format(request, MYSQL, older)
    assert not same_format(request, MYSQL, MARIADB)


def test_change_user_keeps_the_agreed_flags() -> None:
    before = LoginRequest(b"app", None, 45, 1, LOGIN_CAPABILITIES, MariaDBCapability(0))
    payload = b"\x11other\0\x03abcshop\0\x2d\x00mysql_native_password\0"
    message = ChangeUser.decode(payload, before)
    assert message.auth_plugin_name == "mysql_native_password"
    assert (message.request.user, message.request.database) == (b"other", b"shop")
    assert message.request.capabilities == LOGIN_CAPABILITIES | Capability.CONNECT_WITH_DB
    for end in range(1, len(b"\x11other\0\x03abcshop")):
        with pytest.raises(MalformedPacket):
            ChangeUser.decode(payload[:end], before)
