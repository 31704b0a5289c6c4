"""A client's login here: greeting, TLS, password. RDS is not asked for anything."""

import asyncio
import logging
from contextlib import suppress

from mysql_wire.errors import RemoteProtocolError
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.reply import ERRPacket
from mysql_wire.server_login import Answered, Send, ServerLogin, StartTLS

from ..config import Account
from ..errors.tree import Denied, Draining, LoginError
from ..front.shared import Shared
from ..front.tls import LocalTLS
from ..logs import event, printable
from ..net.sockets import Peer
from ..net.stream import Stream
from ..stats.refused import RefusedLogin
from ..stats.target import TargetWatch
from . import refusals

CLIENT_LOGIN_SECONDS = 10.0
"""For the client, from its connection until its password is checked."""

ANSWER_SECONDS = 1.0
"""For the client's next packet once the proxy stops: an ERR packet that overtook it would be out of order."""

FAILURE_SECONDS = 0.1
"""How long a refused password waits for its answer."""

REFUSAL_SECONDS = 2.0
"""For the client to take its refusal; in the middle of a TLS handshake it may never."""

log = logging.getLogger(__name__)


class FrontLogin:
    """One login: the first of a connection, or the one that COM_CHANGE_USER asks for."""

    def __init__(
        self,
        stream: Stream,
        peer: Peer,
        connection_id: int,
        target: str,
        greet_as: ServerIdentity,
        tls: LocalTLS | None,
        shared: Shared,
        watch: TargetWatch,
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._id = connection_id
        self._target = target
        self._tls = tls
        self._shared = shared
        self._watch = watch
        self._user = b""
        self.answered = False
        """The client has sent all that there is to check."""
        self._stopping = False
        self._time_limit: asyncio.Timeout | None = None
        self.protocol = ServerLogin(
            greet_as,
            connection_id,
            lambda user: shared.accounts.verifiers(user, target),
            nonce=shared.nonce,
            tls=tls is not None,
            tls_required=tls is not None and tls.required,
        )

    async def greet(self) -> None:
        """Send the greeting. Raises OSError."""
        await self._stream.write(self.protocol.greeting())

    async def change_user(self, payload: bytes, before: LoginRequest, last_nonce: bytes) -> None:
        """Ask for the password of the user whom COM_CHANGE_USER names. Raises RemoteProtocolError, OSError."""
        await self._stream.write(self.protocol.change_user(payload, before, last_nonce))

    async def authenticate(self) -> tuple[Account, LoginRequest]:
        """Who the client is and what it asks for, once it has proved its password. Raises LoginError, OSError."""
        try:
            seconds = ANSWER_SECONDS if self._stopping else CLIENT_LOGIN_SECONDS
            async with asyncio.timeout(seconds) as time_limit:
                self._time_limit = time_limit
                await self._read_answer()
                return await self._check_password()
        except TimeoutError:
            raise (Draining("stopping") if self._stopping else Denied("login-timeout")) from None
        except RemoteProtocolError as exc:
            raise refusals.broken_login(exc) from exc
        finally:
            self._time_limit = None

    def stop(self) -> None:
        """Refuse this login as soon as the client's next packet is there."""
        if self._time_limit is not None and not self._stopping:
            self._time_limit.reschedule(asyncio.get_running_loop().time() + ANSWER_SECONDS)
        self._stopping = True

    async def refuse(self, error: LoginError) -> None:
        """Log the refusal and tell the client; the connection is over then."""
        err = refusals.err_packet(error)
        self._log(error, err)
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                await self._stream.write(self.protocol.failure(err))
                await self._stream.finish()
        except (OSError, TimeoutError):
            return

    def refuse_at_once(self, error: LoginError) -> None:
        """The same without waiting for anything; a client that has not answered yet is told nothing."""
        if self.answered:
            err = refusals.err_packet(error)
            self._log(error, err)
            with suppress(OSError):
                self._stream.send(self.protocol.failure(err))

    def _log(self, error: LoginError, err: ERRPacket) -> None:
        user, peer = printable(self._user), str(self._peer)
        is_new = self._watch.refuse(RefusedLogin(user, peer, err.code, error.shown, error.again()))
        event(
            log,
            logging.WARNING if is_new else logging.DEBUG,
            "login refused",
            id=self._id,
            peer=peer,
            pid=self._peer.pid,
            user=user,
            target=self._target,
            reason=error.reason,
            code=err.code,
            text=error.shown,
            detail=error.detail or None,
        )

    async def _read_answer(self) -> None:
        login = self.protocol
        while True:
            answer = login.receive(await self._stream.read_packet(login.sequence))
            if self._stopping and answer is not StartTLS.START_TLS:
                raise Draining("stopping")
            match answer:
                case Send(packet):
                    await self._stream.write(packet)
                case StartTLS.START_TLS:
                    await self._start_tls()
                case Answered.ANSWERED:
                    self.answered = True
                    return

    async def _start_tls(self) -> None:
        if self._tls is None:
            raise AssertionError("TLS that was not offered")
        await self._stream.start_tls(self._tls.context, server_side=True)
        self.protocol.tls_established()

    async def _check_password(self) -> tuple[Account, LoginRequest]:
        login, request = self.protocol, self.protocol.request
        if request is None:
            raise AssertionError("an answer without a request")
        self._user = request.user
        guard, peer = self._shared.guard, str(self._peer)
        account = self._shared.accounts.find(request.user, self._target)
        if account is not None and account.peer_uid is not None and account.peer_uid == self._peer.uid:
            login.accept_peer()
            return account, request
        if account is not None and not await guard.turn(account.user, peer):
            raise Denied("too-many-failures")
        right = login.verify()
        if account is not None and right:
            guard.succeeded(account.user, peer)
            return account, request
        if account is not None:
            guard.failed(account.user, peer)
        await asyncio.sleep(FAILURE_SECONDS)
        host, known = _host_of(self._peer), account is not None
        raise refusals.access_denied(request.user, host, using_password=login.using_password, is_known=known)


def _host_of(peer: Peer) -> str:
    return "localhost" if peer.host in ("127.0.0.1", "::1") else peer.host
