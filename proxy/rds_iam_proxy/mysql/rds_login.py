"""One dial and login at RDS: TCP, greeting, TLS, token, verdict. Who may try, and how often, is for `upstream`."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.client_login import ClientLogin, Failed, LoggedIn, NoTLS, OtherPlugin, SendToken, StartTLS
from mysql_wire.constants import Capability, Command, MariaDBCapability, Status
from mysql_wire.errors import LocalProtocolError, RemoteProtocolError, UnexpectedPacket
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.packet import Sequence, frame
from mysql_wire.reply import ERRPacket, OKPacket, without_redirect_url

from ..aws.token import Token
from ..logs import printable
from ..net.peer_certificate import presented
from ..net.stream import Stream
from ..rds import failures
from ..rds.login import OnStep, Order, Step, Way
from . import refusals
from .greeter import Greeter
from .packets import read_packet

OLD_TOKEN_SECONDS = 60.0
"""A refused token of this age is thrown away: a new one may do better."""

QUOTED_LENGTH = 16
"""Bytes in common with the token from which on a text is taken for a quotation of it."""

TOKEN_LEFT_OUT = b"(the server's text repeats the token and is left out)"

_KEPT_STATUS = Status.AUTOCOMMIT | Status.NO_BACKSLASH_ESCAPES | Status.ANSI_QUOTES

RESET_SECONDS = 5.0
"""For RDS to forget what a session holds."""

COM_QUIT = frame(bytes((Command.COM_QUIT,)), 0)

ASKS_NOTHING = LoginRequest(
    user=b"",
    database=None,
    collation=45,
    max_packet_size=1 << 24,
    capabilities=LOGIN_CAPABILITIES,
    mariadb_capabilities=MariaDBCapability(0),
)
"""What a client would ask for that wants to know no more than whether it gets in."""


@dataclass(slots=True)
class UpstreamSession:
    """A session at RDS. Whoever asked for it closes it."""

    stream: Stream
    server: tuple[str, int]
    identity: ServerIdentity
    connection_id: int
    capabilities: Capability
    ok: OKPacket
    on_close: Callable[[], None] = field(repr=False)

    async def reset(self) -> bool:
        """Forget what the session holds: variables, locks, temporary tables, a transaction. False: it is of no use."""
        sequence = Sequence()
        try:
            async with asyncio.timeout(RESET_SECONDS):
                await self.stream.write(sequence.frame(bytes((Command.COM_RESET_CONNECTION,))))
                return (await read_packet(self.stream, sequence))[:1] == b"\0"
        except (OSError, RemoteProtocolError):
            return False

    async def quit(self) -> None:
        """Take leave as a client does, then close."""
        try:
            await self.stream.write(COM_QUIT)
        except OSError:
            return
        finally:
            self.close()

    def close(self) -> None:
        self.on_close()
        self.on_close = _nothing
        self.stream.close()


def _nothing() -> None:
    pass


def order_for(greeter: Greeter, account: str, db_user: str, request: LoginRequest) -> Order[UpstreamSession]:
    """Before RDS's first greeting is known a login is worth it without a token, to learn that."""

    def make(way: Way, on_step: OnStep) -> RDSLogin:
        return RDSLogin(way, db_user, request, on_step, greeter.learn)

    return Order(account, db_user, make, token_first=greeter.has_answered)


class RDSLogin:
    """`run` it once. `step` says what is being waited for, `on_step` hears when that changes."""

    def __init__(
        self,
        way: Way,
        db_user: str,
        request: LoginRequest,
        on_step: OnStep | None = None,
        learn: Callable[[ServerIdentity], None] | None = None,
    ) -> None:
        self.step = Step.CONNECT
        self.server: tuple[str, int] | None = None  # IP address and port, once connected
        self.certificate_expires: float | None = None  # seconds since 1970; None: it was not shown this time
        self._target = way.target
        self._db_user = db_user
        self._tokens = way.tokens
        self._trust = way.trust
        self._clock = way.clock
        self._dialler = way.dialler
        self._on_step = on_step
        self._learn = learn
        self._login = ClientLogin(db_user, request)
        self._stream: Stream | None = None
        self._token: Token | None = None

    @property
    def identity(self) -> ServerIdentity | None:
        """What RDS's greeting says, once it has come."""
        return self._login.identity

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The connection's TLS, while it is open."""
        return None if self._stream is None else self._stream.tls

    async def run(self, on_close: Callable[[], None] = _nothing) -> UpstreamSession:
        """Raises LoginError."""
        try:
            stream, server = await self._dialler.dial(self._target.dial)
        except OSError as exc:
            raise failures.dial_failure(self._target, exc) from exc
        self._stream, self.server = stream, server
        try:
            ok = await self._log_in(stream)
            identity = self._login.identity
            if identity is None:
                raise LocalProtocolError("logged in without a greeting")
            session = UpstreamSession(
                stream, server, identity, self._login.connection_id, self._login.capabilities, ok, on_close
            )
        except ssl.SSLError as exc:
            failure = failures.tls_failure(self._target, exc, presented(stream.tls), self._clock.now())
            stream.close()
            raise failure from exc
        except UnexpectedPacket as exc:
            stream.close()
            if self._login.identity is None:  # not even a greeting
                raise failures.hung_up(self._target, self.step, exc) from exc
            raise failures.not_an_iam_user(self._target, self._db_user, "the server asked for no token") from exc
        except (OSError, RemoteProtocolError) as exc:
            stream.close()
            raise failures.hung_up(self._target, self.step, exc) from exc
        except BaseException:
            stream.close()
            raise
        return session

    async def _log_in(self, stream: Stream) -> OKPacket:
        login = self._login
        self._enter(Step.GREETING)
        while True:
            event = login.receive(await read_packet(stream, login.sequence))
            match event:
                case StartTLS(packet):
                    await self._start_tls(stream, packet)
                case SendToken():
                    await stream.write(login.token(await self._get_token()))
                    self._enter(Step.VERDICT)
                case LoggedIn(ok):
                    self._keep_session(stream.tls)
                    self._enter(Step.DONE)
                    return _for_client(ok)
                case Failed(err):
                    raise refusals.refused(self._target, self._db_user, self._without_token(err), self._sent_token())
                case NoTLS():
                    raise failures.no_tls(self._target)
                case OtherPlugin(plugin):
                    how = f"it wants {printable(plugin)}"
                    raise failures.not_an_iam_user(self._target, self._db_user, how)

    def _keep_session(self, tls: ssl.SSLSocket | None) -> None:
        """For the next login to resume. Only now: TLS 1.3 sends its tickets after the handshake."""
        if tls is not None and self._trust.wants_session(reused=bool(tls.session_reused)):
            self._trust.remember(tls.session, reused=bool(tls.session_reused))

    async def _start_tls(self, stream: Stream, ssl_request: bytes) -> None:
        self._enter(Step.TLS)
        await stream.write(ssl_request)
        await stream.start_tls(
            self._trust.context, server_hostname=self._target.address.host, session=self._trust.session
        )
        if stream.tls is not None and not stream.tls.session_reused:
            self.certificate_expires = _end_of(stream.tls.getpeercert())
        self._enter(Step.TOKEN_REQUEST)
        if self._learn is not None and self._login.identity is not None:
            self._learn(self._login.identity)  # now it is the verified server's, however the login goes on
        await stream.write(self._login.tls_established())

    async def _get_token(self) -> bytes:
        """Fetched only now, after all waiting: it is as fresh as can be."""
        self._enter(Step.CREDENTIALS)
        target = self._target
        self._token = await self._tokens.get(target.address, target.region, self._db_user)
        return self._token.value

    def _without_token(self, err: ERRPacket) -> ERRPacket:
        if self._token is not None and repeats_token(err.message, self._token.value):
            return replace(err, message=TOKEN_LEFT_OUT)
        return err

    def _sent_token(self) -> refusals.SentToken | None:
        """What RDS refused. If it was old, the next login gets a new one."""
        target, token = self._target, self._token
        if token is None:
            return None
        age = self._tokens.age(token)
        is_old = age >= OLD_TOKEN_SECONDS
        if is_old:
            self._tokens.discard(target.address, target.region, self._db_user, token)
        return refusals.SentToken(age, is_old, self._clock.now(), self._clock.moved())

    def _enter(self, step: Step) -> None:
        self.step = step
        if self._on_step is not None:
            self._on_step(step)


def _end_of(certificate: Mapping[str, object] | None) -> float | None:
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None


def repeats_token(text: bytes, token: bytes) -> bool:
    """A server may quote what it was sent; no part of a token belongs in a log or on a screen."""
    secret = token.partition(b"?")[2]
    return any(secret[i : i + QUOTED_LENGTH] in text for i in range(len(secret) - QUOTED_LENGTH + 1))


def _for_client(ok: OKPacket) -> OKPacket:
    """RDS's OK without what was meant for us: no info, no redirect, no status of commands that never ran."""
    return OKPacket(ok.status & _KEPT_STATUS, session_state=without_redirect_url(ok.session_state))
