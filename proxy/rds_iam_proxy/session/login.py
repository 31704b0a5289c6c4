"""A client's login here, whatever its protocol: how long it may take, who may guess, what is told and logged."""

import asyncio
import logging
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from ..config import Account
from ..dialect import Aside, Front, Refusal
from ..errors.tree import Denied, Draining, Limited, LoginError
from ..front.accounts import is_vouched_for
from ..front.arrival import Arrival
from ..front.shared import Shared
from ..logs import event, printable
from ..stats.refused import RefusedLogin
from ..stats.target import TargetStats

CLIENT_LOGIN_SECONDS = 10.0
"""For the client, from its connection until its password is checked."""

ANSWER_SECONDS = 1.0
"""For the client's next packet once the proxy stops: a refusal that overtook it would be out of order."""

REFUSAL_SECONDS = 2.0
"""For the client to take its refusal; in the middle of a TLS handshake it may never."""

log = logging.getLogger(__name__)


class Stage(Enum):
    ASKED = auto()
    """Something is still to come from the client."""
    ANSWERED = auto()
    """The client has sent all that there is to check."""
    IN = auto()


class ClientLogin:
    """The login of one connection, and each one after it that the protocol allows: `again`."""

    def __init__(self, front: Front[Any], arrival: Arrival, shared: Shared, stats: TargetStats) -> None:
        self.stage = Stage.ASKED
        self.is_stopping = False
        self._front = front
        self._arrival = arrival
        self._shared = shared
        self._stats = stats
        self._time_limit: asyncio.Timeout | None = None
        self._delay = 0.0  # seconds that a wrong answer waits for its reply
        self._is_told = False  # why it may not come in

    async def greet(self) -> None:
        """When it is this client's turn. Raises LoginError, OSError."""
        try:
            await self._arrival.slot.take()
        except TimeoutError:
            self.check()
            raise Limited("crowded") from None
        await self._front.greet(self.check)

    async def authenticate(self) -> Account | Aside:
        """Who the client is, once it has proved its password. Raises LoginError, OSError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS if self.is_stopping else CLIENT_LOGIN_SECONDS) as time_limit:
                self._time_limit = time_limit
                aside = await self._front.read_answer(self.check)
                if aside is not None:
                    return aside
                self.stage = Stage.ANSWERED
                return self._check_password()
        except TimeoutError:
            self.check()
            raise Denied("login-timeout") from None
        finally:
            self._time_limit = None

    async def again(self, payload: bytes) -> Account | Aside:
        """As `authenticate`, for the user of whom `payload` speaks."""
        self.stage, self._delay = Stage.ASKED, 0.0
        await self._front.again(payload)
        return await self.authenticate()

    def check(self) -> None:
        """Raises Draining once the proxy stops."""
        if self.is_stopping:
            raise Draining("stopping")

    def stop(self) -> None:
        """Refuse this login as soon as the client's next packet is there."""
        if self._time_limit is not None and not self.is_stopping:
            self._time_limit.reschedule(asyncio.get_running_loop().time() + ANSWER_SECONDS)
        self.is_stopping = True
        self._arrival.slot.stop_waiting()

    async def refuse(self, error: LoginError) -> None:
        """Log the refusal and tell the client; the connection is over then. Others may log in meanwhile."""
        refusal = self._front.refusal(error)
        self._log(error, refusal)
        if not await self._arrival.slot.stand_aside(self._tell(refusal)):
            self._tell_at_once(refusal)

    async def refuse_and_go_on(self, error: LoginError) -> None:
        """The same to a client that stays who it was. Raises OSError."""
        refusal = self._front.refusal(error)
        self._log(error, refusal)
        await asyncio.sleep(self._delay)
        async with asyncio.timeout(REFUSAL_SECONDS):
            await self._arrival.stream.write(refusal.packet)
        self.stage = Stage.IN

    def refuse_at_once(self, error: LoginError) -> None:
        """The same without waiting for anything; a client that has not answered yet, or is in, is told nothing."""
        if self.stage is Stage.ANSWERED and not self._is_told:
            refusal = self._front.refusal(error)
            self._log(error, refusal)
            self._tell_at_once(refusal)

    async def _tell(self, refusal: Refusal) -> None:
        await asyncio.sleep(self._delay)
        self._is_told = True
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                await self._arrival.stream.write(refusal.packet)
                await self._arrival.stream.finish()
        except (OSError, TimeoutError):
            return

    def _tell_at_once(self, refusal: Refusal) -> None:
        if not self._is_told:
            self._is_told = True
            with suppress(OSError):
                self._arrival.stream.send(refusal.packet)

    def _check_password(self) -> Account:
        front, peer = self._front, self._arrival.peer
        account = self._shared.accounts.find(front.user, self._arrival.target)
        if account is not None and is_vouched_for(account, peer):
            front.vouch()
            return account
        if front.verify() and account is not None:
            return account
        self._delay = self._shared.guard.wrong(front.user, str(peer))
        raise front.denied(is_known=account is not None)

    def _log(self, error: LoginError, refusal: Refusal) -> None:
        user, peer = printable(self._front.user), self._arrival.peer
        is_new = self._stats.refuse(RefusedLogin(user, str(peer), refusal.code, error.shown, error.again()))
        event(
            log,
            logging.WARNING if is_new else logging.DEBUG,
            "login refused",
            id=self._arrival.id,
            peer=str(peer),
            pid=peer.pid,
            user=user,
            target=self._arrival.target,
            reason=error.reason,
            code=refusal.code,
            text=error.shown,
            detail=error.detail or None,
            delay=self._delay or None,
        )
