"""A login as its client: we face RDS. Sans-IO: bytes in, events and bytes out.

The table below has no row that sends a token before TLS is up, and none that takes an AuthenticationOk before RDS
asked for a token: a server that lets somebody in without a token is not the server that was meant.
"""

from dataclasses import dataclass
from enum import Enum, auto

from .authentication import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationRequest,
    AuthenticationSASL,
    PasswordMessage,
    decode_authentication,
)
from .constants import PROTOCOL_OPTION_PREFIX, Kind, TransactionStatus
from .errors import (
    LocalProtocolError,
    MalformedMessage,
    MessageTooLarge,
    NotPostgreSQL,
    RemoteProtocolError,
    UnexpectedMessage,
)
from .framing import Form, Frame, Frames
from .messages import (
    BackendKeyData,
    ErrorResponse,
    NoticeResponse,
    ParameterStatus,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
    framed,
)

MAX_WELCOME_BYTES = 256 * 1024
"""Longest ParameterStatus and NoticeResponse, together, that are kept until RDS is ready."""


class State(Enum):
    START = auto()
    TLS_ASKED = auto()
    TLS_WANTED = auto()
    REQUESTED = auto()
    TOKEN_WANTED = auto()
    TOKEN_SENT = auto()
    AUTHENTICATED = auto()
    KEYED = auto()
    LOGGED_IN = auto()
    FAILED = auto()


class Local(Enum):
    """What our own side does, and what the single byte before TLS says."""

    ASK_TLS = auto()
    TLS_ACCEPTED = auto()
    TLS_REFUSED = auto()
    TLS_ESTABLISHED = auto()
    SEND_TOKEN = auto()
    FAIL = auto()


class StartTLS(Enum):
    """Event: start TLS on the bare socket, verify the certificate, then call `tls_established`."""

    START_TLS = auto()


class NoTLS(Enum):
    """Event: the server offers no TLS; the connection must end here."""

    NO_TLS = auto()


class SendToken(Enum):
    """Event: RDS asks for the token: send what `token` returns."""

    SEND_TOKEN = auto()


@dataclass(frozen=True, slots=True)
class OtherMethod:
    """Event: RDS asks this role for something else than a token, or for nothing: it does not log in with IAM."""

    request: AuthenticationRequest


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Event: RDS is ready. `messages`: its ParameterStatus and NoticeResponse as they came. RDS Proxy gives no key."""

    messages: bytes
    key: BackendKeyData | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Event: RDS answered with an error; the connection is over. What its SQLSTATE means depends on `at`.

    28000 at TOKEN_SENT: the token was refused. At REQUESTED: no line of pg_hba.conf fits. At AUTHENTICATED: the role
    may not log in.
    """

    error: ErrorResponse
    at: State


ClientLoginEvent = StartTLS | NoTLS | SendToken | OtherMethod | LoggedIn | Failed

_NEXT: dict[tuple[State, type | Local], State] = {
    (State.START, Local.ASK_TLS): State.TLS_ASKED,
    (State.TLS_ASKED, Local.TLS_ACCEPTED): State.TLS_WANTED,
    (State.TLS_ASKED, Local.TLS_REFUSED): State.FAILED,
    (State.TLS_WANTED, Local.TLS_ESTABLISHED): State.REQUESTED,
    (State.REQUESTED, AuthenticationCleartextPassword): State.TOKEN_WANTED,
    (State.REQUESTED, AuthenticationOk): State.FAILED,
    (State.REQUESTED, AuthenticationSASL): State.FAILED,
    (State.REQUESTED, AuthenticationOther): State.FAILED,
    (State.REQUESTED, ErrorResponse): State.FAILED,
    (State.TOKEN_WANTED, Local.SEND_TOKEN): State.TOKEN_SENT,
    (State.TOKEN_SENT, AuthenticationOk): State.AUTHENTICATED,
    (State.TOKEN_SENT, ErrorResponse): State.FAILED,
    (State.AUTHENTICATED, ParameterStatus): State.AUTHENTICATED,
    (State.AUTHENTICATED, NoticeResponse): State.AUTHENTICATED,
    (State.AUTHENTICATED, BackendKeyData): State.KEYED,
    (State.AUTHENTICATED, ReadyForQuery): State.LOGGED_IN,
    (State.AUTHENTICATED, ErrorResponse): State.FAILED,
    (State.KEYED, ParameterStatus): State.KEYED,
    (State.KEYED, NoticeResponse): State.KEYED,
    (State.KEYED, ReadyForQuery): State.LOGGED_IN,
    (State.KEYED, ErrorResponse): State.FAILED,
    **{(state, Local.FAIL): State.FAILED for state in State},
}

_DECODERS = {
    Kind.AUTHENTICATION: decode_authentication,
    Kind.BACKEND_KEY_DATA: BackendKeyData.decode,
    Kind.ERROR_RESPONSE: ErrorResponse.decode,
    Kind.NOTICE_RESPONSE: NoticeResponse.decode,
    Kind.PARAMETER_STATUS: ParameterStatus.decode,
    Kind.READY_FOR_QUERY: ReadyForQuery.decode,
}


def accepts_tls(answer: bytes) -> bool:
    """What the single byte behind an SSLRequest says. Raises NotPostgreSQL; an `E` begins an error that is not shown,
    because nobody knows yet who sent it (CVE-2024-10977).
    """
    if answer not in (b"S", b"N"):
        raise NotPostgreSQL(f"SSLRequest was answered with 0x{answer.hex()} instead of S or N")
    return answer == b"S"


def asked(request: StartupMessage, db_user: bytes) -> StartupMessage:
    """The same login as RDS is to see it: protocol 3.0 without extensions, another user, all else as it came."""
    kept = {name: value for name, value in request.parameters.items() if not name.startswith(PROTOCOL_OPTION_PREFIX)}
    return StartupMessage(0, {**kept, b"user": db_user})


class ClientLogin:
    """One login at RDS, as `db_user`, for what the client's `request` wants.

    `begin` → `receive` exactly `needs` bytes at a time; after StartTLS `tls_established`, after SendToken `token`.
    """

    def __init__(self, db_user: str, request: StartupMessage) -> None:
        self.state = State.START
        self._request = asked(request, db_user.encode())
        self._frames = Frames(Form.SINGLE_BYTE)
        self._messages = bytearray()
        self._key: BackendKeyData | None = None

    @property
    def needs(self) -> int:
        """How many bytes to read next."""
        return self._frames.needs

    def begin(self) -> bytes:
        """The first packet."""
        self._step(Local.ASK_TLS)
        return SSLRequest().encode()

    def tls_established(self) -> bytes:
        """TLS is up and the certificate verified: the StartupMessage."""
        self._step(Local.TLS_ESTABLISHED)
        self._frames.form = Form.MESSAGE
        return self._request.encode()

    def token(self, token: bytes) -> bytes:
        """The token. Only over verified TLS and only when RDS asked for it."""
        packet = PasswordMessage(token).encode()
        self._step(Local.SEND_TOKEN)
        return packet

    def receive(self, data: bytes) -> ClientLoginEvent | None:
        """`needs` bytes from RDS; None: read on. Raises RemoteProtocolError."""
        try:
            frame = self._frames.receive(data)
            if frame is None:
                return None
            if self._frames.form is Form.SINGLE_BYTE:
                return self._tls_answered(frame.payload)
            return self._message(frame)
        except RemoteProtocolError:
            self._step(Local.FAIL)
            raise

    def _tls_answered(self, answer: bytes) -> ClientLoginEvent:
        if accepts_tls(answer):
            self._step(Local.TLS_ACCEPTED)
            return StartTLS.START_TLS
        self._step(Local.TLS_REFUSED)
        return NoTLS.NO_TLS

    def _message(self, frame: Frame) -> ClientLoginEvent | None:
        decode = _DECODERS.get(frame.kind)
        if decode is None:
            raise UnexpectedMessage(f"message of type {frame.kind} has no place in a login")
        before, message = self.state, decode(frame.payload)
        self._step(type(message))
        match message:
            case ErrorResponse():
                return Failed(message, before)
            case ParameterStatus() | NoticeResponse():
                self._keep(frame)
            case BackendKeyData():
                self._key = message
            case ReadyForQuery(status):
                return self._ready(status)
            case AuthenticationOk() if self.state is State.AUTHENTICATED:
                return None
            case AuthenticationCleartextPassword():
                return SendToken.SEND_TOKEN
            case _:
                return OtherMethod(message)
        return None

    def _keep(self, frame: Frame) -> None:
        self._messages += framed(frame.kind, frame.payload)
        if len(self._messages) > MAX_WELCOME_BYTES:
            raise MessageTooLarge(f"{len(self._messages)} bytes of parameters and notices, limit {MAX_WELCOME_BYTES}")

    def _ready(self, status: TransactionStatus) -> LoggedIn:
        if status is not TransactionStatus.IDLE:
            raise MalformedMessage("ReadyForQuery.status: a login that ends in a transaction")
        return LoggedIn(bytes(self._messages), self._key)

    def _step(self, what: type | Local) -> None:
        try:
            self.state = _NEXT[self.state, what]
        except KeyError:
            if isinstance(what, Local):
                raise LocalProtocolError(f"{what.name} has no place in {self.state}") from None
            raise UnexpectedMessage(f"{what.__name__} has no place in a login by token at this point") from None
