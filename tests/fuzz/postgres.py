"""Targets in pg_wire: messages, both logins, the watch that tells whether a session rests."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from fuzz.sized import Sized
from pg_wire.client_login import ClientLogin, LoggedIn, SendToken, StartTLS
from pg_wire.client_login import State as ClientState
from pg_wire.errors import LocalProtocolError, RemoteProtocolError
from pg_wire.framing import SessionWatch
from pg_wire.messages import (
    BackendKeyData,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterStatus,
    PasswordMessage,
    ReadyForQuery,
    SASLInitialResponse,
    SASLResponse,
    StartupMessage,
    decode_authentication,
    decode_first_packet,
)
from pg_wire.scram import Keys, Verifier, salt_for
from pg_wire.server_login import Answered, Method, Offer, Requested, ServerLogin
from pg_wire.server_login import StartTLS as ClientHelloNext
from pg_wire.server_login import State as ServerState

NOBODY = Keys(b"\1" * 32, b"\2" * 32)  # of no password that anybody knows
VERIFIER = Verifier(salt_for(b"process secret", b"legacy"), 4096, (NOBODY,))
REQUEST = StartupMessage(0, {b"user": b"legacy", b"database": b"shop"})
TOKEN = b"host:5432/?Action=connect"
LENGTH, HEADER = 4, 5

ROUND_TRIPS: Sequence[tuple[int, Callable[[bytes], object]]] = (
    (LENGTH, decode_first_packet),
    (LENGTH, StartupMessage.decode),
    (HEADER, decode_authentication),
    (HEADER, NegotiateProtocolVersion.decode),
    (HEADER, PasswordMessage.decode),
    (HEADER, SASLInitialResponse.decode),
    (HEADER, SASLResponse.decode),
    (HEADER, ParameterStatus.decode),
    (HEADER, BackendKeyData.decode),
    (HEADER, ReadyForQuery.decode),
    (HEADER, ErrorResponse.decode),
    (HEADER, NoticeResponse.decode),
)


def pg_messages(data: bytes) -> None:
    """A message or RemoteProtocolError; what was understood once is written and understood again as the same."""
    number, payload = data[0] if data else 0, data[1:]
    head, decode = ROUND_TRIPS[number % len(ROUND_TRIPS)]
    try:
        message = decode(payload)
    except RemoteProtocolError:
        return
    encode = getattr(message, "encode", None)
    if encode is None:
        return  # a request that we never make
    with suppress(LocalProtocolError):
        assert decode(encode()[head:]) == message


def pg_server_login(data: bytes) -> None:
    """Nobody gets in who does not know a password; a read never asks for more than the limit of a login."""
    choices = Sized(data)
    flags = choices.byte()
    offer = Offer(
        tls=bool(flags & 1),
        tls_required=bool(flags & 2),
        end_point=b"e" * 32 if flags & 4 else None,
        method=Method.PASSWORD if flags & 8 else Method.SCRAM_SHA_256,
    )
    login = ServerLogin(lambda _: VERIFIER, offer, nonce=lambda: b"server-nonce")
    with suppress(RemoteProtocolError):
        for event in _events(login, choices.rest()):
            if event is ClientHelloNext.START_TLS:
                login.tls_established()
            elif event is Requested.REQUESTED:
                login.challenge()
            elif event is Answered.ANSWERED:
                assert not login.verify()
    for forbidden in (login.authenticated, lambda: login.welcome(b"", None)):
        with suppress(LocalProtocolError):
            forbidden()
            raise AssertionError("let in without a password")


def pg_client_login(data: bytes) -> None:
    """The token goes out once, over TLS, and when it was asked for; nobody is in before."""
    login = ClientLogin("db_user", REQUEST)
    login.begin()
    tls = sent = False
    with suppress(RemoteProtocolError):
        for event in _events(login, data):
            if event is StartTLS.START_TLS:
                assert not tls
                login.tls_established()
                tls = True
            elif event is SendToken.SEND_TOKEN:
                assert tls
                assert not sent
                login.token(TOKEN)
                sent = True
            elif isinstance(event, LoggedIn):
                assert sent
    assert sent or login.state is not ClientState.LOGGED_IN
    if login.state is not ClientState.TOKEN_WANTED:
        with suppress(LocalProtocolError):
            login.token(TOKEN)
            raise AssertionError("a token that nobody asked for")


def _events(login: ClientLogin | ServerLogin, stream: bytes) -> Iterator[object]:
    """Reads as a session does: just what the login needs next, and nothing behind its end."""
    start = 0
    while len(stream) - start >= login.needs and login.state not in (ClientState.FAILED, ServerState.ENDED):
        end = start + login.needs
        event, start = login.receive(stream[start:end]), end
        if event is not None:
            yield event


def pg_watch(data: bytes) -> None:
    """What a client sends, whole, byte by byte and in parts: as many questions, and rest only when none is open."""
    choices = Sized(data)
    cuts = [int.from_bytes(choices.take(2), "little") for _ in range(choices.byte() % 8)]
    stream, answer = choices.block(), choices.rest()
    whole = _watched(stream, answer, [])
    assert whole == _watched(stream, answer, range(len(stream)))
    assert whole == _watched(stream, answer, cuts)


def _watched(stream: bytes, answer: bytes, cuts: Iterable[int]) -> object:
    watch = SessionWatch()
    start = 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        watch.feed(memoryview(stream)[start:end])
        start = end
    assert watch.commands * HEADER <= len(stream)
    watch.answered(memoryview(answer))
    return watch.commands, watch.has_quit, watch.status


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (pg_messages, pg_server_login, pg_client_login, pg_watch)
}
