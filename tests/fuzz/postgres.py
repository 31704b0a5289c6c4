"""Targets in pg_wire: decoders, both logins, SCRAM, the watch for rest."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from fuzz.sized import Sized
from pg_wire.authentication import PasswordMessage, SASLInitialResponse, decode_authentication
from pg_wire.client_login import ClientLogin, LoggedIn, SendToken
from pg_wire.client_login import StartTLS as ServerHelloNext
from pg_wire.constants import TransactionStatus
from pg_wire.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from pg_wire.framing import SessionWatch
from pg_wire.messages import (
    BackendKeyData,
    CancelRequest,
    ErrorResponse,
    NegotiateProtocolVersion,
    ParameterStatus,
    StartupMessage,
    decode_first_packet,
)
from pg_wire.scram import ClientFinal, ClientFirst, Keys, Verifier, saslprep
from pg_wire.server_login import Answered, Method, Offer, Requested, ServerLogin, StartTLS

NOBODY = Verifier(b"s" * 16, 4096, (Keys(b"k" * 32, b"k" * 32),))  # of no password that anybody knows
REQUEST = StartupMessage(0, {b"user": b"app", b"database": b"shop", b"_pq_.x": b"1"})
TOKEN = b"host:5432/?Action=connect"

ROUND_TRIPS: Sequence[Callable[[bytes], bytes]] = (
    lambda data: StartupMessage.decode(data).encode()[4:],
    lambda data: CancelRequest.decode(data).encode()[4:],
    lambda data: NegotiateProtocolVersion.decode(data).encode()[5:],
    lambda data: ErrorResponse.decode(data).encode()[5:],
    lambda data: ParameterStatus.decode(data).encode()[5:],
    lambda data: BackendKeyData.decode(data).encode()[5:],
    lambda data: PasswordMessage.decode(data).encode()[5:],
    lambda data: SASLInitialResponse.decode(data).encode()[5:],
)
DECODERS: Sequence[Callable[[bytes], object]] = (
    decode_first_packet,
    decode_authentication,
    ClientFirst.decode,
    ClientFinal.decode,
    saslprep,
)


def decoders(data: bytes) -> None:
    """A message or an error of this package; what was understood once is written and understood again as the same."""
    number, payload = data[0] if data else 0, data[1:]
    if number % 2:
        with suppress(RemoteProtocolError):
            DECODERS[number // 2 % len(DECODERS)](payload)
        return
    again = ROUND_TRIPS[number // 2 % len(ROUND_TRIPS)]
    try:
        written = again(payload)
    except (RemoteProtocolError, LocalProtocolError):
        return
    assert again(written) == written


def server_login(data: bytes) -> None:
    """Nobody gets in who does not know a password, whatever else was sent."""
    choices = Sized(data)
    flags = choices.byte()
    offer = Offer(
        tls=bool(flags & 1),
        tls_required=bool(flags & 2),
        end_point=b"e" * 32 if flags & 4 else None,
        method=Method.PASSWORD if flags & 8 else Method.SCRAM_SHA_256,
    )
    login = ServerLogin(lambda _: NOBODY, offer, nonce=lambda: b"n" * 24)
    rest = choices.rest()
    with suppress(RemoteProtocolError):
        if flags & 16:
            login.direct_tls_established("postgresql" if flags & 32 else None)
        while len(rest) >= login.needs:
            needs = login.needs
            event, rest = login.receive(rest[:needs]), rest[needs:]
            match event:
                case StartTLS():
                    login.tls_established()
                case Requested():
                    login.challenge()
                case Answered():
                    assert not login.verify()
                case CancelRequest():
                    break
    try:
        login.authenticated()
    except LocalProtocolError:
        return
    raise AssertionError("let in without a password")


def client_login(data: bytes) -> None:
    """The token goes out once, over TLS, and when it was asked for; nobody is in before."""
    login = ClientLogin("db_user", REQUEST)
    login.begin()
    rest, tls, sent = data, False, False
    with suppress(RemoteProtocolError):
        while len(rest) >= login.needs:
            needs = login.needs
            event, rest = login.receive(rest[:needs]), rest[needs:]
            if isinstance(event, ServerHelloNext):
                assert not tls
                assert b"_pq_" not in login.tls_established()
                tls = True
            elif isinstance(event, SendToken):
                assert tls
                assert not sent
                login.token(TOKEN)
                sent = True
            elif isinstance(event, LoggedIn):
                assert sent
                return
            elif event is not None:
                return


def session(data: bytes) -> None:
    """However the bytes are cut, the watch says the same in the end, and never that somebody rests who has asked."""
    choices = Sized(data)
    up, down = choices.block(), choices.block()
    cut = max(1, choices.byte() % 16)
    whole, parts = SessionWatch(), SessionWatch()
    whole.feed(memoryview(up))
    for start in range(0, len(up), cut):
        parts.feed(memoryview(up[start : start + cut]))
    assert (whole.commands, whole.has_quit) == (parts.commands, parts.has_quit)
    assert not whole.commands or whole.status is None
    whole.answered(memoryview(down))
    assert whole.status in (None, *TransactionStatus)


def verifiers(data: bytes) -> None:
    """A verifier or a ValueError without the text."""
    with suppress(ValueError, MalformedMessage):
        text = data.decode("latin-1")
        (again,) = Verifier.parse(text).texts()
        assert Verifier.parse(again).texts() == (again,)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pg_decoders": decoders,
    "pg_server_login": server_login,
    "pg_client_login": client_login,
    "pg_session": session,
    "pg_verifiers": verifiers,
}
