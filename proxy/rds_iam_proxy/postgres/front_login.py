"""A PostgreSQL client's conversation: TLS, startup parameters, password, and what it needs to cancel later."""

import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from pg_wire.constants import TLS_HANDSHAKE_BYTE
from pg_wire.errors import RemoteProtocolError
from pg_wire.messages import BackendKeyData, CancelRequest, StartupMessage
from pg_wire.server_login import (
    TLS_ACCEPTED,
    Answered,
    Method,
    Offer,
    Requested,
    Send,
    ServerLogin,
    StartTLS,
)

from ..config import Account
from ..dialect import Aside, Check, Refusal
from ..errors.tree import Denied, LoginError
from ..front.accounts import is_vouched_for
from ..front.arrival import Arrival
from ..front.ids import LiveSession
from ..front.shared import Shared
from ..front.tls import CLIENT_TLS, LocalTLS, handshake_failure
from ..logs import printable
from ..rds.login import Order
from ..rds.upstream import Upstream
from ..threads import in_thread
from . import farewells, refusals
from .cancel import Cancels
from .command_watch import CommandWatch
from .events import next_event
from .rds_login import ASKS_NOTHING, PostgresSession, order
from .server import Server

NONCE_BYTES = 18
"""As many as PostgreSQL's server takes."""

CHECK_SECONDS = 5.0
"""For the thread that checks a password sent in clear."""

_KEY_BYTES = {0: 4, 2: 32}
"""Of a cancel key, by the protocol's minor version, as PostgreSQL 18 makes them."""


class PostgresFront:
    """`dialect.Front` for PostgreSQL."""

    def __init__(self, server: Server, cancels: Cancels, arrival: Arrival, shared: Shared) -> None:
        self.program = ""
        self._server = server
        self._cancels = cancels
        self._arrival = arrival
        self._stream = arrival.stream
        self._shared = shared
        self._account = ""
        self._request = ASKS_NOTHING
        self._is_right = False
        self._before_ok = b""
        self._has_spoken = False
        self._key: BackendKeyData | None = None
        self._method = Method.PASSWORD if arrival.auth == "password" else Method.SCRAM_SHA_256
        tls = arrival.tls
        self._login = ServerLogin(
            lambda user: shared.accounts.scram(user, arrival.target),
            Offer(
                tls=tls is not None,
                tls_required=tls is not None and tls.required,
                end_point=None if tls is None else tls.end_point,
                method=self._method,
            ),
            nonce=make_nonce,
        )

    @property
    def user(self) -> bytes:
        return self._request.user

    async def greet(self, check: Check) -> None:
        """The client speaks first."""

    async def read_answer(self, check: Check) -> Aside | None:
        try:
            return await self._read_answer(check)
        except RemoteProtocolError as exc:
            raise refusals.broken_login(exc) from exc

    async def _read_answer(self, check: Check) -> Aside | None:
        first = await self._stream.peek()
        self._has_spoken = True
        if self._arrival.tls is not None and first == bytes((TLS_HANDSHAKE_BYTE,)):
            await self._start_direct_tls(self._arrival.tls)
        while True:
            match await next_event(self._stream, self._login):
                case CancelRequest() as request:
                    return self._cancel(request)
                case StartTLS():
                    await self._start_tls()
                case Send(packet):
                    if self._login.request is not None:  # before, nothing but the answer would be understood
                        check()
                    await self._stream.write(packet)
                case Requested():
                    check()
                    if self._requested():
                        return None
                    await self._stream.write(self._login.challenge())
                case Answered():
                    check()
                    await self._check_answer()
                    return None

    def verify(self) -> bool:
        return self._is_right

    def vouch(self) -> None:
        self._before_ok = self._login.accept_peer()

    def denied(self, *, is_known: bool) -> LoginError:
        return refusals.access_denied(self.user, is_known=is_known)

    async def accept(self) -> None:
        """Before RDS is asked: to an error that comes earlier, libpq's sslmode=prefer answers with a second login."""
        await self._stream.write(self._before_ok + self._login.authenticated())

    def order(self, account: Account) -> Order[PostgresSession]:
        self._account = account.user
        if self._request.wants_replication and not account.allow_replication:
            raise Denied("postgres-replication")
        return order(self._server, account.user, account.db_user, _with_database(self._request, account.database))

    async def welcome(self, rds: PostgresSession) -> None:
        """RDS's process id is shown as it is; the key is ours, so that RDS's never leaves the process."""
        if rds.key is not None:
            length = _KEY_BYTES[2 if self._request.minor >= 2 else 0]
            self._key = BackendKeyData(rds.key.process_id, secrets.token_bytes(length))
        await self._stream.write(self._login.welcome(rds.messages, self._key))
        rds.messages = b""

    @contextmanager
    def watch(self, rds: PostgresSession, *, keep_quit: bool) -> Iterator[CommandWatch]:
        mine, theirs = self._key, rds.key
        if mine is None or theirs is None:
            yield CommandWatch()
            return
        pid = theirs.process_id
        session = LiveSession(self._account, self._arrival.target, rds.server, pid, theirs.secret_key)
        with self._shared.live.known((pid, mine.secret_key), session):
            yield CommandWatch()

    async def again(self, payload: bytes) -> None:
        """No command of PostgreSQL's logs in once more."""
        raise LoginError("internal")

    def refusal(self, error: LoginError) -> Refusal:
        """Who has said nothing does not listen."""
        response = refusals.error_response(error)
        packet = self._login.failure(response)
        listens = self._has_spoken and error.reason != CLIENT_TLS
        return Refusal(packet if listens else b"", response.report.sqlstate)

    async def stay(self, rds: PostgresSession) -> bool:
        """Nobody logs in once more."""
        return False

    def farewell(self, error: LoginError) -> bytes:
        return farewells.between_commands(error)

    # --- parts of the conversation ---

    async def _start_direct_tls(self, tls: LocalTLS) -> None:
        await self._handshake(tls)
        agreed = None if self._stream.tls is None else self._stream.tls.selected_alpn_protocol()
        self._login.direct_tls_established(agreed)

    async def _start_tls(self) -> None:
        """It is asked for only where it was offered."""
        tls = self._arrival.tls
        if tls is not None:
            await self._stream.write(TLS_ACCEPTED)
            await self._handshake(tls)
            self._login.tls_established()

    async def _handshake(self, tls: LocalTLS) -> None:
        try:
            await self._stream.start_tls(tls.context, server_side=True)
        except ssl.SSLError as exc:
            raise handshake_failure(exc) from exc

    def _requested(self) -> bool:
        """The startup packet is there. True: nothing need be asked."""
        self._request = self._login.request or ASKS_NOTHING
        self.program = printable(self._request.parameters.get(b"application_name", b""))
        account = self._shared.accounts.find(self.user, self._arrival.target)
        return account is not None and is_vouched_for(account, self._arrival.peer)

    async def _check_answer(self) -> None:
        """A password in clear takes a millisecond, which the other sessions need not wait for."""
        if self._method is Method.PASSWORD:
            self._is_right = await in_thread(self._login.verify, CHECK_SECONDS, "password")
        else:
            self._is_right = self._login.verify()

    def _cancel(self, request: CancelRequest) -> Aside:
        async def run(upstream: Upstream) -> None:
            await self._cancels.run(request, self._shared.live, self._arrival.target, upstream)

        return Aside(run)


def make_nonce() -> bytes:
    return secrets.token_urlsafe(NONCE_BYTES).encode()


def _with_database(request: StartupMessage, database: str | None) -> StartupMessage:
    """Where the client names none, libpq and others name the one of the user's name: that stands for none, too."""
    if database is None or request.database != request.user:
        return request
    return StartupMessage(request.minor, {**request.parameters, b"database": database.encode()})
