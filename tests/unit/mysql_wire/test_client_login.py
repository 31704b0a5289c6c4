"""The login that faces RDS, as conversations. What has no row must not happen."""

from dataclasses import replace

import pytest

from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.client_login import ClientLogin, Failed, LoggedIn, NoTLS, OtherPlugin, SendToken, StartTLS
from mysql_wire.constants import Capability, MariaDBCapability, Status
from mysql_wire.errors import LocalProtocolError, RemoteProtocolError, UnexpectedPacket
from mysql_wire.handshake import HandshakeResponse41, HandshakeV10, LoginRequest, ServerIdentity
from mysql_wire.packet import Header
from mysql_wire.reply import AuthSwitchRequest, ERRPacket, OKPacket

IDENTITY = ServerIdentity(b"8.0.36", Capability(0xDFFFFFFF), MariaDBCapability(0), 255)
REQUEST = LoginRequest(b"legacy", b"shop", 45, 1 << 24, LOGIN_CAPABILITIES | Capability.CONNECT_WITH_DB,
                       MariaDBCapability(0), b"\x01a\x01b")  # fmt: skip
TOKEN = b"db.example:3306/?Action=connect&X-Amz-Signature=00"
OK = OKPacket(Status.AUTOCOMMIT).encode(Capability(0))
SWITCH = AuthSwitchRequest("mysql_clear_password", b"").encode()
DENIED = ERRPacket(1045, "28000", b"Access denied").encode()


def _greeting(identity: ServerIdentity = IDENTITY, plugin: str = "caching_sha2_password") -> bytes:
    return HandshakeV10(replace(identity, auth_plugin_name=plugin), 4711, b"n" * 20).encode()


def _receive(login: ClientLogin, payload: bytes) -> object:
    login.sequence.accept(Header(len(payload), login.sequence.next_id))
    return login.receive(payload)


def _at_switch() -> ClientLogin:
    login = ClientLogin("user_batch", REQUEST)
    _receive(login, _greeting())
    login.tls_established()
    return login


def test_the_whole_login() -> None:
    login = ClientLogin("user_batch", REQUEST)
    start = _receive(login, _greeting())
    assert isinstance(start, StartTLS)
    assert start.packet[3] == 1
    packet = login.tls_established()
    assert packet[3] == 2
    assert packet[4:36] == start.packet[4:36]  # servers keep the flags of the SSLRequest
    response = HandshakeResponse41.decode(packet[4:], IDENTITY)
    assert response.auth_response == b""
    assert response.auth_plugin_name == "caching_sha2_password"
    assert (response.request.user, response.request.database) == (b"user_batch", b"shop")
    assert response.request.attributes == REQUEST.attributes
    assert _receive(login, SWITCH) == SendToken()
    assert login.token(TOKEN) == Header(len(TOKEN) + 1, 4).encode() + TOKEN + b"\0"
    assert _receive(login, OK) == LoggedIn(OKPacket(Status.AUTOCOMMIT))
    assert login.connection_id == 4711


def test_no_token_before_it_was_asked_for() -> None:
    login = ClientLogin("user_batch", REQUEST)
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)
    _receive(login, _greeting())
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)
    login.tls_established()
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)


def test_server_without_tls_gets_nothing() -> None:
    plain = ServerIdentity(b"8.0", IDENTITY.capabilities & ~Capability.SSL, MariaDBCapability(0), 45)
    login = ClientLogin("user_batch", REQUEST)
    assert _receive(login, _greeting(plain)) == NoTLS()
    with pytest.raises(LocalProtocolError):
        login.tls_established()


def test_ok_before_the_token_is_no_login() -> None:
    login = _at_switch()
    with pytest.raises(UnexpectedPacket):
        _receive(login, OK)
    with pytest.raises(RemoteProtocolError):
        _receive(login, SWITCH)


@pytest.mark.parametrize("plugin", ["mysql_native_password", "caching_sha2_password", "dialog", "mysql_old_password"])
def test_no_other_plugin_gets_an_answer(plugin: str) -> None:
    login = _at_switch()
    assert _receive(login, AuthSwitchRequest(plugin, b"n" * 21).encode()) == OtherPlugin(plugin)
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)


def test_only_one_switch() -> None:
    login = _at_switch()
    _receive(login, SWITCH)
    login.token(TOKEN)
    with pytest.raises(UnexpectedPacket):
        _receive(login, SWITCH)


def test_more_data_has_no_place() -> None:
    with pytest.raises(UnexpectedPacket):
        _receive(_at_switch(), b"\x01\x04")


def test_err_in_place_of_greeting_before_and_after_the_token() -> None:
    login = ClientLogin("user_batch", REQUEST)
    assert _receive(login, b"\xff\x10\x04Too many connections") == Failed(
        ERRPacket(1040, "HY000", b"Too many connections")
    )
    assert isinstance(_receive(_at_switch(), DENIED), Failed)
    login = _at_switch()
    _receive(login, SWITCH)
    login.token(TOKEN)
    assert isinstance(_receive(login, DENIED), Failed)


def test_server_whose_default_is_clear_password_is_not_given_an_empty_one() -> None:
    login = ClientLogin("user_batch", REQUEST)
    _receive(login, _greeting(plugin="mysql_clear_password"))
    response = HandshakeResponse41.decode(login.tls_established()[4:], IDENTITY)
    assert response.auth_plugin_name == "mysql_native_password"
