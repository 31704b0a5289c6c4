"""A login as its server: we face the client. Sans-IO: bytes in, events and bytes out.

The client proves that it knows the account's password; nothing here can let it in without that proof. The proof is
answered before RDS is asked, ReadyForQuery is sent after: to an error that comes before AuthenticationOk, libpq with
sslmode=prefer answers with a second login without TLS, and that would take a second permit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from .authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from .constants import ALPN_PROTOCOL, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, Kind, TransactionStatus
from .errors import (
    LocalProtocolError,
    NotAuthorized,
    RemoteProtocolError,
    TLSRequired,
    UnexpectedMessage,
    UnsupportedFeature,
)
from .framing import Form, Frames
from .messages import (
    BackendKeyData,
    CancelRequest,
    ErrorResponse,
    GSSENCRequest,
    NegotiateProtocolVersion,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
    decode_first_packet,
)
from .scram import Exchange, Verifier


class State(Enum):
    START = auto()
    GSS_REFUSED = auto()
    TLS_ASKED = auto()
    TLS_ASKED_AGAIN = auto()  # behind a GSSENCRequest
    TLS_STARTING = auto()
    TLS_REFUSED = auto()
    ALL_REFUSED = auto()
    TLS_UP = auto()
    REQUESTED = auto()
    PASSWORD_ASKED = auto()
    SASL_ASKED = auto()
    SASL_CHOSEN = auto()
    SASL_STARTED = auto()
    ANSWERED = auto()
    PROVED = auto()
    AUTHENTICATED = auto()
    ENDED = auto()


class Local(Enum):
    """What our own side does."""

    START_TLS = auto()
    REFUSE_TLS = auto()
    TLS_ESTABLISHED = auto()
    DIRECT_TLS_ESTABLISHED = auto()
    ASK_PASSWORD = auto()
    ASK_SASL = auto()
    ACCEPT_PEER = auto()
    PASSWORD_RIGHT = auto()
    PASSWORD_WRONG = auto()
    AUTHENTICATE = auto()
    WELCOME = auto()
    FAIL = auto()


class Method(Enum):
    """How the client is to prove its password."""

    SCRAM_SHA_256 = "scram-sha-256"
    PASSWORD = "password"  # noqa: S105 - in clear: for clients without SCRAM, where nobody can listen


@dataclass(frozen=True, slots=True)
class Offer:
    """What a listener offers. `end_point`: the hash of its certificate (tls-server-end-point), for SCRAM with -PLUS."""

    tls: bool = False
    tls_required: bool = False
    end_point: bytes | None = None
    method: Method = Method.SCRAM_SHA_256


class StartTLS(Enum):
    """Event: send TLS_ACCEPTED, then start TLS on the bare socket and call `tls_established`."""

    START_TLS = auto()


@dataclass(frozen=True, slots=True)
class Send:
    """Event: send this, then read on."""

    data: bytes = field(repr=False)


class Requested(Enum):
    """Event: `request` says who the client is and what it wants; `challenge` or `accept_peer` comes next."""

    REQUESTED = auto()


class Answered(Enum):
    """Event: the client's answer is complete; `verify` says whether it is right."""

    ANSWERED = auto()


ServerLoginEvent = StartTLS | Send | Requested | Answered | CancelRequest

TLS_ACCEPTED = b"S"
TLS_REFUSED = b"N"
GSS_REFUSED = b"N"

Lookup = Callable[[bytes], Verifier]
"""User name as the client sent it → its verifier; for a user that does not exist one that no answer satisfies."""

_NEXT: dict[tuple[State, type | Local], State] = {
    (State.START, GSSENCRequest): State.GSS_REFUSED,
    (State.START, SSLRequest): State.TLS_ASKED,
    (State.GSS_REFUSED, SSLRequest): State.TLS_ASKED_AGAIN,
    (State.TLS_ASKED, Local.START_TLS): State.TLS_STARTING,
    (State.TLS_ASKED_AGAIN, Local.START_TLS): State.TLS_STARTING,
    (State.TLS_ASKED, Local.REFUSE_TLS): State.TLS_REFUSED,
    (State.TLS_ASKED_AGAIN, Local.REFUSE_TLS): State.ALL_REFUSED,
    (State.TLS_REFUSED, GSSENCRequest): State.ALL_REFUSED,
    (State.TLS_STARTING, Local.TLS_ESTABLISHED): State.TLS_UP,
    (State.START, Local.DIRECT_TLS_ESTABLISHED): State.TLS_UP,
    (State.START, StartupMessage): State.REQUESTED,
    (State.GSS_REFUSED, StartupMessage): State.REQUESTED,
    (State.TLS_REFUSED, StartupMessage): State.REQUESTED,
    (State.ALL_REFUSED, StartupMessage): State.REQUESTED,
    (State.TLS_UP, StartupMessage): State.REQUESTED,
    (State.START, CancelRequest): State.ENDED,
    (State.GSS_REFUSED, CancelRequest): State.ENDED,
    (State.TLS_REFUSED, CancelRequest): State.ENDED,
    (State.ALL_REFUSED, CancelRequest): State.ENDED,
    (State.TLS_UP, CancelRequest): State.ENDED,
    (State.REQUESTED, Local.ACCEPT_PEER): State.PROVED,
    (State.REQUESTED, Local.ASK_PASSWORD): State.PASSWORD_ASKED,
    (State.REQUESTED, Local.ASK_SASL): State.SASL_ASKED,
    (State.PASSWORD_ASKED, PasswordMessage): State.ANSWERED,
    (State.SASL_ASKED, SASLInitialResponse): State.SASL_CHOSEN,
    (State.SASL_CHOSEN, SASLResponse): State.SASL_STARTED,
    (State.SASL_STARTED, SASLResponse): State.ANSWERED,
    (State.ANSWERED, Local.PASSWORD_RIGHT): State.PROVED,
    (State.ANSWERED, Local.PASSWORD_WRONG): State.ENDED,
    (State.PROVED, Local.AUTHENTICATE): State.AUTHENTICATED,
    (State.AUTHENTICATED, Local.WELCOME): State.ENDED,
    **{(state, Local.FAIL): State.ENDED for state in State},
}

_ANSWERS: dict[State, type[PasswordMessage | SASLInitialResponse | SASLResponse]] = {
    State.PASSWORD_ASKED: PasswordMessage,
    State.SASL_ASKED: SASLInitialResponse,
    State.SASL_CHOSEN: SASLResponse,
    State.SASL_STARTED: SASLResponse,
}
"""What a message of type `p` is."""


class ServerLogin:
    """One login of one client.

    `receive` exactly `needs` bytes until it returns Requested (after StartTLS: `tls_established`) → `challenge`
    → `receive` until Answered → `verify` → `authenticated` → `welcome`; `failure` at any point.
    Where the first byte is TLS_HANDSHAKE_BYTE: TLS on the bare socket, then `direct_tls_established`.
    Raises RemoteProtocolError for anything that has no place here; a CancelRequest is never answered.
    """

    def __init__(self, lookup: Lookup, offer: Offer, *, nonce: Callable[[], bytes]) -> None:
        """`nonce`: printable ASCII without a comma, new at each call."""
        self.state = State.START
        self.request: StartupMessage | None = None
        self._lookup = lookup
        self._offer = offer
        self._nonce = nonce
        self._frames = Frames(Form.FIRST_PACKET)
        self._over_tls = False
        self._exchange: Exchange | None = None
        self._plus = False
        self._password: bytes | None = None
        self._answer = b""  # what proves to the client that we know its password too
        self._negotiation = b""

    @property
    def needs(self) -> int:
        """How many bytes to read next."""
        return self._frames.needs

    def receive(self, data: bytes) -> ServerLoginEvent | None:
        """`needs` bytes from the client; None: read on. Raises RemoteProtocolError."""
        try:
            frame = self._frames.receive(data)
            if frame is None:
                return None
            if self._frames.form is Form.FIRST_PACKET:
                return self._first_packet(frame.payload)
            return self._answered(frame.kind, frame.payload)
        except RemoteProtocolError:
            self._step(Local.FAIL)
            raise

    def tls_established(self) -> None:
        """TLS is up behind an SSLRequest."""
        self._step(Local.TLS_ESTABLISHED)
        self._over_tls = True

    def direct_tls_established(self, alpn: str | None) -> None:
        """TLS is up without an SSLRequest. `alpn`: the protocol agreed. Raises UnexpectedMessage."""
        self._step(Local.DIRECT_TLS_ESTABLISHED)
        self._over_tls = True
        if alpn != ALPN_PROTOCOL:
            self._step(Local.FAIL)
            raise UnexpectedMessage(
                "received direct SSL connection request without ALPN protocol negotiation extension"
            )

    def challenge(self) -> bytes:
        """What asks for the password of the user whom `request` names."""
        verifier = self._lookup(self._user)
        if self._offer.method is Method.PASSWORD:
            self._step(Local.ASK_PASSWORD)
            return self._negotiation + AuthenticationCleartextPassword().encode()
        self._step(Local.ASK_SASL)
        end_point = self._offer.end_point if self._over_tls else None
        self._exchange = Exchange(verifier, nonce=self._nonce(), end_point=end_point)
        mechanisms = (SCRAM_SHA_256,) if end_point is None else (SCRAM_SHA_256_PLUS, SCRAM_SHA_256)
        return self._negotiation + AuthenticationSASL(mechanisms).encode()

    def accept_peer(self) -> bytes:
        """The operating system has vouched for the client: nothing is asked. Send this before `authenticated`."""
        self._step(Local.ACCEPT_PEER)
        return self._negotiation

    def verify(self) -> bool:
        """Whether the client knows a password of the user it named. All that are right are tried, in equal time."""
        right = self._is_right()
        self._password = self._exchange = None
        self._step(Local.PASSWORD_RIGHT if right else Local.PASSWORD_WRONG)
        return right

    def authenticated(self) -> bytes:
        """The password is right: send this before RDS is asked. It does not let the client in: `welcome` does."""
        self._step(Local.AUTHENTICATE)
        return self._answer + AuthenticationOk().encode()

    def welcome(self, messages: bytes, key: BackendKeyData | None) -> bytes:
        """What lets the client in: RDS's ParameterStatus and NoticeResponse as they came, a key of ours, ReadyForQuery.

        Without a key the client has nothing to cancel with.
        """
        self._step(Local.WELCOME)
        return messages + (key.encode() if key else b"") + ReadyForQuery(TransactionStatus.IDLE).encode()

    def failure(self, error: ErrorResponse) -> bytes:
        """The message that ends the login. A client that waits for the answer to its SSLRequest does not read it."""
        self._step(Local.FAIL)
        return error.encode()

    @property
    def _user(self) -> bytes:
        if self.request is None:
            raise LocalProtocolError(f"no user in {self.state}")
        return self.request.user

    def _first_packet(self, payload: bytes) -> ServerLoginEvent:
        packet = decode_first_packet(payload)
        self._step(type(packet))
        match packet:
            case CancelRequest():
                return packet
            case GSSENCRequest():
                return Send(GSS_REFUSED)
            case SSLRequest():
                return self._tls_asked()
        return self._requested(packet)

    def _tls_asked(self) -> ServerLoginEvent:
        if not self._offer.tls:
            self._step(Local.REFUSE_TLS)
            return Send(TLS_REFUSED)
        self._step(Local.START_TLS)
        return StartTLS.START_TLS

    def _requested(self, request: StartupMessage) -> Requested:
        self._frames.form = Form.MESSAGE
        if self._offer.tls_required and not self._over_tls:
            raise TLSRequired("the client did not ask for TLS")
        if not request.user:
            raise NotAuthorized("no PostgreSQL user name specified in startup packet")
        negotiation = NegotiateProtocolVersion.answer(request)
        self._negotiation = negotiation.encode() if negotiation else b""
        self.request = request
        return Requested.REQUESTED

    def _answered(self, kind: int, payload: bytes) -> ServerLoginEvent:
        expected = _ANSWERS.get(self.state)
        if expected is None or kind != Kind.PASSWORD:
            raise UnexpectedMessage(f"message of type {kind} has no place in {self.state}")
        answer = expected.decode(payload)
        self._step(expected)
        match answer:
            case PasswordMessage(password):
                self._password = password
                return Answered.ANSWERED
            case SASLInitialResponse(mechanism, data):
                return self._mechanism_chosen(mechanism, data)
            case SASLResponse(data):
                return self._sasl(data)

    def _mechanism_chosen(self, mechanism: bytes, data: bytes | None) -> ServerLoginEvent:
        if mechanism not in (SCRAM_SHA_256, SCRAM_SHA_256_PLUS):
            raise UnsupportedFeature("client selected an invalid SASL authentication mechanism")
        self._plus = mechanism == SCRAM_SHA_256_PLUS
        if data is None:
            return Send(AuthenticationSASLContinue(b"").encode())
        self._step(SASLResponse)  # an initial response is the first one
        return self._sasl(data)

    def _sasl(self, data: bytes) -> ServerLoginEvent:
        if self._exchange is None:
            raise LocalProtocolError(f"no exchange in {self.state}")
        if self.state is State.SASL_STARTED:
            return Send(AuthenticationSASLContinue(self._exchange.first(data, plus=self._plus)).encode())
        self._exchange.final(data)
        return Answered.ANSWERED

    def _is_right(self) -> bool:
        if self.state is not State.ANSWERED:
            raise LocalProtocolError(f"nothing to verify in {self.state}")
        if self._password is not None:
            return self._lookup(self._user).fits(self._password)
        answer = self._exchange.answer() if self._exchange else None
        if answer is None:
            return False
        self._answer = AuthenticationSASLFinal(answer).encode()
        return True

    def _step(self, what: type | Local) -> None:
        try:
            self.state = _NEXT[self.state, what]
        except KeyError:
            if isinstance(what, Local):
                raise LocalProtocolError(f"{what.name} has no place in {self.state}") from None
            raise UnexpectedMessage(f"{what.__name__} has no place in {self.state}") from None
