"""Tokens signed for one identity: one at a time, each once for all who wait for it, and started over where it hangs.

Keeps no token.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..errors.tree import Draining, LoginError
from ..logs import event
from ..net.address import Address
from ..threads import KeptThread, future_in_thread
from .clock import Clock
from .credentials import Identity, Signed, Stamp, credentials_fault
from .token import Token

HUNG_SECONDS = 30.0
"""Of signing, after which the next login tries anew in another thread."""

MAX_HUNG = 3
"""Threads, each with a credential_process perhaps, that are left to themselves."""

LOOK_SECONDS = 0.005
"""From one look at the files that hold the credentials to the next: logins of one moment share it, and who logs in
after keys were rotated gets the new ones."""

LOOK_WAIT_SECONDS = 0.1
"""For such a look. Where the home folder hangs it never ends, and logins go on with what was seen before."""

log = logging.getLogger(__name__)

Key = tuple[Address, str, str]
"""Signed endpoint, region, DB user."""

Keep = Callable[[Key, Stamp, Signed], Token]

_Stamped = tuple[Stamp, Signed]
"""What was signed, and the files' stamp from before."""


class BlockingSigner(Protocol):
    """What is needed of `credentials.Signer`."""

    def stamp(self) -> Stamp: ...
    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed: ...
    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Flight:
    """One token being signed, or waiting to be, and the logins that wait for it."""

    key: Key
    outcome: "asyncio.Future[Token | LoginError]"
    waiters: int = 0


class _Files:
    """What was last seen of the files that hold the credentials. Their folder may hang: never asked in the loop."""

    def __init__(self, boot: Clock) -> None:
        self.stamp: Stamp = ()
        self._boot = boot
        self._seen_at = -math.inf
        self._look: asyncio.Future[Stamp] | None = None
        self._thread = KeptThread("credential-files")

    def saw(self, stamp: Stamp, at: float) -> None:
        if at >= self._seen_at:
            self.stamp, self._seen_at = stamp, at

    async def look(self, signer: BlockingSigner) -> None:
        """Unless somebody has just looked, or is still looking."""
        began = self._boot()
        if self._look is None and began - self._seen_at >= LOOK_SECONDS:
            self._look = self._thread.future(signer.stamp)
            self._look.add_done_callback(lambda look: self._looked(look, began))
            await asyncio.wait({self._look}, timeout=LOOK_WAIT_SECONDS)

    def close(self) -> None:
        self._thread.close()

    def _looked(self, look: asyncio.Future[Stamp], began: float) -> None:
        self._look = None
        if look.exception() is None:
            self.saw(look.result(), began)


class SigningThread:
    """boto3 runs in a thread. One that hangs delays no other identity, and keeps no stopping process alive."""

    def __init__(self, identity: Identity, make_signer: Callable[[], BlockingSigner], boot: Clock, keep: Keep) -> None:
        """`keep` makes the token of what was signed; called in the event loop."""
        self._identity = identity
        self._make_signer = make_signer
        self._boot = boot
        self._keep = keep
        self._files = _Files(boot)
        self._signer = make_signer()
        self._signers = [self._signer]
        """Those of hung threads too."""
        self._look_again: set[str] = set()
        """Regions."""
        self._flights: dict[Key, Flight] = {}
        self._running: Flight | None = None
        self._running_since = 0.0
        self._closed = False
        self.hung = 0
        """Threads that were left to themselves."""

    @property
    def flights(self) -> tuple[Flight, ...]:
        return tuple(self._flights.values())

    @property
    def stamp(self) -> Stamp:
        """Changes with the files that hold the credentials, as they were seen last."""
        return self._files.stamp

    async def look_at_files(self) -> None:
        """Unless that was done a moment ago; never for long."""
        await self._files.look(self._signer)

    def look_again(self, region: str) -> None:
        """The next token of this region is not to be signed with what was found before."""
        self._look_again.add(region)

    def join(self, key: Key) -> Flight:
        """Wait for its outcome, then `leave` it. Raises Draining after `close`."""
        if self._closed:
            raise Draining("stopping")
        self._leave_hung_thread()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight(key, asyncio.get_running_loop().create_future())
            self._start_next()
        flight.waiters += 1
        return flight

    def leave(self, flight: Flight) -> None:
        flight.waiters -= 1
        wanted = flight.waiters > 0 or flight is self._running or flight.outcome.done()
        if not wanted and self._flights.get(flight.key) is flight:
            del self._flights[flight.key]  # nobody waits for it any more: it need not be signed

    def close(self) -> None:
        """Who waits gets Draining, and no credential_process outlives this one."""
        self._closed = True
        for flight in self._flights.values():
            if not flight.outcome.done():
                flight.outcome.set_result(Draining("stopping"))
        self._flights.clear()
        self._files.close()
        for signer in self._signers:
            signer.close()

    def _leave_hung_thread(self) -> None:
        flight = self._running
        if flight is None or self.hung == MAX_HUNG or self._boot() - self._running_since < HUNG_SECONDS:
            return
        event(log, logging.WARNING, "credentials hang; trying anew", profile=self._identity.profile)
        self.hung += 1
        del self._flights[flight.key]
        self._signer = self._make_signer()
        self._signers.append(self._signer)
        self._running = None
        self._start_next()

    def _start_next(self) -> None:
        if self._running is not None or not self._flights:
            return
        flight = self._running = next(iter(self._flights.values()))
        began = self._running_since = self._boot()
        signer = self._signer
        look_again = flight.key[1] in self._look_again
        self._look_again.discard(flight.key[1])
        signed = future_in_thread(lambda: self._sign(signer, flight.key, look_again), "credentials")
        signed.add_done_callback(lambda done: self._finish(flight, signer, began, done.result()))

    def _sign(self, signer: BlockingSigner, key: Key, look_again: bool) -> _Stamped | LoginError:
        address, region, db_user = key
        try:
            stamp = signer.stamp()  # before the files are read: a change meanwhile shows as one
            return stamp, signer.sign(address, region, db_user, look_again=look_again)
        except LoginError as exc:
            return exc
        except Exception as exc:  # without an outcome every later login would hang
            return credentials_fault(self._identity, "signing-failed", exception=type(exc).__name__)

    def _finish(self, flight: Flight, signer: BlockingSigner, began: float, outcome: _Stamped | LoginError) -> None:
        if flight is not self._running:  # of a thread that was left: nobody looks for it any more
            self.hung -= 1
            self._signers = [kept for kept in self._signers if kept is not signer or kept is self._signer]
            return
        self._running = None
        if self._closed:
            return
        del self._flights[flight.key]
        if isinstance(outcome, LoginError):
            flight.outcome.set_result(outcome)
        else:
            stamp, signed = outcome
            self._files.saw(stamp, began)
            flight.outcome.set_result(self._keep(flight.key, stamp, signed))
        self._start_next()
