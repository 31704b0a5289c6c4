"""The login that faces RDS for PostgreSQL, as conversations. What has no row must not happen."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.exact_reads import feed, feed_cut
from pg_wire.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSASL,
    AuthenticationSASLContinue,
)
from pg_wire.client_login import (
    MAX_WELCOME_BYTES,
    ClientLogin,
    Failed,
    LoggedIn,
    NoTLS,
    OtherMethod,
    SendToken,
    StartTLS,
    State,
    accepts_tls,
    asked,
)
from pg_wire.constants import TransactionStatus
from pg_wire.errors import (
    LocalProtocolError,
    MalformedMessage,
    MessageTooLarge,
    NotPostgreSQL,
    RemoteProtocolError,
    UnexpectedMessage,
)
from pg_wire.messages import (
    BackendKeyData,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    Report,
    SSLRequest,
    StartupMessage,
    framed,
)

TOKEN = b"db.example:5432/?Action=connect&X-Amz-Signature=00"
REQUEST = StartupMessage(
    2, {b"user": b"legacy", b"database": b"shop", b"options": b"-c x=1", b"_pq_.x": b"1", b"replication": b"true"}
)
ASK, OK = AuthenticationCleartextPassword().encode(), AuthenticationOk().encode()
SASL = AuthenticationSASL((b"SCRAM-SHA-256",))
PARAMETER = ParameterStatus(b"server_version", b"15.18").encode()
NOTICE = framed(ord("N"), b"SWARNING\0C01000\0Mtext\0Wwhere\0\0")  # with a field that we do not know
KEY = BackendKeyData(4711, b"abcd")
READY = ReadyForQuery(TransactionStatus.IDLE).encode()
ERROR = ErrorResponse.fatal("28000", b'PAM authentication failed for user "x"')


def _requested() -> ClientLogin:
    login = ClientLogin("user_batch", REQUEST)
    assert login.begin() == SSLRequest().encode()
    assert feed(login, b"S") is StartTLS.START_TLS
    login.tls_established()
    return login


def _token_sent() -> ClientLogin:
    login = _requested()
    assert feed(login, ASK) is SendToken.SEND_TOKEN
    login.token(TOKEN)
    return login


def _authenticated() -> ClientLogin:
    login = _token_sent()
    assert feed(login, OK) is None
    return login


def test_the_whole_login() -> None:
    login = ClientLogin("user_batch", REQUEST)
    assert login.begin() == b"\0\0\0\x08\x04\xd2\x16\x2f"
    assert login.needs == 1
    assert feed(login, b"S") is StartTLS.START_TLS
    startup = StartupMessage.decode(login.tls_established()[4:])
    assert startup == StartupMessage(
        0, {b"user": b"user_batch", b"database": b"shop", b"options": b"-c x=1", b"replication": b"true"}
    )
    assert feed(login, ASK) is SendToken.SEND_TOKEN
    assert login.token(TOKEN) == b"p" + (len(TOKEN) + 5).to_bytes(4, "big") + TOKEN + b"\0"
    assert feed(login, OK) is None
    for message in (PARAMETER, NOTICE, PARAMETER, KEY.encode(), NOTICE):
        assert feed(login, message) is None
    assert feed(login, READY) == LoggedIn(PARAMETER + NOTICE + PARAMETER + NOTICE, KEY)
    assert login.state is State.LOGGED_IN


def test_rds_proxy_gives_no_key() -> None:
    login = _authenticated()
    assert feed(login, READY) == LoggedIn(b"", None)


def test_user_is_ours_whatever_the_client_said() -> None:
    assert asked(StartupMessage(0, {}), b"db").parameters == {b"user": b"db"}
    assert asked(StartupMessage(3, {b"user": b"x", b"a": b"b"}), b"db") == StartupMessage(
        0, {b"user": b"db", b"a": b"b"}
    )


def test_no_token_before_it_was_asked_for() -> None:
    login = ClientLogin("user_batch", REQUEST)
    for step in (None, login.begin, partial(feed, login, b"S"), login.tls_established):
        if step is not None:
            step()
        with pytest.raises(LocalProtocolError):
            login.token(TOKEN)


def test_server_without_tls_gets_nothing() -> None:
    login = ClientLogin("user_batch", REQUEST)
    login.begin()
    assert feed(login, b"N") is NoTLS.NO_TLS
    with pytest.raises(LocalProtocolError):
        login.tls_established()


@pytest.mark.parametrize("answer", [b"E", b"J", b"\x00", b"s"])
def test_other_answers_to_the_ssl_request_are_no_postgresql_and_are_not_shown(answer: bytes) -> None:
    login = ClientLogin("user_batch", REQUEST)
    login.begin()
    with pytest.raises(NotPostgreSQL, match=f"0x{answer.hex()}"):
        feed(login, answer)
    with pytest.raises(LocalProtocolError):
        login.tls_established()
    with pytest.raises(NotPostgreSQL):
        accepts_tls(b"")


@pytest.mark.parametrize("request_", [SASL, AuthenticationOk()])
def test_role_that_is_asked_for_something_else_gets_no_token(request_: AuthenticationSASL | AuthenticationOk) -> None:
    login = _requested()
    assert feed(login, request_.encode()) == OtherMethod(request_)
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)


def test_md5_is_something_else_too() -> None:
    login = _requested()
    assert feed(login, b"R\0\0\0\x0c\0\0\0\x05salt") == OtherMethod(AuthenticationOther(5))


@pytest.mark.parametrize(
    "message", [ASK, SASL.encode(), AuthenticationSASLContinue(b"x").encode(), PARAMETER, KEY.encode(), READY, NOTICE]
)
def test_nothing_but_ok_or_an_error_follows_the_token(message: bytes) -> None:
    login = _token_sent()
    with pytest.raises(UnexpectedMessage):
        feed(login, message)
    with pytest.raises(UnexpectedMessage):
        feed(login, OK)
    with pytest.raises(LocalProtocolError):
        login.token(TOKEN)


@pytest.mark.parametrize("message", [PARAMETER, KEY.encode(), READY, NOTICE])
def test_nothing_but_a_request_or_an_error_follows_the_startup(message: bytes) -> None:
    with pytest.raises(UnexpectedMessage):
        feed(_requested(), message)


@pytest.mark.parametrize(
    "message", [OK, ASK, b"D\0\0\0\x06\0\0", b"1\0\0\0\4", NegotiateProtocolVersion(0, ()).encode()]
)
def test_what_no_login_is_answered_with(message: bytes) -> None:
    with pytest.raises(UnexpectedMessage):
        feed(_authenticated(), message)


def test_only_one_key() -> None:
    login = _authenticated()
    feed(login, KEY.encode())
    with pytest.raises(UnexpectedMessage):
        feed(login, KEY.encode())


def test_negotiation_has_no_place_as_nothing_new_was_asked_for() -> None:
    with pytest.raises(UnexpectedMessage):
        feed(_requested(), NegotiateProtocolVersion(0, ()).encode())


@pytest.mark.parametrize("status", [TransactionStatus.IN_TRANSACTION, TransactionStatus.FAILED_TRANSACTION])
def test_login_does_not_end_in_a_transaction(status: TransactionStatus) -> None:
    with pytest.raises(MalformedMessage):
        feed(_authenticated(), ReadyForQuery(status).encode())


def test_error_says_where_it_came() -> None:
    assert feed(_requested(), ERROR.encode()) == Failed(ERROR, State.REQUESTED)
    assert feed(_token_sent(), ERROR.encode()) == Failed(ERROR, State.TOKEN_SENT)
    assert feed(_authenticated(), ERROR.encode()) == Failed(ERROR, State.AUTHENTICATED)
    login = _authenticated()
    feed(login, KEY.encode())
    assert feed(login, ERROR.encode()) == Failed(ERROR, State.KEYED)
    assert login.state is State.FAILED


def test_parameters_and_notices_meet_a_limit() -> None:
    login = _authenticated()
    long = NoticeResponse(Report("NOTICE", "00000", b"x" * 60_000)).encode()
    for _ in range(MAX_WELCOME_BYTES // len(long)):
        feed(login, long)
    with pytest.raises(MessageTooLarge, match=f"limit {MAX_WELCOME_BYTES}"):
        feed(login, long)
    with pytest.raises(MessageTooLarge):
        feed(_authenticated(), b"S\0\1\0\4")


def test_token_of_six_kilobytes_is_sent_whole_and_one_with_a_nul_not_at_all() -> None:
    login = _requested()
    feed(login, ASK)
    with pytest.raises(LocalProtocolError):
        login.token(b"a\0b")
    assert len(login.token(b"x" * 6000)) == 6006


@given(st.data())
def test_any_cut_of_the_bytes_gives_the_same_events(data: st.DataObject) -> None:
    login = _token_sent()
    whole = OK + PARAMETER + NOTICE + KEY.encode() + READY
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert feed_cut(login, pieces) == [LoggedIn(PARAMETER + NOTICE, KEY)]


@given(
    st.lists(st.sampled_from([OK, PARAMETER, NOTICE, READY, ERROR.encode(), SASL.encode()]) | st.binary(max_size=20))
)
def test_no_bytes_get_a_token_or_a_login_without_being_asked(packets: list[bytes]) -> None:
    login = _requested()
    try:
        events = feed_cut(login, packets)
    except RemoteProtocolError:
        assert login.state is State.FAILED
        return
    assert not any(isinstance(event, LoggedIn) for event in events)
