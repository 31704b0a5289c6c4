"""One client's life: its login here, its login at RDS, and the relay between the two.

No RDS connection is dialled before the client has proved its password, and the client is not let in before RDS has let
us in: whatever fails in between reaches it as an ERR packet.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from mysql_wire.commands import CommandScanner
from mysql_wire.constants import NONCE_LENGTH, Command
from mysql_wire.errors import RemoteProtocolError
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.reply import ERRPacket
from mysql_wire.server_login import Answered, Send, ServerLogin, StartTLS

from . import refusals
from .accounts import Accounts
from .config import Account
from .errors import LoginError
from .guard import LoginGuard
from .listening import Peer
from .live import LiveSession, LiveSessions
from .local_tls import LocalTLS
from .logs import event, printable
from .relay import Ending, Relay, Side
from .stream import EndOfStream, Stream
from .upstream import Upstream, UpstreamSession

CLIENT_LOGIN_SECONDS = 10.0
"""For the client, from its connection until its password is checked."""

TOTAL_LOGIN_SECONDS = 9.5
"""From the client's login packet to RDS's answer: common clients give up at 10 s."""

FAILURE_SECONDS = 0.1
"""How long a refused password waits for its answer."""

_LETTERS_ONLY = str.maketrans("-_", "xy")

log = logging.getLogger(__name__)


def make_nonce() -> bytes:
    """20 letters and digits: Connector/J reads them as ASCII, and a NUL would end them."""
    return secrets.token_urlsafe(NONCE_LENGTH * 3 // 4).translate(_LETTERS_ONLY).encode()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of the process use together."""

    accounts: Accounts
    guard: LoginGuard
    live: LiveSessions
    buffer: memoryview = field(repr=False)
    nonce: Callable[[], bytes] = field(default=make_nonce)
    now: Callable[[], float] = field(default=time.monotonic)


class _Refused(Exception):
    """The login is over; `err` is what the client is told."""

    def __init__(self, err: ERRPacket, reason: str, *, detail: str = "", with_sqlstate: bool = True) -> None:
        super().__init__(reason)
        self.err = err
        self.reason = reason
        self.detail = detail
        self.with_sqlstate = with_sqlstate


class Session:
    """`run` lives as long as the client; it closes both connections and never raises for what a peer did."""

    def __init__(
        self,
        stream: Stream,
        peer: Peer,
        upstream: Upstream,
        greet_as: ServerIdentity,
        tls: LocalTLS | None,
        shared: Shared,
        release_slot: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._upstream = upstream
        self._greet_as = greet_as
        self._tls = tls
        self._shared = shared
        self._release_slot = release_slot
        self._id = shared.live.new_id()
        self._account: Account | None = None
        self._entered = False
        self._user = b""
        self._bytes_up = self._bytes_down = 0

    async def run(self) -> None:
        started = self._shared.now()
        login = self._server_login()
        try:
            await self._stream.write(login.greeting())
            request = await self._authenticate(login)
            self._release_slot()
            rds = await self._enter(login, request)
            self._entered = True
            ending = await self._relay(rds, request)
            self._log_end(ending, self._shared.now() - started)
        except _Refused as refused:
            await self._refuse(login, refused)
        except OSError as exc:
            reason = "client left" if isinstance(exc, EndOfStream) else exc.strerror or type(exc).__name__
            event(log, logging.INFO, "login broken off", id=self._id, peer=str(self._peer), reason=reason)
        except Exception as exc:
            event(log, logging.ERROR, "internal error", id=self._id, peer=str(self._peer), exception=exc)
            if not self._entered:  # later an ERR packet could come into the middle of a result
                await self._refuse(login, _Refused(refusals.internal_error(), "internal"))
        finally:
            self._release_slot()
            self._stream.close()

    def _server_login(self) -> ServerLogin:
        accounts, target = self._shared.accounts, self._upstream.target.name
        return ServerLogin(
            self._greet_as,
            self._id,
            lambda user: accounts.verifiers(user, target),
            nonce=self._shared.nonce,
            tls=self._tls is not None,
            tls_required=self._tls is not None and self._tls.required,
        )

    # --- the client's login ---

    async def _authenticate(self, login: ServerLogin) -> LoginRequest:
        """What the client asks for, once it has proved its password. Raises _Refused, OSError."""
        try:
            async with asyncio.timeout(CLIENT_LOGIN_SECONDS):
                await self._read_answer(login)
                return await self._check_password(login)
        except TimeoutError:
            raise _Refused(refusals.timed_out(), "timeout") from None
        except RemoteProtocolError as exc:
            raise _broken(exc) from exc

    async def _read_answer(self, login: ServerLogin) -> None:
        while True:
            answer = login.receive(await self._stream.read_packet(login.sequence))
            match answer:
                case Send(packet):
                    await self._stream.write(packet)
                case StartTLS.START_TLS:
                    await self._start_tls(login)
                case Answered.ANSWERED:
                    return

    async def _start_tls(self, login: ServerLogin) -> None:
        if self._tls is None:
            raise AssertionError("TLS that was not offered")
        await self._stream.start_tls(self._tls.context, server_side=True)
        login.tls_established()

    async def _check_password(self, login: ServerLogin) -> LoginRequest:
        request = login.request
        if request is None:
            raise AssertionError("an answer without a request")
        self._user = request.user
        guard, peer = self._shared.guard, str(self._peer)
        account = self._shared.accounts.find(request.user, self._upstream.target.name)
        if account is not None and account.peer_uid is not None and account.peer_uid == self._peer.uid:
            login.accept_peer()
            self._account = account
            return request
        if account is not None and not await guard.turn(account.user, peer):
            raise _Refused(refusals.too_many_failures(), "too many failures")
        right = login.verify()
        if account is not None and right:
            guard.succeeded(account.user, peer)
            self._account = account
            return request
        if account is not None:
            guard.failed(account.user, peer)
        await asyncio.sleep(FAILURE_SECONDS)
        err = refusals.access_denied(request.user, _host_of(self._peer), using_password=login.using_password)
        raise _Refused(err, "wrong password" if account else "unknown user")

    # --- the login at RDS ---

    async def _enter(self, login: ServerLogin, request: LoginRequest) -> UpstreamSession:
        """Log in at RDS, then let the client in with RDS's OK. Raises _Refused, OSError."""
        rds = await self._log_in_at_rds(request)
        try:
            self._upstream.check_greeting(rds, request, self._greet_as)
            fingerprint = self._tls.fingerprint if self._tls is not None else None
            await self._stream.write(login.success(rds.ok, fingerprint=fingerprint))
        except LoginError as exc:
            await rds.quit()
            raise _failed(exc) from exc
        except BaseException:
            rds.close()
            raise
        return rds

    async def _log_in_at_rds(self, request: LoginRequest) -> UpstreamSession:
        account = self._known_account()
        deadline = self._shared.now() + TOTAL_LOGIN_SECONDS
        try:
            await self._unless_client_leaves(self._upstream.admit(account.user, deadline))
            return await self._upstream.log_in(account.user, account.db_user, request, deadline)
        except LoginError as exc:
            raise _failed(exc) from exc

    async def _unless_client_leaves(self, waiting: Coroutine[None, None, None]) -> None:
        """A client that gave up gives its place in the queue back. Raises EndOfStream."""
        task = asyncio.create_task(waiting)
        self._stream.watch_end(task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if self._stream.ended_by_peer:
                raise EndOfStream("the client left while it waited for a permit") from None
            raise
        finally:
            task.cancel()
            self._stream.watch_readable(None)

    # --- the relay ---

    async def _relay(self, rds: UpstreamSession, request: LoginRequest) -> Ending:
        try:
            while True:
                ending = await self._relay_once(rds)
                if ending.change_user is None:
                    break
                changed = await self._change_user(rds, request, ending.change_user)
                if changed is None:
                    ending = Ending(Side.PROXY, "COM_CHANGE_USER failed")
                    break
                rds, request = changed
        finally:
            self._shared.live.remove(self._id)
            rds.close()
        await self._stream.finish()
        return ending

    async def _relay_once(self, rds: UpstreamSession) -> Ending:
        account, live = self._known_account(), self._shared.live
        session = LiveSession(account.user, self._upstream.target.name, rds.server, rds.connection_id)
        live.add(self._id, session)
        scanner = CommandScanner(
            rds.capabilities, lambda named: live.kill_target(session, named), account.allow_replication
        )
        relay = Relay(self._stream, rds.stream, scanner, self._shared.buffer)
        try:
            return await relay.run()
        finally:
            self._bytes_up += relay.upward.byte_count
            self._bytes_down += relay.downward.byte_count
            if scanner.refused is not None:
                command = Command(scanner.refused).name
                event(log, logging.WARNING, "replication command refused", id=self._id, command=command)

    async def _change_user(
        self, rds: UpstreamSession, before: LoginRequest, payload: bytes
    ) -> tuple[UpstreamSession, LoginRequest] | None:
        """COM_CHANGE_USER: the password is checked here, then a new login at RDS replaces the session.

        None if it failed: the client was told, and as with MySQL its connection ends.
        """
        login = self._server_login()
        try:
            try:
                await self._stream.write(login.change_user(payload, before))
            except RemoteProtocolError as exc:
                raise _broken(exc) from exc
            request = await self._authenticate(login)
            new = await self._enter(login, request)
        except _Refused as refused:
            await self._refuse(login, refused)
            return None
        except OSError:
            return None  # the client left
        if rds.stream.has_unread:  # RDS still answered a command from before: the order cannot be kept
            new.close()
            return None
        rds.close()
        return new, request

    # --- endings ---

    async def _refuse(self, login: ServerLogin, refused: _Refused) -> None:
        event(
            log,
            logging.WARNING,
            "login refused",
            id=self._id,
            peer=str(self._peer),
            user=printable(self._user),
            target=self._upstream.target.name,
            reason=refused.reason,
            code=refused.err.code,
            text=refused.err.message.decode("utf-8", "replace"),
            detail=refused.detail or None,
        )
        try:
            await self._stream.write(login.failure(refused.err, with_sqlstate=refused.with_sqlstate))
            await self._stream.finish()
        except OSError:
            return

    def _log_end(self, ending: Ending, seconds: float) -> None:
        account = self._known_account()
        event(
            log,
            logging.INFO,
            "session ended",
            id=self._id,
            account=account.user,
            peer=str(self._peer),
            target=self._upstream.target.name,
            db_user=account.db_user,
            seconds=round(seconds, 3),
            bytes_from_client=self._bytes_up,
            bytes_from_rds=self._bytes_down,
            closed_by=str(ending.by),
            why=ending.why,
        )

    def _known_account(self) -> Account:
        if self._account is None:
            raise AssertionError("no account before the login")
        return self._account


def _failed(exc: LoginError) -> _Refused:
    return _Refused(refusals.err_packet(exc), exc.reason, detail=exc.detail)


def _broken(exc: RemoteProtocolError) -> _Refused:
    err = refusals.broken_login(exc)
    return _Refused(err, "protocol", detail=str(exc), with_sqlstate=refusals.has_sqlstate(exc))


def _host_of(peer: Peer) -> str:
    return "localhost" if peer.host in ("127.0.0.1", "::1") else peer.host
