"""A login as its server: we face the legacy client. Sans-IO: payloads in, events and packets out.

The client proves that it knows the account's password; nothing here can let it in without that proof.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from .capabilities import offered
from .constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, Capability, ErrorCode
from .errors import (
    CompressionNotOffered,
    LocalProtocolError,
    MalformedCommand,
    MalformedPacket,
    TLSRequired,
    UnexpectedPacket,
    UnsupportedClient,
)
from .handshake import (
    ChangeUser,
    HandshakeResponse41,
    HandshakeV10,
    LoginRequest,
    ServerIdentity,
    SSLRequest,
    peek_capabilities,
)
from .packet import Sequence
from .passwords import Verifier, certificate_proof
from .reply import FAST_AUTH_SUCCESS, AuthSwitchRequest, ERRPacket, OKPacket


class State(Enum):
    START = auto()
    GREETED = auto()
    TLS_STARTING = auto()
    TLS_UP = auto()
    SWITCHED = auto()
    ANSWERED = auto()
    ACCEPTED = auto()
    ENDED = auto()


class Local(Enum):
    """What happens here, and is in no packet."""

    TLS_UP = auto()
    PROVED = auto()
    DISPROVED = auto()
    VOUCHED_FOR = auto()
    LET_IN = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Event: the client asked for TLS; its ClientHello comes next."""


@dataclass(frozen=True, slots=True)
class Send:
    """Event: send this packet, then read the answer."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """Event: the client's answer is complete; `verify` says whether it is right."""


ServerLoginEvent = StartTLS | Send | Answered

_CLIENT_ERRORS = range(2000, 2100)
"""Codes that clients use for their own errors. libmariadb 10.11 takes an ERR packet with one for a broken packet."""

Lookup = Callable[[bytes], tuple[Verifier, ...]]
"""User name as the client sent it → its verifiers; a dummy for a user that does not exist, never none."""

_COMPRESSION = Capability.COMPRESS | Capability.ZSTD_COMPRESSION_ALGORITHM

_NO_PASSWORD = {NATIVE_PASSWORD: (b"",), CACHING_SHA2_PASSWORD: (b"", b"\0")}
"""What clients answer for an empty password; of caching_sha2_password's two, libmysqlclient sends the NUL."""

_NEXT: dict[tuple[State, type | Local], State] = {
    (State.START, HandshakeV10): State.GREETED,
    (State.START, ChangeUser): State.SWITCHED,
    (State.GREETED, SSLRequest): State.TLS_STARTING,
    (State.GREETED, HandshakeResponse41): State.ANSWERED,
    (State.TLS_UP, HandshakeResponse41): State.ANSWERED,
    (State.ANSWERED, AuthSwitchRequest): State.SWITCHED,
    (State.SWITCHED, bytes): State.ANSWERED,
    (State.TLS_STARTING, Local.TLS_UP): State.TLS_UP,
    (State.ANSWERED, Local.PROVED): State.ACCEPTED,
    (State.ANSWERED, Local.VOUCHED_FOR): State.ACCEPTED,
    (State.ANSWERED, Local.DISPROVED): State.ENDED,
    (State.ACCEPTED, Local.LET_IN): State.ENDED,
    **{(state, Local.REFUSED): State.ENDED for state in State},
}


class ServerLogin:
    """One login of one client, greeted as `upstream` greets, with its authentication plugin.

    `greeting` or `change_user` → `receive` until it returns Answered (after StartTLS: `tls_established`)
    → `verify` → `success` or `failure`. Packets' sequence ids are checked by `sequence`.
    Raises RemoteProtocolError for anything that has no place here.
    """

    def __init__(
        self,
        upstream: ServerIdentity,
        connection_id: int,
        lookup: Lookup,
        *,
        nonce: Callable[[], bytes],
        tls: bool = False,
        tls_required: bool = False,
    ) -> None:
        self.sequence = Sequence()
        self.state = State.START
        self.request: LoginRequest | None = None
        self.using_password = False
        self._identity = offered(upstream, tls=tls)
        self.plugin = self._identity.auth_plugin_name
        self._connection_id = connection_id
        self._lookup = lookup
        self._make_nonce = nonce
        self._tls_required = tls_required
        self._nonce = nonce()
        self._answer = b""
        self._matched: Verifier | None = None
        self._over_tls = False
        self._with_sqlstate = False

    def greeting(self) -> bytes:
        """The first packet."""
        greeting = HandshakeV10(self._identity, self._connection_id, self._nonce)
        self._step(HandshakeV10)
        self._with_sqlstate = True
        return self.sequence.frame(greeting.encode())

    @property
    def nonce(self) -> bytes:
        """What the client's last answer was made over."""
        return self._nonce

    def change_user(self, payload: bytes, before: LoginRequest, last_nonce: bytes) -> bytes:
        """The answer to a COM_CHANGE_USER packet: always an AuthSwitchRequest. Raises MalformedCommand.

        With a new nonce, but libmariadb (3.3, native) answers over the connection's last one whatever comes: it gets
        that again, as from MariaDB's own server.
        """
        self.sequence.next_id = 1
        self._with_sqlstate = True
        try:
            message = ChangeUser.decode(payload, before)
        except MalformedPacket as exc:
            raise MalformedCommand(str(exc)) from exc
        self._step(ChangeUser)
        self.request = message.request
        client_plugin = message.auth_plugin_name
        if Capability.PLUGIN_AUTH not in before.capabilities:
            client_plugin = NATIVE_PASSWORD
        nonce = last_nonce if self._is_libmariadb else self._make_nonce()
        return self._auth_switch(client_plugin, self._lookup(message.request.user), nonce)

    def receive(self, payload: bytes) -> ServerLoginEvent:
        """The next payload from the client."""
        if self.state is State.SWITCHED:
            self._step(bytes)
            return self._answered(payload)
        if Capability.PROTOCOL_41 not in peek_capabilities(payload):
            raise self._unsupported("the client speaks the protocol from before MySQL 4.1")
        if SSLRequest.matches(payload) and Capability.SSL in self._identity.capabilities:
            self._step(SSLRequest)
            return StartTLS()
        return self._response(payload)

    def tls_established(self) -> None:
        """TLS is up: only the full login may follow."""
        self._step(Local.TLS_UP)
        self._over_tls = True

    def verify(self) -> bool:
        """Whether the client knows the password of the user it named. Every verifier is tried, in equal time."""
        verifiers = self._lookup(self.request.user) if self.request is not None else ()
        right = [verifier for verifier in verifiers if verifier.verify(self.plugin, self._nonce, self._answer)]
        self._answer = b""
        self._matched = right[0] if right else None
        self._step(Local.PROVED if right else Local.DISPROVED)
        return self.state is State.ACCEPTED

    def accept_peer(self) -> None:
        """The operating system has vouched for the client: whatever it answered is right."""
        self._step(Local.VOUCHED_FOR)
        self._answer = b""

    def success(self, ok: OKPacket, *, fingerprint: bytes | None = None) -> bytes:
        """The packets that let the client in. Only after `verify` said so.

        `fingerprint`: SHA-256 of our certificate; MariaDB's clients get a proof of it, which needs no CA.
        """
        self._step(Local.LET_IN)
        fast = b""
        if self.plugin == CACHING_SHA2_PASSWORD and self.using_password:  # after an empty answer clients expect no more
            fast = self.sequence.frame(FAST_AUTH_SUCCESS)
        native = self._matched.native if self._matched and self.plugin == NATIVE_PASSWORD else None
        if fingerprint is not None and native is not None and self._over_tls and self._identity.is_mariadb:
            ok = replace(ok, info=certificate_proof(native, self._nonce, fingerprint))
        return fast + self.sequence.frame(ok.encode(self._capabilities))

    def failure(self, err: ERRPacket) -> bytes:
        """The packet that ends the login, at any point. In place of the greeting it has no sqlstate, and none for
        clients from before MySQL 4.1."""
        self._step(Local.REFUSED)
        if err.code in _CLIENT_ERRORS and self._is_libmariadb:
            err = replace(err, code=ErrorCode.ER_CONNECT_TO_FOREIGN_DATA_SOURCE)
        return self.sequence.frame(err.encode(with_sqlstate=self._with_sqlstate))

    @property
    def _capabilities(self) -> Capability:
        return self.request.capabilities if self.request is not None else Capability(0)

    @property
    def _is_libmariadb(self) -> bool:
        """MariaDB's client library, by the name that it gives itself in the connection attributes."""
        attributes = self.request.attributes if self.request is not None else None
        return b"libmariadb" in (attributes or b"")

    def _response(self, payload: bytes) -> ServerLoginEvent:
        if self._tls_required and self.state is State.GREETED:
            raise TLSRequired("the client did not ask for TLS")
        if peek_capabilities(payload) & _COMPRESSION & ~self._identity.capabilities:
            raise CompressionNotOffered("the client wants to compress, which was not offered")
        response = HandshakeResponse41.decode(payload, self._identity)
        if Capability.SECURE_CONNECTION not in response.request.capabilities:
            raise self._unsupported("the client has no SECURE_CONNECTION")
        self._step(HandshakeResponse41)
        self.request = response.request
        client_plugin = response.auth_plugin_name
        if client_plugin is None:
            self.plugin = NATIVE_PASSWORD
            return self._answered(response.auth_response)
        verifiers = self._lookup(response.request.user)
        if client_plugin == self.plugin and client_plugin in _plugins(verifiers):
            return self._answered(response.auth_response)
        self._step(AuthSwitchRequest)
        return Send(self._auth_switch(client_plugin, verifiers, self._make_nonce()))

    def _auth_switch(self, client_plugin: str | None, verifiers: tuple[Verifier, ...], nonce: bytes) -> bytes:
        """To the client's own plugin if it can be checked, otherwise to native, which every client has."""
        plugins = _plugins(verifiers)
        wished = client_plugin if client_plugin in (CACHING_SHA2_PASSWORD, NATIVE_PASSWORD) else None
        self.plugin = next(name for name in (wished, NATIVE_PASSWORD, CACHING_SHA2_PASSWORD) if name in plugins)
        self._nonce = nonce
        return self.sequence.frame(AuthSwitchRequest(self.plugin, self._nonce + b"\0").encode())

    def _answered(self, answer: bytes) -> Answered:
        self._answer = answer
        self.using_password = answer not in _NO_PASSWORD[self.plugin]
        return Answered()

    def _unsupported(self, why: str) -> UnsupportedClient:
        """A client that is too old for our login does not know sqlstates either."""
        self._with_sqlstate = False
        return UnsupportedClient(why)

    def _step(self, event: type | Local) -> None:
        following = _NEXT.get((self.state, event))
        if following is None:
            if isinstance(event, Local):
                raise LocalProtocolError(f"{event.name} has no place in {self.state}")
            raise UnexpectedPacket(f"{event.__name__} has no place in {self.state}")
        self.state = following


def _plugins(verifiers: tuple[Verifier, ...]) -> set[str]:
    return {plugin for verifier in verifiers for plugin in verifier.plugins}
