"""One dial and login at RDS: TCP, greeting, TLS, token, verdict. Who may try, and how often, is for `upstream`."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.client_login import ClientLogin, Failed, LoggedIn, NoTLS, OtherPlugin, SendToken, StartTLS
from mysql_wire.constants import Capability, Command, MariaDBCapability, Status
from mysql_wire.errors import LocalProtocolError, RemoteProtocolError, UnexpectedPacket
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.packet import Sequence, frame
from mysql_wire.reply import OKPacket, without_redirect_url

from ..logs import printable
from ..net.stream import Stream
from ..rds import failures
from ..rds.attempt import Attempt
from ..rds.login import OnStep, Order, Step, Way
from . import refusals
from .greeter import Greeter
from .kind import Kind
from .packets import read_packet

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
    unfit: str = ""
    """Why nobody else may get it, whoever has it now: `killed`: a client's KILL named it, and may still be on its way;
    `pinned`: it holds what no reset undoes and no query shows.
    """

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

    def leave(self) -> None:
        with suppress(OSError):
            self.stream.send(COM_QUIT)
        self.close()

    def close(self) -> None:
        self.on_close()
        self.on_close = _nothing
        self.stream.close()


def _nothing() -> None:
    pass


def order_for(
    greeter: Greeter, account: str, db_user: str, request: LoginRequest, kind: Kind | None = None
) -> Order[UpstreamSession]:
    """Before RDS's first greeting is known a login is worth it without a token, to learn that."""

    def make(way: Way, on_step: OnStep) -> RDSLogin:
        return RDSLogin(way, db_user, request, on_step, greeter.learn)

    return Order(account, db_user, make, kind, token_first=greeter.has_answered)


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
        self._attempt = Attempt(way, db_user, on_step)
        self._target = way.target
        self._db_user = db_user
        self._learn = learn
        self._login = ClientLogin(db_user, request)

    @property
    def step(self) -> Step:
        """What is being waited for."""
        return self._attempt.step

    @property
    def server(self) -> tuple[str, int] | None:
        """IP address and port, once connected."""
        return self._attempt.server

    @property
    def certificate_expires(self) -> float | None:
        """Seconds since 1970; None: it was not shown this time."""
        return self._attempt.certificate_expires

    @property
    def identity(self) -> ServerIdentity | None:
        """What RDS's greeting says, once it has come."""
        return self._login.identity

    @property
    def version(self) -> str:
        """RDS's, fit to be shown; empty until its greeting has come."""
        if self.identity is None:
            return ""
        return f"{'MariaDB' if self.identity.is_mariadb else 'MySQL'}, version {printable(self.identity.version)}"

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The connection's TLS, while it is open."""
        return self._attempt.tls

    async def run(self, on_close: Callable[[], None] = _nothing) -> UpstreamSession:
        """Raises LoginError."""

        async def converse(stream: Stream, server: tuple[str, int]) -> UpstreamSession:
            ok = await self._log_in(stream)
            identity = self._login.identity
            if identity is None:
                raise LocalProtocolError("logged in without a greeting")
            login = self._login
            return UpstreamSession(stream, server, identity, login.connection_id, login.capabilities, ok, on_close)

        return await self._attempt.run(converse)

    async def _log_in(self, stream: Stream) -> OKPacket:
        try:
            return await self._until_in(stream)
        except UnexpectedPacket as exc:
            if self._login.identity is None:  # not even a greeting
                raise failures.hung_up(self._target, self.step, exc) from exc
            raise failures.not_an_iam_user(self._target, self._db_user, "the server asked for no token") from exc
        except RemoteProtocolError as exc:
            raise failures.hung_up(self._target, self.step, exc) from exc

    async def _until_in(self, stream: Stream) -> OKPacket:
        login, attempt = self._login, self._attempt
        attempt.enter(Step.GREETING)
        while True:
            event = login.receive(await read_packet(stream, login.sequence))
            match event:
                case StartTLS(packet):
                    await self._start_tls(stream, packet)
                case SendToken():
                    await stream.write(login.token(await attempt.get_token()))
                    attempt.enter(Step.VERDICT)
                case LoggedIn(ok):
                    attempt.keep_tls_session()
                    attempt.enter(Step.DONE)
                    return _for_client(ok)
                case Failed(err):
                    err = replace(err, message=attempt.without_token(err.message))
                    raise refusals.refused(self._target, self._db_user, err, attempt.sent_token())
                case NoTLS():
                    raise failures.no_tls(self._target)
                case OtherPlugin(plugin):
                    how = f"it wants {printable(plugin)}"
                    raise failures.not_an_iam_user(self._target, self._db_user, how)

    async def _start_tls(self, stream: Stream, ssl_request: bytes) -> None:
        self._attempt.enter(Step.TLS)
        await stream.write(ssl_request)
        await self._attempt.start_tls(stream)
        self._attempt.enter(Step.TOKEN_REQUEST)
        if self._learn is not None and self._login.identity is not None:
            self._learn(self._login.identity)  # now it is the verified server's, however the login goes on
        await stream.write(self._login.tls_established())


def _for_client(ok: OKPacket) -> OKPacket:
    """RDS's OK without what was meant for us: no info, no redirect, no status of commands that never ran."""
    return OKPacket(ok.status & _KEPT_STATUS, session_state=without_redirect_url(ok.session_state))
