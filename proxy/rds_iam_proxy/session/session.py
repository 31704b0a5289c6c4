"""One client's life: its login here, its login at RDS, and the relay between the two.

No RDS connection is dialled before the client has proved its password, and the client is not let in before RDS has let
us in: whatever fails in between reaches it as an error of its protocol.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import closing, suppress
from typing import Any, Generic

from ..config import Account, Target
from ..dialect import Aside, Dialect
from ..errors.tree import Draining, LoginError
from ..front.arrival import Arrival
from ..front.shared import Shared
from ..logs import event
from ..net.stream import EndOfStream
from ..rds.login import Order, Permit, SessionT
from ..rds.pool import Loan
from ..rds.upstream import Upstream
from .lending import Leaving, Lending, NothingOwed
from .login import ClientLogin, Stage
from .relay import Ending, Relay, Side
from .traffic import Meter
from .view import RESTING, Activity, SessionView

FAREWELL_SECONDS = 1.0

STILL_ANSWERED = "RDS still answered a command"
"""From before the client logged in once more: the order cannot be kept."""

log = logging.getLogger(__name__)


class Session(Generic[SessionT]):
    """`run` lives as long as the client; it closes both connections and never raises for what a peer did."""

    def __init__(
        self,
        arrival: Arrival,
        upstream: Upstream,
        dialect: Dialect[SessionT],
        shared: Shared,
    ) -> None:
        self._arrival = arrival
        self._stream = arrival.stream
        self._upstream = upstream
        self._shared = shared
        self._front = dialect.front(arrival, shared)
        self._lending = Lending(upstream, dialect.cleaner)
        self._login = ClientLogin(self._front, arrival, shared, upstream.stats)
        self._began = shared.now()
        self._greeted_late = 0.0  # seconds that the client's patience was used up before it could log in
        self._activity = Activity.LOGIN
        self._account: Account | None = None
        self._loan: Loan[SessionT] | None = None  # the last
        self._permit: asyncio.Task[Permit] | None = None  # while it is waited for
        self._was_in = False
        self._farewell: LoginError | None = None
        self._meter = Meter(upstream.stats, shared.now)

    # --- from outside ---

    @property
    def id(self) -> int:
        return self._arrival.id

    @property
    def target(self) -> Target:
        return self._upstream.target

    @property
    def is_in(self) -> bool:
        """The login is over, and the client may send commands."""
        return self._activity is Activity.RUNNING

    def idle_seconds(self) -> float | None:
        """How long nothing was sent either way, to be asked again and again; None: not idle, or not in yet."""
        return self._meter.idle_seconds

    def stop_login(self) -> None:
        """The proxy stops: refuse the login under way, and any to come. One that RDS works on is let finish first."""
        self._login.stop()
        if self._permit is not None:
            self._permit.cancel()

    def end(self, farewell: LoginError, why: str) -> bool:
        """End it between two commands. False: something was sent in this very moment, so it is not idle."""
        relay = self._meter.relay
        if relay is None or relay.has_unread:
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
        activity = self._meter.activity if self.is_in else self._activity
        return SessionView(
            id=self.id,
            target=self.target.name,
            peer=str(self._arrival.peer),
            port=self._arrival.peer.port,
            account=account.user if account is not None else None,
            db_user=account.db_user if account is not None else None,
            program=self._front.program,
            activity=activity,
            quiet_seconds=self._meter.quiet_seconds if activity in RESTING else 0.0,
            age_seconds=self._shared.now() - self._began,
            bytes_from_client=up,
            bytes_from_rds=down,
            tls=self._stream.tls is not None,
            rds_connection_id=None if self._loan is None else self._loan.session.connection_id,
        )

    def count_bytes(self) -> None:
        """Tell the target's stats of the bytes since the last time."""
        self._meter.tell()

    # --- its life ---

    async def run(self) -> None:
        try:
            await self._greet_enter_relay()
        except asyncio.CancelledError:
            self._login.refuse_at_once(Draining("stopping"))
            if self._was_in:
                self._log_end(Ending(Side.PROXY, "cut"))
            raise
        except Exception as exc:
            await self._fail(exc)
        finally:
            self._activity = Activity.ENDING
            self.count_bytes()
            self._arrival.slot.release()
            self._stream.close()

    async def _greet_enter_relay(self) -> None:
        await self._login.greet()
        greeted_at = self._shared.now()
        self._greeted_late = greeted_at - self._began
        who = await self._login.authenticate()
        self._upstream.stats.client_login.observe(self._shared.now() - greeted_at)
        self._arrival.slot.release()
        if isinstance(who, Aside):
            await who.run(self._upstream)
            return
        ending = await self._relay_to_the_end(await self._enter(who))
        await self._take_leave()
        self._log_end(ending)

    async def _fail(self, exc: Exception) -> None:
        """The one place where an exception becomes the client's answer, and a line of the log."""
        why = "the client's next login failed"
        match exc:
            case LoginError():
                await self._login.refuse(exc)
            case OSError():
                if not self._was_in:
                    self._log_broken_off(exc)
            case _:
                why = "internal error"
                event(log, logging.ERROR, why, id=self.id, peer=str(self._arrival.peer), exception=exc)
                if self._login.stage is not Stage.IN:  # else it could come into the middle of a result
                    await self._login.refuse(LoginError("internal"))
        if self._was_in:
            self._log_end(Ending(Side.PROXY, why))

    # --- the login at RDS ---

    async def _enter(self, account: Account) -> Loan[SessionT]:
        """Log in at RDS, then let the client in. Raises LoginError, OSError."""
        self._account = account
        await self._front.accept()
        loan = await self._log_in_at_rds(account)
        try:
            self._login.check()
            await self._front.welcome(loan.session)
        except LoginError:
            await loan.session.quit()
            raise
        except BaseException:
            loan.close()
            raise
        self._login.stage, self._greeted_late = Stage.IN, 0.0
        self._upstream.stats.accepted += 1
        self._loan = loan
        self._log_begin()
        return loan

    async def _log_in_at_rds(self, account: Account) -> Loan[SessionT]:
        """A used session, if there is one that would do."""
        order = self._front.order(account)
        key = await self._lending.key(order)
        loan = None if key is None else await self._lending.borrow(key)
        if loan is None:
            loan = await self._lending.first(key, await self._new_at_rds(order))
        return loan or Loan(await self._new_at_rds(order), None, self._shared.now())

    async def _new_at_rds(self, order: Order[SessionT]) -> SessionT:
        deadline = self._shared.now() + self.target.login_timeout - self._greeted_late
        permit = await self._unless_client_leaves(self._upstream.admit(order.account, deadline))
        return await self._upstream.log_in(order, permit)

    async def _unless_client_leaves(self, waiting: Coroutine[None, None, Permit]) -> Permit:
        """A client that gave up gives its place in the queue back. Raises EndOfStream, LoginError."""
        task = self._permit = asyncio.create_task(waiting)
        self._activity = Activity.WAITING
        self._stream.watch_end(task.cancel)
        if self._login.is_stopping:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._stream.ended_by_peer:
                raise EndOfStream("the client left while it waited for a permit") from None
            if self._login.is_stopping and not _is_cancelled():
                raise Draining("stopping") from None
            raise
        finally:
            self._activity = Activity.LOGIN
            self._permit = None
            task.cancel()
            self._stream.watch_readable(None)

    # --- the relay ---

    async def _relay_to_the_end(self, loan: Loan[SessionT]) -> Ending:
        """A client that logs in once more gets another session at RDS. Raises LoginError, OSError if it does not."""
        while True:
            with closing(loan):
                again = None
                while again is None:
                    ending = await self._relay(loan)
                    if ending.interrupted is None:
                        await self._leave(loan, ending)
                        return ending
                    again = await self._log_in_again(loan, ending.interrupted)
            loan = again

    async def _relay(self, loan: Loan[SessionT]) -> Ending:
        rds = loan.session
        with self._front.watch(rds, keep_quit=loan.key is not None) as watch:
            relay = Relay(self._stream, rds.stream, watch, self._shared.buffer)
            self._was_in, self._activity = True, Activity.RUNNING
            self._meter.start(relay)
            try:
                return await relay.run()
            finally:
                self._meter.stop()
                self._activity = Activity.ENDING

    async def _log_in_again(self, loan: Loan[SessionT], payload: bytes) -> Loan[SessionT] | None:
        """None: it was refused, and `loan` goes on. Raises LoginError, OSError."""
        before, self._activity = self._account, Activity.LOGIN
        rds, is_given_back = loan.session, False
        try:
            who = await self._login.again(payload)
            if isinstance(who, Aside):
                raise EndOfStream("no login followed")
            if loan.key is not None and loan.key == await self._lending.key(self._front.order(who)):
                is_given_back = True
                await self._clean_for_itself(loan)
            again = await self._enter(who)
        except LoginError as error:
            self._account = before
            if is_given_back or self._login.is_stopping or rds.stream.has_unread or not await self._front.stay(rds):
                raise
            await self._login.refuse_and_go_on(error)
            return None
        if not is_given_back and rds.stream.has_unread:
            again.close()
            raise EndOfStream(STILL_ANSWERED)
        return again

    async def _clean_for_itself(self, loan: Loan[SessionT]) -> None:
        """It may be the very session that its client gets next. Raises EndOfStream."""
        nothing = NothingOwed()
        await self._lending.give_back(loan, nothing)
        if nothing.was_answered:
            raise EndOfStream(STILL_ANSWERED)

    async def _leave(self, loan: Loan[SessionT], ending: Ending) -> None:
        """What becomes of RDS's session when its client's is over."""
        rds = loan.session
        if ending.owed is not None:
            why_not = "bytes behind the farewell" if ending.behind else ""
            await self._lending.give_back(loan, Leaving(self._stream, ending.owed), why_not=why_not)
        elif self._farewell is not None:
            await rds.quit()
        if ending.by is Side.RDS and rds.stream.was_reset:
            self._stream.reset()

    async def _take_leave(self) -> None:
        """Without a farewell it is closed at once, as servers do it, and was reset where RDS did so (MariaDB at its
        wait_timeout): what a client sends now fails for it as it would there."""
        words = b"" if self._farewell is None else self._front.farewell(self._farewell)
        if words:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._stream.write(words)
            await self._stream.finish()

    # --- the log ---

    def _log_broken_off(self, exc: OSError) -> None:
        self._upstream.stats.abandoned += 1
        reason = "client left" if isinstance(exc, EndOfStream) else exc.strerror or type(exc).__name__
        asked = self._login.stage is Stage.ANSWERED
        level = logging.INFO if asked else logging.DEBUG  # a health check, or a port scan
        event(log, level, "login broken off", id=self.id, peer=str(self._arrival.peer), reason=reason)

    def _log_begin(self) -> None:
        view = self.view()
        event(log, logging.INFO, "session began", **self._who(view), tls=view.tls)

    def _log_end(self, ending: Ending) -> None:
        view = self.view()
        event(
            log,
            logging.INFO,
            "session ended",
            **self._who(view),
            seconds=round(view.age_seconds, 3),
            bytes_from_client=view.bytes_from_client,
            bytes_from_rds=view.bytes_from_rds,
            closed_by=str(ending.by),
            why=ending.why,
        )
        self._upstream.stats.ended[str(ending.by)] += 1

    def _who(self, view: SessionView) -> dict[str, Any]:
        """What both lines of a session say: enough to find it in RDS's process list, and the client on its machine."""
        return {
            "id": view.id,
            "rds_connection_id": view.rds_connection_id,
            "reused": None if self._loan is None else self._loan.clients - 1,
            "account": view.account,
            "peer": view.peer,
            "port": view.port,
            "pid": self._arrival.peer.pid,
            "program": view.program or None,
            "target": view.target,
            "db_user": view.db_user,
            "iam_identity": self.target.role_arn or self.target.profile or "default credentials",
        }


def _is_cancelled() -> bool:
    """Whether this task, and not only what it waits for, is to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
