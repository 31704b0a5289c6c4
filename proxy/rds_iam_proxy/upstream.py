"""One target: permits, connections and logins at RDS, and what its greeting says."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mysql_wire.capabilities import LOGIN_CAPABILITIES, same_format
from mysql_wire.client_login import ClientLogin, Failed, LoggedIn, NoTLS, OtherPlugin, SendToken, StartTLS
from mysql_wire.constants import Capability, Command, MariaDBCapability, Status
from mysql_wire.errors import LocalProtocolError, RemoteProtocolError, UnexpectedPacket
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.packet import frame
from mysql_wire.reply import OKPacket, without_redirect_url

from . import refusals
from .config import Target
from .endpoint import Address
from .errors import GreetingChanged, Limited, Refused
from .limiter import Limiter
from .logs import printable
from .stream import Stream
from .tokens import Token, TokenSource
from .trust import Trust

LOGIN_SECONDS = 10.0
"""Dial, TLS and login together."""

OLD_TOKEN_SECONDS = 60.0
RETRY_SECONDS = 10.0
"""A refused token is replaced once if it was this old, and not again for this DB user before RETRY_SECONDS."""

_KEPT_STATUS = Status.AUTOCOMMIT | Status.NO_BACKSLASH_ESCAPES | Status.ANSI_QUOTES

COM_QUIT = frame(bytes((Command.COM_QUIT,)), 0)

PROBE_REQUEST = LoginRequest(
    user=b"",
    database=None,
    collation=45,
    max_packet_size=1 << 24,
    capabilities=LOGIN_CAPABILITIES,
    mariadb_capabilities=MariaDBCapability(0),
)


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


def _ignore(identity: ServerIdentity) -> None:
    pass


def _for_client(ok: OKPacket) -> OKPacket:
    """RDS's OK without what was meant for us: no info, no redirect, no status of commands that never ran."""
    return OKPacket(ok.status & _KEPT_STATUS, session_state=without_redirect_url(ok.session_state))


class Upstream:
    """Everything that the sessions of one target share.

    A session is opened in two steps: `admit` waits for a permit and may be given up at any time, `log_in` dials and
    should be let finish, because RDS counts handshakes that break off.
    """

    def __init__(
        self,
        target: Target,
        *,
        limiter: Limiter,
        tokens: TokenSource,
        trust: Trust,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.identity: ServerIdentity | None = None
        self.on_new_identity: Callable[[ServerIdentity], None] = _ignore
        self.sessions = 0
        self._limiter = limiter
        self._tokens = tokens
        self._trust = trust
        self._now = now
        self._retried: dict[str, float] = {}

    async def admit(self, account: str, deadline: float) -> None:
        """A permit for one login. `deadline` on the monotonic clock. Raises Limited."""
        self._check_sessions()
        await self._limiter.acquire(account, min(deadline, self._now() + self.target.login_wait))
        self._check_sessions()

    async def log_in(self, account: str, db_user: str, request: LoginRequest, deadline: float) -> UpstreamSession:
        """A session at RDS, for which `admit` has given the permit. Raises LoginError."""
        self.sessions += 1
        try:
            try:
                return await self._connect(db_user, request, deadline)
            except Refused as refused:
                if not self._may_retry(refused, db_user):
                    raise
            await self._limiter.acquire(account, deadline)
            return await self._connect(db_user, request, deadline)
        except BaseException:
            self._closed()
            raise

    async def probe(self, db_user: str) -> None:
        """Learn RDS's greeting by a whole login: anything less counts towards its max_connect_errors."""
        deadline = self._now() + self.target.login_wait + LOGIN_SECONDS
        await self.admit("", deadline)
        session = await self.log_in("", db_user, PROBE_REQUEST, deadline)
        await session.quit()

    def check_greeting(self, session: UpstreamSession, request: LoginRequest, greeted_as: ServerIdentity) -> None:
        """Raises GreetingChanged if the client was greeted as another kind of server than answers now."""
        if not same_format(request, greeted_as, session.identity):
            raise GreetingChanged(
                f"{self.target.address} now answers as version {printable(session.identity.version)}, "
                "which this connection was not greeted as; connect again"
            )

    def _check_sessions(self) -> None:
        if self.sessions >= self.target.max_sessions:
            raise Limited(
                f"all {self.target.max_sessions} sessions of target {self.target.name} are in use; "
                "close some or raise max_sessions"
            )

    def _closed(self) -> None:
        self.sessions -= 1

    def _may_retry(self, refused: Refused, db_user: str) -> bool:
        now = self._now()
        if not refused.old_token or now - self._retried.get(db_user, -RETRY_SECONDS) < RETRY_SECONDS:
            return False
        self._retried[db_user] = now
        return True

    async def _connect(self, db_user: str, request: LoginRequest, deadline: float) -> UpstreamSession:
        started = self._now()
        attempt = _Attempt(self.target, db_user, request, self._tokens, self._trust)
        try:
            async with asyncio.timeout(max(0.0, min(LOGIN_SECONDS, deadline - started))):
                session = await attempt.run(self._closed)
        except TimeoutError:
            raise refusals.no_answer(self.target, attempt.step, self._now() - started) from None
        if session.identity != self.identity:
            self.identity = session.identity
            self.on_new_identity(session.identity)
        return session


class _Attempt:
    """One dial and login; `step` says what is being waited for."""

    def __init__(self, target: Target, db_user: str, request: LoginRequest, tokens: TokenSource, trust: Trust) -> None:
        self.step = "connecting"
        self._target = target
        self._db_user = db_user
        self._tokens = tokens
        self._trust = trust
        self._login = ClientLogin(db_user, request)
        self._token: Token | None = None

    async def run(self, on_close: Callable[[], None]) -> UpstreamSession:
        """Raises LoginError."""
        try:
            stream, server = await dial(self._target.dial)
        except OSError as exc:
            raise refusals.dial_failure(self._target, exc) from exc
        try:
            ok = await self._log_in(stream)
            identity = self._login.identity
            if identity is None:
                raise LocalProtocolError("logged in without a greeting")
            session = UpstreamSession(
                stream, server, identity, self._login.connection_id, self._login.capabilities, ok, on_close
            )
        except ssl.SSLError as exc:
            stream.close()
            raise refusals.tls_failure(self._target, exc) from exc
        except UnexpectedPacket as exc:
            stream.close()
            if self._login.identity is None:  # not even a greeting
                raise refusals.hung_up(self._target, self.step, exc) from exc
            raise refusals.not_an_iam_user(self._target, self._db_user, "the server asked for no token") from exc
        except (OSError, RemoteProtocolError) as exc:
            stream.close()
            raise refusals.hung_up(self._target, self.step, exc) from exc
        except BaseException:
            stream.close()
            raise
        return session

    async def _log_in(self, stream: Stream) -> OKPacket:
        login = self._login
        self.step = "reading the greeting"
        while True:
            event = login.receive(await stream.read_packet(login.sequence))
            match event:
                case StartTLS(packet):
                    await self._start_tls(stream, packet)
                case SendToken.SEND_TOKEN:
                    await stream.write(login.token(await self._get_token()))
                    self.step = "checking the token"
                case LoggedIn(ok):
                    if stream.tls is not None:  # TLS 1.3 sends its tickets only now
                        self._trust.remember(stream.tls.session, reused=bool(stream.tls.session_reused))
                    return _for_client(ok)
                case Failed(err):
                    raise refusals.refused(self._target, self._db_user, err, old_token=self._discard_old_token())
                case NoTLS.NO_TLS:
                    raise refusals.no_tls(self._target)
                case OtherPlugin(plugin):
                    how = f"it wants {printable(plugin)}"
                    raise refusals.not_an_iam_user(self._target, self._db_user, how)

    async def _start_tls(self, stream: Stream, ssl_request: bytes) -> None:
        self.step = "starting TLS"
        await stream.write(ssl_request)
        await stream.start_tls(
            self._trust.context, server_hostname=self._target.address.host, session=self._trust.session
        )
        self.step = "waiting for the token request"
        await stream.write(self._login.tls_established())

    async def _get_token(self) -> bytes:
        """Fetched only now, after all waiting: it is as fresh as can be."""
        self.step = "waiting for AWS credentials"
        target = self._target
        self._token = await self._tokens.get(target.address, target.region, self._db_user)
        return self._token.value

    def _discard_old_token(self) -> bool:
        """Whether the refused token was old enough for a new one to make a difference."""
        target, token = self._target, self._token
        if token is None or self._tokens.age(token) < OLD_TOKEN_SECONDS:
            return False
        self._tokens.discard(target.address, target.region, self._db_user, token)
        return True


async def dial(address: Address) -> tuple[Stream, tuple[str, int]]:
    """A TCP connection, and the IP address and port at its other end. Raises OSError."""
    loop = asyncio.get_running_loop()
    candidates = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    for family, kind, protocol, _, where in candidates:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, where)
            return Stream(sock), (str(where[0]), int(where[1]))
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
    raise failure
