"""The login that faces the legacy client, as conversations."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql._auth import scramble_caching_sha2, scramble_native_password

from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.constants import Capability, ErrorCode, MariaDBCapability, Status
from mysql_wire.errors import (
    CompressionNotOffered,
    LocalProtocolError,
    MalformedCommand,
    MalformedPacket,
    ProtocolError,
    RemoteProtocolError,
    TLSRequired,
    UnexpectedPacket,
    UnsupportedClient,
)
from mysql_wire.handshake import HandshakeResponse41, HandshakeV10, LoginRequest, ServerIdentity, ssl_request
from mysql_wire.packet import Header
from mysql_wire.passwords import Verifier
from mysql_wire.reply import AuthSwitchRequest, ERRPacket, OKPacket
from mysql_wire.server_login import Answered, Send, ServerLogin, StartTLS

SHA2, NATIVE = "caching_sha2_password", "mysql_native_password"
MYSQL = ServerIdentity(b"9.7.4", Capability(0xDFFFFFFF), MariaDBCapability(0), 255, "caching_sha2_password")
MARIADB = ServerIdentity(b"11.8.9-MariaDB", Capability(0x81FFFFFE), MariaDBCapability(0x3D), 45)
PASSWORD = b"correct horse"
RIGHT = Verifier.of(PASSWORD)
DUMMY = Verifier.of(b"nobody's")
OK = OKPacket(Status.AUTOCOMMIT)
OK_PAYLOAD = b"\0\0\0\x02\0\0\0"


def _nonces() -> Iterator[bytes]:
    for digit in b"123456789":
        yield bytes((digit,)) * 20


NO = ERRPacket(1045, "28000", b"no")
PLAIN = LoginRequest(b"app", None, 45, 1 << 24, LOGIN_CAPABILITIES, MariaDBCapability(0))


def _lookup(user: bytes) -> tuple[Verifier, ...]:
    return (RIGHT,) if user == b"app" else (DUMMY,)


class Client:
    """What a client does, by hand."""

    def __init__(
        self,
        identity: ServerIdentity = MYSQL,
        verifiers: tuple[Verifier, ...] | None = None,
        *,
        tls: bool = False,
        tls_required: bool = False,
    ) -> None:
        nonces = _nonces()
        self.login = ServerLogin(
            identity,
            0x70000001,
            _lookup if verifiers is None else lambda _: verifiers,
            nonce=lambda: next(nonces),
            tls=tls,
            tls_required=tls_required,
        )
        self.greeting = HandshakeV10.decode(self.login.greeting()[4:])

    def response(self, answer: bytes, plugin: str | None, user: bytes = b"app", *, extra: int = 0) -> bytes:
        flags = LOGIN_CAPABILITIES | Capability(extra)
        if plugin is None:
            flags &= ~Capability.PLUGIN_AUTH
        request = LoginRequest(user, None, 45, 1 << 24, flags, MariaDBCapability(0))
        payload = HandshakeResponse41(request, answer, plugin).encode()
        return payload[:-1] if plugin is None else payload

    def send(self, payload: bytes) -> StartTLS | Send | Answered:
        self.login.sequence.accept(Header(len(payload), self.login.sequence.next_id))
        return self.login.receive(payload)


def _switch(event: object) -> AuthSwitchRequest:
    assert isinstance(event, Send)
    return AuthSwitchRequest.decode(event.packet[4:])


def test_caching_sha2_fast_path() -> None:
    client = Client()
    assert client.greeting.auth_plugin_name == SHA2
    answer = scramble_caching_sha2(PASSWORD, client.greeting.nonce)
    assert client.send(client.response(answer, SHA2)) == Answered()
    assert client.login.verify()
    assert client.login.success(OK) == b"\x02\0\0\x02\x01\x03" + b"\x07\0\0\x03" + OK_PAYLOAD


def test_native_towards_mariadb_without_a_switch() -> None:
    client = Client(MARIADB)
    assert client.greeting.auth_plugin_name == NATIVE
    client.send(client.response(scramble_native_password(PASSWORD, client.greeting.nonce), NATIVE))
    assert client.login.verify()
    assert client.login.success(OK) == b"\x07\0\0\x02" + OK_PAYLOAD


@pytest.mark.parametrize(
    ("identity", "plugin"),
    [
        (replace(MYSQL, auth_plugin_name=NATIVE), NATIVE),  # MySQL 5.7, Aurora
        (MYSQL, SHA2),
        (replace(MYSQL, auth_plugin_name="sha256_password"), NATIVE),  # none that we can check
        (replace(MYSQL, auth_plugin_name=""), NATIVE),
        (replace(MARIADB, auth_plugin_name=SHA2), NATIVE),  # native is what proves our certificate
    ],
)
def test_the_greeting_names_the_plugin_that_rds_greets_with(identity: ServerIdentity, plugin: str) -> None:
    assert Client(identity).greeting.auth_plugin_name == plugin


WRONG_GUESSES = [b"", b"\0", b"x" * 20, b"x" * 32]
HALVES = [(Verifier(RIGHT.native, None), NATIVE), (Verifier(None, RIGHT.sha2), SHA2)]


@pytest.mark.parametrize("greeted_with", [NATIVE, SHA2])
@pytest.mark.parametrize("guess", WRONG_GUESSES)
@pytest.mark.parametrize(("half", "offered"), HALVES)
def test_an_account_with_one_kind_of_hash_is_asked_for_that_kind_once(
    greeted_with: str, guess: bytes, half: Verifier, offered: str
) -> None:
    other = SHA2 if offered == NATIVE else NATIVE
    client = Client(replace(MYSQL, auth_plugin_name=greeted_with), (half,))
    switch = _switch(client.send(client.response(guess, other)))
    assert switch.plugin_name == offered
    scramble = scramble_native_password if offered == NATIVE else scramble_caching_sha2
    assert client.send(scramble(PASSWORD, switch.plugin_data[:20])) == Answered()
    assert client.login.verify()


@pytest.mark.parametrize("guess", WRONG_GUESSES)
@pytest.mark.parametrize(("greeted_with", "named"), [(NATIVE, SHA2), (SHA2, NATIVE)])
def test_a_client_that_names_another_plugin_than_the_greeting_is_asked_by_its_own(
    guess: bytes, greeted_with: str, named: str
) -> None:
    client = Client(replace(MYSQL, auth_plugin_name=greeted_with))
    switch = _switch(client.send(client.response(guess, named)))
    assert switch.plugin_name == named
    assert client.send(b"") == Answered()
    assert not client.login.using_password
    assert not client.login.verify()


@pytest.mark.parametrize(("named", "switched_to"), [(NATIVE, NATIVE), ("dummy_fallback_auth", NATIVE)])
def test_another_plugin_gets_a_switch_with_a_new_nonce(named: str, switched_to: str) -> None:
    client = Client()
    switch = _switch(client.send(client.response(b"", named)))
    assert switch.plugin_name == switched_to
    assert switch.plugin_data[:20] != client.greeting.nonce
    assert client.send(scramble_native_password(PASSWORD, switch.plugin_data[:20])) == Answered()
    assert client.login.verify()
    assert client.login.success(OK)[3] == 4


def test_answer_over_the_old_nonce_is_wrong_after_a_switch() -> None:
    client = Client()
    client.send(client.response(b"", NATIVE))
    client.send(scramble_native_password(PASSWORD, client.greeting.nonce))
    assert not client.login.verify()


def test_client_without_plugin_auth_is_checked_by_native_and_never_switched() -> None:
    client = Client()
    answer = scramble_native_password(PASSWORD, client.greeting.nonce)
    assert client.send(client.response(answer, None)) == Answered()
    assert client.login.verify()


def test_plugin_auth_without_a_name_is_no_plugin_auth() -> None:
    client = Client()
    payload = client.response(scramble_native_password(PASSWORD, client.greeting.nonce), "")[:-1]
    assert client.send(payload) == Answered()
    assert client.login.verify()


def test_account_without_native_hash_is_switched_to_sha2() -> None:
    client = Client(MARIADB, (Verifier(native=None, sha2=RIGHT.sha2),))
    switch = _switch(client.send(client.response(b"x" * 20, NATIVE)))
    assert switch.plugin_name == SHA2
    client.send(scramble_caching_sha2(PASSWORD, switch.plugin_data[:20]))
    assert client.login.verify()


def test_either_of_two_passwords_is_right() -> None:
    for password in (PASSWORD, b"nobody's"):
        client = Client(MYSQL, (RIGHT, DUMMY))
        client.send(client.response(scramble_caching_sha2(password, client.greeting.nonce), SHA2))
        assert client.login.verify()


@pytest.mark.parametrize("user", [b"app", b"unknown"])
@pytest.mark.parametrize("answer", [b"", b"x" * 32, b"x" * 20])
def test_wrong_answers_and_unknown_users_look_the_same(user: bytes, answer: bytes) -> None:
    client = Client()
    assert client.send(client.response(answer, SHA2, user)) == Answered()
    assert not client.login.verify()
    with pytest.raises(LocalProtocolError):
        client.login.success(OK)
    assert client.login.failure(ERRPacket(1045, "28000", b"no"))[3] == 2


def test_nothing_follows_a_failed_login() -> None:
    client = Client()
    client.send(client.response(b"", SHA2))
    assert not client.login.verify()
    with pytest.raises(RemoteProtocolError):
        client.send(client.response(b"", SHA2))


def test_no_success_before_verify() -> None:
    client = Client()
    client.send(client.response(scramble_caching_sha2(PASSWORD, client.greeting.nonce), SHA2))
    with pytest.raises(LocalProtocolError):
        client.login.success(OK)


def test_tls_request_where_tls_is_offered() -> None:
    client = Client(tls=True)
    request = LoginRequest(b"", None, 45, 0, LOGIN_CAPABILITIES | Capability.SSL, MariaDBCapability(0))
    assert client.send(ssl_request(request).encode()) == StartTLS()
    with pytest.raises(UnexpectedPacket):
        client.login.receive(client.response(b"", SHA2))
    client.login.tls_established()
    answer = scramble_caching_sha2(PASSWORD, client.greeting.nonce)
    assert client.send(client.response(answer, SHA2, extra=Capability.SSL)) == Answered()
    assert client.login.verify()


def test_tls_request_where_tls_is_not_offered_is_malformed() -> None:
    client = Client()
    request = LoginRequest(b"", None, 45, 0, LOGIN_CAPABILITIES | Capability.SSL, MariaDBCapability(0))
    with pytest.raises(MalformedPacket):
        client.send(ssl_request(request).encode())


def test_listener_that_requires_tls() -> None:
    client = Client(tls=True, tls_required=True)
    with pytest.raises(TLSRequired):
        client.send(client.response(b"", SHA2))


@pytest.mark.parametrize("payload", [b"\x85\xa6\xff\xff\xff" + b"root\0", b"\x00\x00"])
def test_clients_from_before_4_1_are_unsupported(payload: bytes) -> None:
    payload = (int.from_bytes(payload[:2], "little") & ~Capability.PROTOCOL_41).to_bytes(2, "little") + payload[2:]
    client = Client()
    with pytest.raises(UnsupportedClient):
        client.send(payload)
    assert b"#" not in client.login.failure(NO)


def test_a_client_without_secure_connection_is_unsupported_too() -> None:
    client = Client()
    flags = Capability.PROTOCOL_41 | Capability.PLUGIN_AUTH
    payload = struct.pack("<IIB23x", flags, 1 << 24, 45) + b"app\0" + b"scramble\0"
    with pytest.raises(UnsupportedClient):
        client.send(payload)
    assert b"#" not in client.login.failure(NO)


def test_an_error_in_place_of_the_greeting_has_no_sqlstate() -> None:
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20)
    assert login.failure(NO)[4:] == NO.encode(with_sqlstate=False)
    assert Client().login.failure(NO)[4:] == NO.encode()


def test_an_error_after_change_user_has_its_sqlstate() -> None:
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20)
    with pytest.raises(MalformedPacket):
        login.change_user(b"\x11", PLAIN, b"n" * 20)
    assert login.failure(NO)[4:] == NO.encode()


def test_capabilities_that_were_not_offered_are_ignored() -> None:
    client = Client()
    extra = Capability.MULTI_FACTOR_AUTHENTICATION | Capability.CAPABILITY_EXTENSION | Capability.REMEMBER_OPTIONS
    client.send(client.response(scramble_caching_sha2(PASSWORD, client.greeting.nonce), SHA2, extra=extra))
    assert client.login.request is not None
    assert not client.login.request.capabilities & extra


@pytest.mark.parametrize("flag", [Capability.COMPRESS, Capability.ZSTD_COMPRESSION_ALGORITHM])
def test_compression_that_was_not_offered_is_refused(flag: Capability) -> None:
    client = Client()
    answer = scramble_caching_sha2(PASSWORD, client.greeting.nonce)
    with pytest.raises(CompressionNotOffered):
        client.send(client.response(answer, SHA2, extra=flag))
    with pytest.raises(LocalProtocolError):
        client.login.verify()
    assert client.login.failure(ERRPacket(1043, "08S01", b"no"))[3] == 2


@pytest.mark.parametrize(
    ("identity", "plugin", "answer", "using_password"),
    [
        (MYSQL, SHA2, b"", False),
        (MYSQL, SHA2, b"\0", False),
        (MYSQL, SHA2, b"\0\0", True),
        (MYSQL, SHA2, b"x" * 32, True),
        (MARIADB, NATIVE, b"", False),
        (MARIADB, NATIVE, b"\0", True),
    ],
)
def test_what_clients_send_for_no_password(
    identity: ServerIdentity, plugin: str, answer: bytes, using_password: bool
) -> None:
    client = Client(identity)
    assert client.send(client.response(answer, plugin)) == Answered()
    assert client.login.using_password == using_password
    assert not client.login.verify()


@pytest.mark.parametrize("payload", [b"\x11", b"\x11app", b"\x11app\0\x14short", b"\x11app\0\0", b"\x0eapp\0\0shop\0"])
def test_change_user_that_cannot_be_parsed_is_no_command(payload: bytes) -> None:
    before = LoginRequest(b"app", None, 45, 0, LOGIN_CAPABILITIES, MariaDBCapability(0))
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20)
    with pytest.raises(MalformedCommand):
        login.change_user(payload, before, b"l" * 20)
    assert login.failure(ERRPacket(ErrorCode.ER_UNKNOWN_COM_ERROR, "08S01", b"Unknown command"))[3] == 1


def test_change_user_is_always_answered_by_a_switch() -> None:
    before = LoginRequest(b"app", None, 45, 0, LOGIN_CAPABILITIES, MariaDBCapability(0))
    login = Client().login
    packet = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20).change_user(
        b"\x11app\0\0\0\x2d\0caching_sha2_password\0", before, b"l" * 20
    )
    assert packet[3] == 1
    assert AuthSwitchRequest.decode(packet[4:]).plugin_name == SHA2
    without_plugins = LoginRequest(
        b"app", None, 45, 0, LOGIN_CAPABILITIES & ~Capability.PLUGIN_AUTH, MariaDBCapability(0)
    )
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20)
    packet = login.change_user(b"\x11app\0\0\0\x2d\0", without_plugins, b"l" * 20)
    assert AuthSwitchRequest.decode(packet[4:]).plugin_name == NATIVE
    login.sequence.accept(Header(20, 2))
    login.receive(scramble_native_password(PASSWORD, b"n" * 20))
    assert login.verify()
    assert login.success(OK)[3] == 3


def test_certificate_proof_only_over_tls_by_native_towards_mariadb() -> None:
    fingerprint = b"f" * 32

    def log_in(identity: ServerIdentity, plugin: str, *, over_tls: bool) -> bytes:
        client = Client(identity, tls=True)
        if over_tls:
            request = LoginRequest(b"", None, 45, 0, LOGIN_CAPABILITIES | Capability.SSL, MariaDBCapability(0))
            client.send(ssl_request(request).encode())
            client.login.tls_established()
        scramble = scramble_native_password if plugin == NATIVE else scramble_caching_sha2
        event = client.send(client.response(scramble(PASSWORD, client.greeting.nonce), plugin))
        if isinstance(event, Send):
            client.send(scramble(PASSWORD, AuthSwitchRequest.decode(event.packet[4:]).plugin_data[:20]))
        assert client.login.verify()
        return client.login.success(OK, fingerprint=fingerprint)

    proof = log_in(MARIADB, NATIVE, over_tls=True)[4 + len(OK_PAYLOAD) :]
    stage2 = hashlib.sha1(hashlib.sha1(PASSWORD).digest()).digest()
    expected = hashlib.sha256(stage2 + b"1" * 20 + fingerprint).hexdigest().upper()
    assert proof == b"\x01" + expected.encode()
    for identity, plugin, over_tls in ((MARIADB, NATIVE, False), (MARIADB, SHA2, True), (MYSQL, NATIVE, True)):
        assert log_in(identity, plugin, over_tls=over_tls).endswith(OK_PAYLOAD)


def test_a_peer_that_the_system_vouches_for_needs_no_password() -> None:
    fast = b"\x01\x03\x07\0\0\x03" + OK_PAYLOAD
    for answer, packets in ((b"", OK_PAYLOAD), (b"\0", OK_PAYLOAD), (b"x" * 32, fast)):
        client = Client()
        client.send(client.response(answer, SHA2))
        client.login.accept_peer()
        assert client.login.success(OK)[4:] == packets


@pytest.mark.parametrize(("attributes", "code"), [(b"\x0c_client_name\x0alibmariadb", 1429), (b"", 2003)])
def test_libmariadb_gets_no_code_that_it_takes_for_a_broken_packet(attributes: bytes, code: int) -> None:
    client = Client()
    flags = LOGIN_CAPABILITIES | Capability.CONNECT_ATTRS
    request = LoginRequest(b"app", None, 45, 1 << 24, flags, MariaDBCapability(0), attributes)
    client.send(HandshakeResponse41(request, b"", SHA2).encode())
    packet = client.login.failure(ERRPacket(2003, "HY000", b"cannot connect"))
    assert ERRPacket.decode(packet[4:]) == ERRPacket(code, "HY000", b"cannot connect")
    assert client.login.failure(ERRPacket(1045, "28000", b"no"))[5:7] == (1045).to_bytes(2, "little")


def test_libmariadb_is_asked_again_over_the_last_nonce() -> None:
    flags = LOGIN_CAPABILITIES | Capability.CONNECT_ATTRS
    before = LoginRequest(b"app", None, 45, 0, flags, MariaDBCapability(0))
    attributes = b"\x18\x0c_client_name\x0alibmariadb"
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20)
    packet = login.change_user(b"\x11app\0\0\0\x2d\0mysql_native_password\0" + attributes, before, b"l" * 20)
    assert AuthSwitchRequest.decode(packet[4:]).plugin_data == b"l" * 20 + b"\0"
    login.sequence.accept(Header(20, 2))
    login.receive(scramble_native_password(PASSWORD, b"l" * 20))
    assert login.verify()


@given(
    st.lists(
        st.sampled_from(["greeting", "receive", "switched", "tls", "verify", "vouch", "success", "failure"]), max_size=8
    )
)
def test_calls_in_any_order_let_nobody_in_without_a_proof(calls: list[str]) -> None:
    login = ServerLogin(MYSQL, 1, _lookup, nonce=lambda: b"n" * 20, tls=True)
    request = LoginRequest(b"app", None, 45, 0, LOGIN_CAPABILITIES, MariaDBCapability(0))
    wrong = HandshakeResponse41(request, b"x" * 32, SHA2).encode()
    vouched = False
    for call in calls:
        try:
            match call:
                case "greeting":
                    login.greeting()
                case "receive" | "switched":
                    login.receive(wrong if call == "receive" else b"x" * 20)
                case "tls":
                    login.tls_established()
                case "verify":
                    assert not login.verify()
                case "vouch":
                    login.accept_peer()
                    vouched = True
                case "success":
                    login.success(OK)
                    assert vouched
                case "failure":
                    login.failure(ERRPacket(1045, "28000", b"no"))
        except ProtocolError:
            continue
