"""One dial and login at RDS: TCP, TLS, token, verdict. Who may try, and how often, is for `upstream`."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pg_wire.client_login import ClientLogin, Failed, LoggedIn, NoTLS, OtherMethod, SendToken, StartTLS
from pg_wire.errors import NotPostgreSQL, RemoteProtocolError
from pg_wire.messages import TERMINATE, BackendKeyData, StartupMessage

from ..net.stream import Stream
from ..rds import failures
from ..rds.attempt import Attempt
from ..rds.login import OnStep, Order, Step, Way
from . import refusals
from .events import next_event
from .server import Server

ASKS_NOTHING = StartupMessage(0, {b"user": b"", b"database": b"postgres"})
"""What a client would ask for that wants to know no more than whether it gets in. Every RDS has that database."""


@dataclass(slots=True)
class PostgresSession:
    """A session at RDS. Whoever asked for it closes it."""

    stream: Stream
    server: tuple[str, int]
    messages: bytes
    """Its ParameterStatus and NoticeResponse, as they came."""
    key: BackendKeyData | None
    """What it takes to cancel. RDS Proxy gives none."""
    on_close: Callable[[], None] = field(repr=False)

    @property
    def connection_id(self) -> int:
        """The process that serves it; 0 where RDS Proxy tells none."""
        return self.key.process_id if self.key is not None else 0

    async def quit(self) -> None:
        """Take leave as a client does, then close."""
        try:
            await self.stream.write(TERMINATE)
        except OSError:
            return
        finally:
            self.close()

    def leave(self) -> None:
        with suppress(OSError):
            self.stream.send(TERMINATE)
        self.close()

    def close(self) -> None:
        self.on_close()
        self.on_close = _nothing
        self.stream.close()


def _nothing() -> None:
    pass


def order(server: Server, account: str, db_user: str, request: StartupMessage) -> Order[PostgresSession]:
    """`request`: what the client asks for, with the name that it goes by here."""

    def make(way: Way, on_step: OnStep) -> RDSLogin:
        return RDSLogin(way, db_user, request, on_step, server)

    return Order(account, db_user, make)


class RDSLogin:
    """`run` it once. `step` says what is being waited for, `on_step` hears when that changes."""

    def __init__(
        self,
        way: Way,
        db_user: str,
        request: StartupMessage,
        on_step: OnStep | None = None,
        learning: Server | None = None,
    ) -> None:
        self._attempt = Attempt(way, db_user, on_step)
        self._target = way.target
        self._db_user = db_user
        self._request = request
        self._learning = learning or Server()
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
        """Seconds since 1970."""
        return self._attempt.certificate_expires

    @property
    def version(self) -> str:
        """RDS's, fit to be shown; empty until it has let us in."""
        return f"PostgreSQL, version {self._learning.version}" if self._learning.has_answered else ""

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The connection's TLS, while it is open."""
        return self._attempt.tls

    async def run(self, on_close: Callable[[], None] = _nothing) -> PostgresSession:
        """Raises LoginError."""

        async def converse(stream: Stream, server: tuple[str, int]) -> PostgresSession:
            welcome = await self._log_in(stream)
            self._learning.learn(welcome.messages)
            return PostgresSession(stream, server, welcome.messages, welcome.key, on_close)

        return await self._attempt.run(converse)

    async def _log_in(self, stream: Stream) -> LoggedIn:
        try:
            return await self._until_in(stream)
        except NotPostgreSQL as exc:
            raise failures.other_protocol(self._target, "PostgreSQL", exc) from exc
        except RemoteProtocolError as exc:
            raise failures.hung_up(self._target, self.step, exc) from exc

    async def _until_in(self, stream: Stream) -> LoggedIn:
        login, attempt = self._login, self._attempt
        attempt.enter(Step.TLS)
        await stream.write(login.begin())
        while True:
            match await next_event(stream, login):
                case StartTLS():
                    await attempt.start_tls(stream)
                    attempt.enter(Step.TOKEN_REQUEST)
                    await stream.write(login.tls_established())
                case SendToken():
                    await stream.write(login.token(await attempt.get_token()))
                    attempt.enter(Step.VERDICT)
                case LoggedIn() as welcome:
                    attempt.enter(Step.DONE)
                    return welcome
                case Failed(error, at):
                    answer = refusals.Answer(error.report, attempt.without_token(error.report.text), at)
                    raise refusals.refused(self._target, self._db_user, self._request, answer, attempt.sent_token())
                case NoTLS():
                    raise failures.no_tls(self._target)
                case OtherMethod(request):
                    raise refusals.not_an_iam_role(self._target, self._db_user, request)
