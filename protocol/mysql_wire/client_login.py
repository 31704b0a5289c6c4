"""A login as its client: we face RDS. Sans-IO: payloads in, events and packets out.

The table below has no row that sends a token before TLS is up, and none that takes an OK before RDS asked for one:
a server that lets somebody in without a token is not the server that was meant.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from .capabilities import asked
from .constants import CLEAR_PASSWORD, NATIVE_PASSWORD, Capability
from .errors import LocalProtocolError, UnexpectedPacket
from .handshake import HandshakeResponse41, HandshakeV10, LoginRequest, ServerIdentity, ssl_request
from .packet import Sequence
from .reply import AuthSwitchRequest, ERRPacket, OKPacket, decode_login_reply


class State(Enum):
    START = auto()
    TLS_WANTED = auto()
    RESPONDED = auto()
    TOKEN_WANTED = auto()
    TOKEN_SENT = auto()
    LOGGED_IN = auto()
    FAILED = auto()


class Local(Enum):
    """What is found or done here."""

    NO_TLS = auto()
    TLS_UP = auto()
    OTHER_PLUGIN = auto()
    TOKEN_SENT = auto()


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Event: send this packet, then start TLS on the bare socket and call `tls_established`."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class SendToken:
    """Event: RDS asks for the token: send what `token` returns."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Event: RDS said OK."""

    ok: OKPacket


@dataclass(frozen=True, slots=True)
class Failed:
    """Event: RDS answered with an ERR packet; the connection is over."""

    err: ERRPacket


@dataclass(frozen=True, slots=True)
class NoTLS:
    """Event: the server offers no TLS; the connection must end here."""


@dataclass(frozen=True, slots=True)
class OtherPlugin:
    """Event: the server wants another plugin's answer: this database user is no IAM user."""

    plugin_name: str


ClientLoginEvent = StartTLS | SendToken | LoggedIn | Failed | NoTLS | OtherPlugin

_NEXT: dict[tuple[State, type | Local], State] = {
    (State.START, HandshakeV10): State.TLS_WANTED,
    (State.START, ERRPacket): State.FAILED,
    (State.TLS_WANTED, Local.NO_TLS): State.FAILED,
    (State.TLS_WANTED, Local.TLS_UP): State.RESPONDED,
    (State.RESPONDED, AuthSwitchRequest): State.TOKEN_WANTED,
    (State.RESPONDED, ERRPacket): State.FAILED,
    (State.TOKEN_WANTED, Local.OTHER_PLUGIN): State.FAILED,
    (State.TOKEN_WANTED, Local.TOKEN_SENT): State.TOKEN_SENT,
    (State.TOKEN_SENT, OKPacket): State.LOGGED_IN,
    (State.TOKEN_SENT, ERRPacket): State.FAILED,
}


class ClientLogin:
    """One login at RDS, as `db_user`, for what the client's `request` wants.

    `receive` with each payload; after StartTLS `tls_established`, after SendToken `token`.
    """

    def __init__(self, db_user: str, request: LoginRequest) -> None:
        self.sequence = Sequence()
        self.state = State.START
        self.identity: ServerIdentity | None = None
        self.connection_id = 0
        self._request = replace(request, user=db_user.encode())

    @property
    def capabilities(self) -> Capability:
        """The flags agreed with RDS, once its greeting has come."""
        return self._request.capabilities

    def receive(self, payload: bytes) -> ClientLoginEvent:
        """The next payload from RDS. Raises RemoteProtocolError."""
        if self.state is State.START and payload[:1] != b"\xff":
            return self._greeted(HandshakeV10.decode(payload))
        reply = decode_login_reply(payload, self.capabilities)
        self._step(type(reply))
        if isinstance(reply, ERRPacket):
            return Failed(reply)
        if isinstance(reply, OKPacket):
            return LoggedIn(reply)
        if isinstance(reply, AuthSwitchRequest) and reply.plugin_name == CLEAR_PASSWORD:
            return SendToken()
        self._step(Local.OTHER_PLUGIN)
        return OtherPlugin(reply.plugin_name if isinstance(reply, AuthSwitchRequest) else "")

    def tls_established(self) -> bytes:
        """TLS is up and the certificate verified. The login packet: the server's own plugin with 0 bytes of data.

        A server that wants the token answers with a switch to mysql_clear_password; naming its default plugin
        is what every client does, and an answer of no bytes gives nothing away.
        """
        self._step(Local.TLS_UP)
        plugin = self.identity.auth_plugin_name if self.identity is not None else ""
        if plugin in ("", CLEAR_PASSWORD):
            plugin = NATIVE_PASSWORD  # else the server would take the 0 bytes for the token
        return self.sequence.frame(HandshakeResponse41(self._request, b"", plugin).encode())

    def token(self, token: bytes) -> bytes:
        """The token, NUL-terminated. Only over verified TLS and only when RDS asked for it."""
        if b"\0" in token:
            raise LocalProtocolError("a NUL in the token")
        self._step(Local.TOKEN_SENT)
        return self.sequence.frame(token + b"\0")

    def _greeted(self, greeting: HandshakeV10) -> ClientLoginEvent:
        self._step(HandshakeV10)
        if Capability.SSL not in greeting.identity.capabilities:
            self._step(Local.NO_TLS)
            return NoTLS()
        self.identity = greeting.identity
        self.connection_id = greeting.connection_id
        self._request = asked(self._request, greeting.identity)
        return StartTLS(self.sequence.frame(ssl_request(self._request).encode()))

    def _step(self, event: type | Local) -> None:
        """A packet that has no place here ends the login; a call that has none changes nothing."""
        following = _NEXT.get((self.state, event))
        if following is None and isinstance(event, Local):
            raise LocalProtocolError(f"{event.name} has no place in {self.state}")
        self.state = following or State.FAILED
        if following is None and isinstance(event, type):
            raise UnexpectedPacket(f"{event.__name__} has no place in a login by token at this point")
