"""The login that faces PostgreSQL's clients, as conversations. What has no row must not happen."""

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.exact_reads import feed, feed_cut
from kit.scram_client import ScramClient
from pg_wire.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    decode_authentication,
)
from pg_wire.constants import TransactionStatus
from pg_wire.errors import (
    LocalProtocolError,
    MalformedMessage,
    MessageTooLarge,
    NotAuthorized,
    RemoteProtocolError,
    TLSRequired,
    UnexpectedMessage,
    UnsupportedFeature,
)
from pg_wire.messages import (
    TERMINATE,
    BackendKeyData,
    CancelRequest,
    ErrorResponse,
    GSSENCRequest,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
)
from pg_wire.scram import Keys, Verifier, salt_for
from pg_wire.server_login import Answered, Method, Offer, Requested, Send, ServerLogin, StartTLS, State

SSL, GSS = SSLRequest().encode(), GSSENCRequest().encode()
CANCEL = CancelRequest(4711, b"cancel-key").encode()
STARTUP = StartupMessage(0, {b"user": b"legacy", b"database": b"shop"}).encode()
NONCE = b"server-nonce"
END_POINT = bytes(range(48))
KNOWN = Verifier.of_passwords([b"old password", b"new password"], salt_for(b"process secret", b"legacy"))
NOBODY = Keys(b"\1" * 32, b"\2" * 32)
SCRAM = AuthenticationSASL((b"SCRAM-SHA-256",)).encode()
SCRAM_PLUS = AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256")).encode()


def _lookup(user: bytes) -> Verifier:
    return KNOWN if user == b"legacy" else Verifier(salt_for(b"process secret", user), KNOWN.iterations, (NOBODY,))


def _login(**offer: object) -> ServerLogin:
    return ServerLogin(_lookup, Offer(**offer), nonce=lambda: NONCE)  # type: ignore[arg-type]


def _started(startup: bytes = STARTUP, **offer: object) -> ServerLogin:
    login = _login(**offer)
    assert feed(login, startup) is Requested.REQUESTED
    return login


def _over_tls(login: ServerLogin) -> ServerLogin:
    assert feed(login, SSL) is StartTLS.START_TLS
    login.tls_established()
    return login


def _prove(login: ServerLogin, client: ScramClient, mechanism: bytes = b"SCRAM-SHA-256") -> None:
    """From the challenge to the complete answer."""
    first = feed(login, SASLInitialResponse(mechanism, client.first()).encode())
    assert isinstance(first, Send)
    request = decode_authentication(first.data[5:])
    assert isinstance(request, AuthenticationSASLContinue)
    assert feed(login, SASLResponse(client.final(request.data)).encode()) is Answered.ANSWERED


@pytest.mark.parametrize("password", [b"old password", b"new password"])
def test_whole_login_in_clear(password: bytes) -> None:
    login, client = _started(), ScramClient(password)
    assert login.request is not None
    assert (login.request.user, login.request.database) == (b"legacy", b"shop")
    assert login.challenge() == SCRAM
    _prove(login, client)
    assert login.verify()
    sent = login.authenticated()
    ok = AuthenticationOk().encode()
    assert sent.endswith(ok)
    final = decode_authentication(sent[5 : -len(ok)])
    assert isinstance(final, AuthenticationSASLFinal)
    assert client.server_is_right(final.data)
    parameters, key = ParameterStatus(b"client_encoding", b"UTF8").encode(), BackendKeyData(4711, b"ours")
    assert login.welcome(parameters, key) == parameters + key.encode() + b"Z\0\0\0\5I"


def test_whole_login_over_tls_with_channel_binding() -> None:
    login = _over_tls(_login(tls=True, end_point=END_POINT))
    assert feed(login, STARTUP) is Requested.REQUESTED
    assert login.challenge() == SCRAM_PLUS
    _prove(login, ScramClient(b"old password", b"p=tls-server-end-point,,", END_POINT), b"SCRAM-SHA-256-PLUS")
    assert login.verify()
    assert login.authenticated().endswith(AuthenticationOk().encode())
    assert login.welcome(b"", None) == ReadyForQuery(TransactionStatus.IDLE).encode()


def test_channel_binding_is_not_offered_in_clear() -> None:
    login = _started(tls=True, end_point=END_POINT)
    assert login.challenge() == SCRAM
    with pytest.raises(UnexpectedMessage, match="not offered"):
        feed(login, SASLInitialResponse(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc").encode())


def test_wrong_password_ends_it() -> None:
    login = _started()
    login.challenge()
    _prove(login, ScramClient(b"wrong"))
    assert not login.verify()
    for forbidden in (login.authenticated, lambda: login.welcome(b"", None), login.verify, login.challenge):
        with pytest.raises(LocalProtocolError):
            forbidden()
    assert login.failure(ErrorResponse.fatal("28P01", b"no")).startswith(b"E")


def test_unknown_user_is_asked_like_a_known_one_with_the_same_salt_at_each_try() -> None:
    salts = set()
    for user in (b"nobody", b"nobody", b"legacy"):
        login = _started(StartupMessage(0, {b"user": user}).encode())
        assert login.challenge() == SCRAM
        first = feed(login, SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=abc").encode())
        assert isinstance(first, Send)
        nonce, salt, iterations = first.data[9:].split(b",")
        assert (nonce, len(base64.b64decode(salt[2:])), iterations) == (b"r=abc" + NONCE, 16, b"i=4096")
        salts.add(salt)
    assert len(salts) == 2
    login = _started(StartupMessage(0, {b"user": b"nobody"}).encode())
    login.challenge()
    _prove(login, ScramClient(b"old password"))
    assert not login.verify()


def test_cleartext_password_for_clients_without_scram() -> None:
    for user, password, right in (
        (b"legacy", b"new password", True),
        (b"legacy", b"wrong", False),
        (b"legacy", b"", False),
        (b"nobody", b"new password", False),
    ):
        login = _started(StartupMessage(0, {b"user": user}).encode(), method=Method.PASSWORD)
        assert login.challenge() == AuthenticationCleartextPassword().encode()
        assert feed(login, PasswordMessage(password).encode()) is Answered.ANSWERED
        assert login.verify() is right
    login = _started(method=Method.PASSWORD)
    login.challenge()
    feed(login, PasswordMessage(b"old password").encode())
    assert login.verify()
    assert login.authenticated() == AuthenticationOk().encode()


def test_peer_that_the_system_vouches_for_is_asked_for_nothing() -> None:
    login = _started()
    assert login.accept_peer() == b""
    assert login.authenticated() == AuthenticationOk().encode()
    assert login.welcome(b"", None).endswith(b"I")
    negotiating = _started(StartupMessage(3, {b"user": b"legacy"}).encode())
    assert negotiating.accept_peer() == NegotiateProtocolVersion(2, ()).encode()


def test_tls_is_refused_where_none_is_offered_and_the_client_may_go_on_in_clear() -> None:
    login = _login()
    assert feed(login, SSL) == Send(b"N")
    assert feed(login, STARTUP) is Requested.REQUESTED


@pytest.mark.parametrize(
    ("packets", "tls"),
    [([GSS, STARTUP], False), ([GSS, SSL, STARTUP], False), ([SSL, GSS, STARTUP], False), ([GSS, STARTUP], True)],
)
def test_gss_encryption_is_refused_and_the_client_goes_on(packets: list[bytes], tls: bool) -> None:
    login = _login(tls=tls)
    for packet in packets[:-1]:
        assert feed(login, packet) == Send(b"N")
    assert feed(login, packets[-1]) is Requested.REQUESTED


def test_tls_after_gss_encryption_was_refused() -> None:
    login = _login(tls=True)
    assert feed(login, GSS) == Send(b"N")
    assert feed(_over_tls(login), STARTUP) is Requested.REQUESTED


@pytest.mark.parametrize("packets", [[GSS, GSS], [SSL, SSL], [GSS, SSL, SSL], [GSS, SSL, GSS], [SSL, GSS, SSL]])
def test_nothing_is_asked_twice(packets: list[bytes]) -> None:
    login = _login()
    for packet in packets[:-1]:
        feed(login, packet)
    with pytest.raises(UnexpectedMessage):
        feed(login, packets[-1])


@pytest.mark.parametrize("packet", [SSL, GSS])
def test_no_encryption_within_tls(packet: bytes) -> None:
    with pytest.raises(UnexpectedMessage):
        feed(_over_tls(_login(tls=True)), packet)


def test_startup_in_clear_after_tls_was_promised_has_no_place() -> None:
    login = _login(tls=True)
    feed(login, SSL)
    with pytest.raises(UnexpectedMessage):
        feed(login, STARTUP)


def test_required_tls_is_required_of_logins() -> None:
    with pytest.raises(TLSRequired):
        feed(_login(tls=True, tls_required=True), STARTUP)
    assert feed(_over_tls(_login(tls=True, tls_required=True)), STARTUP) is Requested.REQUESTED


def test_direct_tls_needs_the_protocols_name() -> None:
    login = _login(tls=True, end_point=END_POINT)
    login.direct_tls_established("postgresql")
    assert feed(login, STARTUP) is Requested.REQUESTED
    assert login.challenge() == SCRAM_PLUS
    for alpn in (None, "h2"):
        login = _login(tls=True)
        with pytest.raises(UnexpectedMessage, match="ALPN"):
            login.direct_tls_established(alpn)
        with pytest.raises(UnexpectedMessage):
            feed(login, STARTUP)


@pytest.mark.parametrize(
    "way", ["clear", "after SSLRequest", "after refusals", "direct", "clear where TLS is required"]
)
def test_cancel_request_comes_in_every_way_and_is_the_end(way: str) -> None:
    login = _login(tls=way != "after refusals", tls_required="required" in way)
    if way == "after SSLRequest":
        _over_tls(login)
    if way == "after refusals":
        feed(login, GSS)
        feed(login, SSL)
    if way == "direct":
        login.direct_tls_established("postgresql")
    assert feed(login, CANCEL) == CancelRequest(4711, b"cancel-key")
    with pytest.raises(UnexpectedMessage):
        feed(login, STARTUP)


@pytest.mark.parametrize("method", [Method.SCRAM_SHA_256, Method.PASSWORD])
def test_version_is_negotiated_before_the_challenge(method: Method) -> None:
    startup = StartupMessage(9999, {b"user": b"legacy", b"_pq_.test_protocol_negotiation": b""})
    login = _started(startup.encode(), method=method)
    negotiation = NegotiateProtocolVersion(2, (b"_pq_.test_protocol_negotiation",)).encode()
    assert login.challenge().startswith(negotiation + b"R")
    assert _started(StartupMessage(2, {b"user": b"legacy"}).encode()).challenge() == SCRAM


@pytest.mark.parametrize(
    ("startup", "error", "sqlstate"),
    [
        (StartupMessage(0, {b"database": b"shop"}).encode(), NotAuthorized, "28000"),
        (StartupMessage(0, {b"user": b""}).encode(), NotAuthorized, "28000"),
        ((12).to_bytes(4, "big") + b"\0\2\0\0user", UnsupportedFeature, "0A000"),
        ((8).to_bytes(4, "big") + b"\0\3\0\0", MalformedMessage, "08P01"),
        (b"GET / HTTP/1.0\r\n\r\n"[:4], MessageTooLarge, "08P01"),
        ((7).to_bytes(4, "big"), MalformedMessage, "08P01"),
    ],
)
def test_startup_that_cannot_be(startup: bytes, error: type[RemoteProtocolError], sqlstate: str) -> None:
    login = _login()
    with pytest.raises(error) as caught:
        feed(login, startup)
    assert caught.value.sqlstate == sqlstate
    assert login.state is State.ENDED


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TERMINATE, UnexpectedMessage),
        (b"Q\0\0\0\x0dselect 1\0", UnexpectedMessage),
        (b"p\0\0\0\x04", MalformedMessage),
        (PasswordMessage(b"old password").encode(), MalformedMessage),
        (SASLInitialResponse(b"SCRAM-SHA-1", b"n,,n=,r=abc").encode(), UnsupportedFeature),
        (SASLInitialResponse(b"SCRAM-SHA-256", b"y,,n=,r=abc").encode(), NotAuthorized),
        (SASLInitialResponse(b"SCRAM-SHA-256", b"").encode(), MalformedMessage),
        (b"p\0\1\0\4", MessageTooLarge),
    ],
)
def test_answer_that_cannot_be(answer: bytes, error: type[RemoteProtocolError]) -> None:
    login = _over_tls(_login(tls=True, end_point=END_POINT))
    feed(login, STARTUP)
    login.challenge()
    with pytest.raises(error):
        feed(login, answer)
    with pytest.raises(LocalProtocolError):
        login.verify()


def test_client_without_an_initial_response_is_asked_for_it() -> None:
    login, client = _started(), ScramClient(b"old password")
    login.challenge()
    empty = AuthenticationSASLContinue(b"").encode()
    assert feed(login, SASLInitialResponse(b"SCRAM-SHA-256", None).encode()) == Send(empty)
    first = feed(login, SASLResponse(client.first()).encode())
    assert isinstance(first, Send)
    assert feed(login, SASLResponse(client.final(first.data[9:])).encode()) is Answered.ANSWERED
    assert login.verify()


def test_no_password_before_it_was_asked_for() -> None:
    login = _started()
    with pytest.raises(UnexpectedMessage):
        feed(login, PasswordMessage(b"old password").encode())


def test_only_a_proof_lets_in() -> None:
    for steps in range(3):
        login = _started()
        if steps:
            login.challenge()
        if steps == 2:
            feed(login, SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=abc").encode())
        for forbidden in (login.verify, login.authenticated, lambda login=login: login.welcome(b"", None)):
            with pytest.raises(LocalProtocolError):
                forbidden()
    login = _started()
    login.challenge()
    with pytest.raises(LocalProtocolError):
        login.accept_peer()


def test_welcome_needs_authenticated_before_it() -> None:
    login = _started()
    login.accept_peer()
    with pytest.raises(LocalProtocolError):
        login.welcome(b"", None)


@settings(deadline=None)  # a proof takes 4096 rounds
@given(st.randoms(use_true_random=False))
def test_any_cut_of_the_bytes_gives_the_same_events(source: random.Random) -> None:
    def cut(data: bytes) -> list[bytes]:
        pieces = []
        while data:
            length = source.randint(1, len(data))
            pieces.append(data[:length])
            data = data[length:]
        return pieces

    login, client = _login(), ScramClient(b"new password")
    assert feed_cut(login, cut(GSS + SSL + STARTUP)) == [Send(b"N"), Send(b"N"), Requested.REQUESTED]
    login.challenge()
    (first,) = feed_cut(login, cut(SASLInitialResponse(b"SCRAM-SHA-256", client.first()).encode()))
    assert isinstance(first, Send)
    final = SASLResponse(client.final(first.data[9:])).encode()
    assert feed_cut(login, cut(final)) == [Answered.ANSWERED]
    assert login.verify()


@given(st.lists(st.sampled_from([GSS, SSL, STARTUP, CANCEL, TERMINATE]) | st.binary(max_size=30), max_size=5))
def test_no_bytes_let_anybody_in(packets: list[bytes]) -> None:
    login = _login(tls=False)
    try:
        for event in feed_cut(login, packets):
            if event is Requested.REQUESTED:
                login.challenge()
            assert event is not Answered.ANSWERED
    except RemoteProtocolError:
        assert login.state is State.ENDED
    with pytest.raises(LocalProtocolError):
        login.authenticated()
