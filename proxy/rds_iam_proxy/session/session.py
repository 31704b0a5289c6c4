"""One client's life: its login here, its login at RDS, and the relay between the two.

No RDS connection is dialled before the client has proved its password, and the client is not let in before RDS has let
us in: whatever fails in between reaches it as an ERR packet.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial

from mysql_wire.commands import CommandScanner
from mysql_wire.constants import Command
from mysql_wire.errors import RemoteProtocolError
from mysql_wire.handshake import LoginRequest, ServerIdentity
from mysql_wire.reply import ERRPacket

from ..aws.names import parse_rds_name
from ..config import Account, Target
from ..errors.tree import Draining, LoginError
from ..front.ids import LiveSession
from ..front.shared import Shared
from ..front.tls import LocalTLS
from ..logs import event
from ..mysql import farewells, refusals
from ..mysql.front_login import FrontLogin
from ..mysql.probe import Probe
from ..mysql.program_name import client_program
from ..mysql.rds_login import UpstreamSession
from ..net.sockets import Peer
from ..net.stream import EndOfStream, Stream
from ..rds.upstream import Upstream
from .relay import Ending, Relay, Side
from .traffic import Meter
from .view import Activity, SessionView

TOTAL_LOGIN_SECONDS = 9.5
"""From the client's login packet to RDS's answer: common clients give up at 10 s."""

FAREWELL_SECONDS = 1.0

log = logging.getLogger(__name__)


class Session:
    """`run` lives as long as the client; it closes both connections and never raises for what a peer did."""

    def __init__(
        self,
        stream: Stream,
        peer: Peer,
        upstream: Upstream,
        probe: Probe,
        tls: LocalTLS | None,
        shared: Shared,
        release_slot: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._upstream = upstream
        self._probe = probe
        self._tls = tls
        self._shared = shared
        self._release_slot = release_slot
        self._id = shared.live.new_id()
        self._began = shared.now()
        self._program = ""
        self._last_nonce = b""
        self._greeted_late = 0.0  # seconds that the client's patience was used up before it could log in
        self._account: Account | None = None
        self._login: FrontLogin | None = None  # the one under way
        self._permit: asyncio.Task[float] | None = None  # while it is waited for
        self._rds: UpstreamSession | None = None
        self._stopping = False
        self._farewell: ERRPacket | None = None
        self._meter = Meter(upstream.watch, shared.now)

    # --- from outside ---

    @property
    def target(self) -> Target:
        return self._upstream.target

    @property
    def is_in(self) -> bool:
        """The login is over, and the client may send commands."""
        return self._meter.relay is not None

    def idle_seconds(self) -> float | None:
        """How long nothing was sent either way, to be asked again and again; None: not idle, or not in yet."""
        return self._meter.idle_seconds

    def stop_login(self) -> None:
        """The proxy stops: refuse the login under way, and any to come. One that RDS works on is let finish first."""
        self._stopping = True
        if self._login is not None:
            self._login.stop()
        if self._permit is not None:
            self._permit.cancel()

    def end(self, farewell: ERRPacket, why: str) -> bool:
        """End it between two commands. False: something was sent in this very moment, so it is not idle."""
        rds, relay = self._rds, self._meter.relay
        if rds is None or relay is None or self._stream.has_unread or rds.stream.has_unread:
            return False
        self._farewell = farewell
        relay.end(why)
        return True

    def cut(self, why: str) -> bool:
        """End it, whatever it does, without a word. False: the login is not over."""
        relay = self._meter.relay
        if relay is None:
            return False
        relay.end(why)
        return True

    def view(self) -> SessionView:
        """What it is and does now."""
        account = self._account
        up, down = self._meter.bytes
        activity = self._activity()
        return SessionView(
            id=self._id,
            target=self.target.name,
            peer=str(self._peer),
            account=account.user if account is not None else None,
            db_user=account.db_user if account is not None else None,
            program=self._program,
            activity=activity,
            quiet_seconds=(self.idle_seconds() or 0.0) if activity is Activity.IDLE else 0.0,
            age_seconds=self._shared.now() - self._began,
            bytes_from_client=up,
            bytes_from_rds=down,
            tls=self._stream.tls is not None,
        )

    def _activity(self) -> Activity:
        if self._meter.relay is not None:
            return self._meter.activity
        if self._permit is not None:
            return Activity.WAITING
        return Activity.ENDING if self._rds is not None and self._login is None else Activity.LOGIN

    def count_bytes(self) -> None:
        """Tell the target's watch of the bytes since the last time."""
        self._meter.tell()

    # --- its life ---

    async def run(self) -> None:
        try:
            greet_as = await self._probe.greet_as()
            self._greeted_late = self._shared.now() - self._began
            login = self._login = self._new_login(greet_as)
            try:
                ending = await self._serve(login, greet_as)
            except LoginError as error:
                await login.refuse(error)
            except Exception as exc:
                if self._rds is not None or isinstance(exc, OSError):
                    raise  # now an ERR packet could come into the middle of a result
                self._log_fault(exc)
                await login.refuse(LoginError("internal"))
            except asyncio.CancelledError:
                if self._login is not None:
                    self._login.refuse_at_once(Draining("stopping"))
                if self._rds is not None:
                    self._log_end(Ending(Side.PROXY, "cut"))
                raise
            else:
                self._log_end(ending)
        except OSError as exc:
            self._upstream.watch.abandoned += self._rds is None
            reason = "client left" if isinstance(exc, EndOfStream) else exc.strerror or type(exc).__name__
            asked = self._login is not None and self._login.answered
            level = logging.INFO if asked else logging.DEBUG  # a health check, or a port scan
            event(log, level, "login broken off", id=self._id, peer=str(self._peer), reason=reason)
        except Exception as exc:
            self._log_fault(exc)
        finally:
            self.count_bytes()
            self._release_slot()
            self._stream.close()

    async def _serve(self, login: FrontLogin, greet_as: ServerIdentity) -> Ending:
        if self._stopping:
            raise Draining("stopping")
        await login.greet()
        self._account, request = await login.authenticate()
        self._release_slot()
        self._rds = await self._enter(login, request, greet_as)
        return await self._run_relay(self._rds, request, greet_as)

    def _new_login(self, greet_as: ServerIdentity) -> FrontLogin:
        name, watch = self.target.name, self._upstream.watch
        return FrontLogin(self._stream, self._peer, self._id, name, greet_as, self._tls, self._shared, watch)

    # --- the login at RDS ---

    async def _enter(self, login: FrontLogin, request: LoginRequest, greet_as: ServerIdentity) -> UpstreamSession:
        """Log in at RDS, then let the client in with RDS's OK. Raises LoginError, OSError."""
        rds = await self._log_in_at_rds(request)
        try:
            if self._stopping:
                raise Draining("stopping")
            self._probe.check(rds, request, greet_as)
            fingerprint = self._tls.fingerprint if self._tls is not None else None
            await self._stream.write(login.protocol.success(rds.ok, fingerprint=fingerprint))
        except LoginError:
            await rds.quit()
            raise
        except BaseException:
            rds.close()
            raise
        self._login = None
        self._last_nonce = login.protocol.nonce
        self._upstream.watch.accepted += 1
        return rds

    async def _log_in_at_rds(self, request: LoginRequest) -> UpstreamSession:
        account, self._program = self._known_account(), client_program(request.attributes)
        deadline = self._shared.now() + TOTAL_LOGIN_SECONDS - self._greeted_late
        permit = await self._unless_client_leaves(self._upstream.admit(account.user, deadline))
        make, known = self._probe.login(account.db_user, request), self._probe.identity is not None
        return await self._upstream.log_in(
            account.user, account.db_user, make, permit=permit, deadline=deadline, with_token=known
        )

    async def _unless_client_leaves(self, waiting: Coroutine[None, None, float]) -> float:
        """A client that gave up gives its place in the queue back. Raises EndOfStream, LoginError."""
        task = self._permit = asyncio.create_task(waiting)
        self._stream.watch_end(task.cancel)
        if self._stopping:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._stream.ended_by_peer:
                raise EndOfStream("the client left while it waited for a permit") from None
            if self._stopping and not _is_cancelled():
                raise Draining("stopping") from None
            raise
        finally:
            self._permit = None
            task.cancel()
            self._stream.watch_readable(None)

    # --- the relay ---

    async def _run_relay(self, rds: UpstreamSession, request: LoginRequest, greet_as: ServerIdentity) -> Ending:
        try:
            while True:
                self._rds = rds
                ending = await self._relay_once(rds)
                if ending.change_user is None:
                    if ending.by is Side.RDS and rds.stream.was_reset:
                        self._stream.reset()
                    break
                changed = await self._change_user(rds, request, greet_as, ending.change_user)
                if changed is None:
                    ending = Ending(Side.PROXY, "COM_CHANGE_USER failed")
                    break
                rds, request = changed
        finally:
            self._shared.live.remove(self._id)
            rds.close()
        if self._farewell is not None and not greet_as.is_mariadb:
            await self._say_farewell(self._farewell)
            await self._stream.finish()
        # Else closed at once, as servers do it, and reset where RDS did so (MariaDB at its wait_timeout): what a client
        # sends now fails for it as it would there.
        return ending

    async def _relay_once(self, rds: UpstreamSession) -> Ending:
        account, live = self._known_account(), self._shared.live
        session = LiveSession(account.user, self.target.name, rds.server, rds.connection_id)
        live.add(self._id, session)
        kill_target = _unchanged if self._is_rds_proxy else partial(live.kill_target, session)
        scanner = CommandScanner(rds.capabilities, kill_target, account.allow_replication)
        relay = Relay(self._stream, rds.stream, scanner, self._shared.buffer)
        try:
            with self._meter.running(relay):
                ending = await relay.run()
        finally:
            if scanner.refused is not None:
                command = Command(scanner.refused).name
                event(log, logging.WARNING, "replication command refused", id=self._id, command=command)
        if self._farewell is not None:
            await rds.quit()
        return ending

    @property
    def _is_rds_proxy(self) -> bool:
        name = parse_rds_name(self.target.address.host)
        return name is not None and name.kind.is_proxy

    async def _change_user(
        self, rds: UpstreamSession, before: LoginRequest, greet_as: ServerIdentity, payload: bytes
    ) -> tuple[UpstreamSession, LoginRequest] | None:
        """COM_CHANGE_USER: the password is checked here, then a new login at RDS replaces the session.

        None if it failed: the client was told, and as with MySQL its connection ends.
        """
        login = self._login = self._new_login(greet_as)
        try:
            if self._stopping:
                login.stop()
            await login.change_user(payload, before, self._last_nonce)
            self._account, request = await login.authenticate()
            new = await self._enter(login, request, greet_as)
        except RemoteProtocolError as exc:
            await login.refuse(refusals.broken_login(exc))
            return None
        except LoginError as error:
            await login.refuse(error)
            return None
        except OSError:
            return None  # the client left
        if rds.stream.has_unread:  # RDS still answered a command from before: the order cannot be kept
            new.close()
            return None
        rds.close()
        return new, request

    async def _say_farewell(self, farewell: ERRPacket) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._stream.write(farewells.unasked(farewell))

    # --- the log ---

    def _log_fault(self, exc: Exception) -> None:
        event(log, logging.ERROR, "internal error", id=self._id, peer=str(self._peer), exception=exc)

    def _log_end(self, ending: Ending) -> None:
        view = self.view()
        event(
            log,
            logging.INFO,
            "session ended",
            id=view.id,
            account=view.account,
            peer=view.peer,
            pid=self._peer.pid,
            program=view.program or None,
            target=view.target,
            db_user=view.db_user,
            iam_identity=self.target.role_arn or self.target.profile or "default credentials",
            seconds=round(view.age_seconds, 3),
            bytes_from_client=view.bytes_from_client,
            bytes_from_rds=view.bytes_from_rds,
            closed_by=str(ending.by),
            why=ending.why,
        )
        self._upstream.watch.ended[str(ending.by)] += 1

    def _known_account(self) -> Account:
        if self._account is None:
            raise AssertionError("no account before the login")
        return self._account


def _unchanged(connection_id: int) -> None:
    """RDS Proxy moves sessions between servers: no id of ours names one there."""


def _is_cancelled() -> bool:
    """Whether this task, and not only what it waits for, is to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
