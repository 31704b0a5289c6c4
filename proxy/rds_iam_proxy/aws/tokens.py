"""IAM login tokens: cached, signed once for all who wait, never stale, renewed ahead of need while they are used.

boto3 itself is in `credentials`.
"""

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..errors.tree import Draining, LoginError
from ..logs import event
from ..net.address import Address
from .credentials import TOKEN_LIFE, Clock, Identity, Signed, Signer, Stamp, boottime, credentials_fault

__all__ = ["Identity", "Token", "TokenSource"]

log = logging.getLogger(__name__)

TOKEN_TIMEOUT = 5.0  # seconds a login waits for its token
TOKEN_MARGIN = 60.0  # seconds before its end when a token is no longer used
RENEW_AHEAD = 120.0  # seconds before that when a token that is in use gets its successor
RENEW_RETRY = 30.0  # seconds from a renewal that failed to the next, and the least from signing to renewal
HUNG = 30.0  # seconds of signing after which the next login tries anew, in another thread
MAX_HUNG = 3  # threads, each with a credential_process perhaps, that are left to themselves
IDLE = 900.0  # seconds without a login after which a token is no longer in use

_Key = tuple[Address, str, str]  # signed endpoint, region, DB user


@dataclass(frozen=True, slots=True)
class Token:
    """A login token and when it was signed, on both clocks: one may be set back, the other may not know it."""

    value: bytes = field(repr=False)
    signed_wall: float
    signed_boot: float
    life: float  # seconds from signing: 900, or less where the credentials end sooner

    @property
    def expires_wall(self) -> float:
        return self.signed_wall + self.life

    def age(self, wall: float, boot: float) -> float:
        """Seconds since signing, by the clock that says more; infinite if it was signed in the future."""
        if wall < self.signed_wall:
            return math.inf
        return max(wall - self.signed_wall, boot - self.signed_boot)

    def usable(self, wall: float, boot: float) -> bool:
        """Whether RDS will still take it, with a margin for the login and for clocks that differ."""
        return self.age(wall, boot) < self.life - TOKEN_MARGIN


class BlockingSigner(Protocol):
    """What a TokenSource needs of `credentials.Signer`."""

    def stamp(self) -> Stamp: ...
    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed: ...


class Timer(Protocol):
    """asyncio's TimerHandle is one."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]


@dataclass(slots=True, eq=False)
class _Flight:
    """One token being signed, or waiting to be, and the logins that wait for it."""

    key: _Key
    outcome: "asyncio.Future[Token | LoginError]"
    waiters: int = 0


class TokenSource:
    """Tokens signed with one identity's credentials, for one event loop.

    boto3 runs in one thread of this identity, one token at a time: a credential_process that hangs delays no
    other identity, and logins of this one fail after their own 5 s; after HUNG seconds the next login starts over in a
    new thread. They are daemons: unlike those of a ThreadPoolExecutor they do not keep a stopping process alive.

    A token that was asked for within IDLE seconds is replaced RENEW_AHEAD seconds before it can no longer be used, so
    that no login waits for SSO or STS. That is a convenience only: timers stand still while a laptop sleeps, and what
    `get` hands out has been checked against both clocks.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        wall: Clock = time.time,
        boot: Clock = boottime,
        signer: BlockingSigner | None = None,
        timeout: float = TOKEN_TIMEOUT,
        call_later: CallLater | None = None,
    ) -> None:
        """`signer`: None for one of each thread's own. `call_later`: None for that of the running event loop."""
        self._identity = identity
        self._wall = wall
        self._boot = boot
        own: Callable[[], BlockingSigner] = partial(Signer, identity, wall=wall, boot=boot)
        self._make_signer = own if signer is None else lambda: signer
        self._signer: BlockingSigner = self._make_signer()
        self._timeout = timeout
        self._call_later = call_later
        self._cache: dict[_Key, tuple[Token, Stamp]] = {}
        self._access_keys: dict[str, str] = {}  # by region: an assumed role has others in each
        self._look_again: set[str] = set()  # regions
        self._asked: dict[_Key, float] = {}  # when last, on the boot clock
        self._timers: dict[_Key, Timer] = {}
        self._flights: dict[_Key, _Flight] = {}
        self._running: _Flight | None = None
        self._running_since = 0.0  # on the boot clock
        self._hung = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.signed = 0
        """Tokens so far, renewed ones among them."""

    async def get(self, address: Address, region: str, db_user: str) -> Token:
        """A token that is good for a login now: at once if there is one, else signed in the thread.

        Raises CredentialsError, Draining after `close`.
        """
        if not region:
            raise ValueError("region is empty: boto3 would take its own default in silence")
        key = (address, region, db_user)
        self._asked[key] = self._boot()
        token = self._cached(key)
        if token is not None:
            return token
        flight = self._join(key)
        try:
            # Not wait_for: that would cancel the outcome for everybody who waits for it.
            await asyncio.wait({flight.outcome}, timeout=self._timeout)
        finally:
            self._leave(flight)
        if not flight.outcome.done():
            raise credentials_fault(self._identity, "slow-credentials", seconds=self._timeout)
        outcome = flight.outcome.result()
        if isinstance(outcome, Token):
            return outcome
        raise outcome.again()  # each waiter its own: tracebacks grow

    def age(self, token: Token) -> float:
        """Seconds since the token was signed."""
        return token.age(self._wall(), self._boot())

    def ages(self, address: Address, region: str) -> dict[str, float]:
        """Seconds since the token of each DB user of this endpoint was signed."""
        kept = {user: token for (*where, user), (token, _) in self._cache.items() if where == [address, region]}
        return {user: self.age(token) for user, token in kept.items()}

    def discard(self, address: Address, region: str, db_user: str, token: Token) -> None:
        """RDS refused this token: the next `get` looks the credentials up again and signs anew."""
        key = (address, region, db_user)
        cached = self._cache.get(key)
        if cached is not None and cached[0] is token:
            del self._cache[key]
            self._look_again.add(region)

    def close(self) -> None:
        """Forget all tokens and let the thread end after what it is doing; who waits gets Draining."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._cache.clear()
        for flight in self._flights.values():
            if not flight.outcome.done():
                flight.outcome.set_result(Draining("stopping"))
        self._flights.clear()
        self._jobs.put(None)

    def _cached(self, key: _Key) -> Token | None:
        cached = self._cache.get(key)
        if cached is None:
            return None
        token, stamp = cached
        if token.usable(self._wall(), self._boot()) and stamp == self._signer.stamp():
            return token
        return None

    def _join(self, key: _Key) -> _Flight:
        if self._closed:
            raise Draining("stopping")
        self._leave_hung_thread()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(key, asyncio.get_running_loop().create_future())
            self._start_next()
        flight.waiters += 1
        return flight

    def _leave(self, flight: _Flight) -> None:
        flight.waiters -= 1
        wanted = flight.waiters > 0 or flight is self._running or flight.outcome.done()
        if not wanted and self._flights.get(flight.key) is flight:
            del self._flights[flight.key]  # nobody waits for it any more: it need not be signed

    def _leave_hung_thread(self) -> None:
        flight = self._running
        if flight is None or self._hung == MAX_HUNG or self._boot() - self._running_since < HUNG:
            return
        event(log, logging.WARNING, "credentials hang; trying anew", profile=self._identity.profile)
        self._hung += 1
        del self._flights[flight.key]
        self._jobs.put(None)
        self._jobs, self._thread = queue.SimpleQueue(), None
        self._signer = self._make_signer()
        self._running = None
        self._start_next()

    def _start_next(self) -> None:
        if self._running is not None or not self._flights:
            return
        flight = self._running = next(iter(self._flights.values()))
        self._running_since = self._boot()
        stamp = self._signer.stamp()  # before the files are read: a change meanwhile shows as one
        look_again = flight.key[1] in self._look_again
        self._look_again.discard(flight.key[1])
        signer = self._signer
        self._jobs.put(lambda: self._sign_in_thread(signer, flight, stamp, look_again))
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name="rds-iam-proxy-credentials", daemon=True
            )
            self._thread.start()

    def _sign_in_thread(self, signer: BlockingSigner, flight: _Flight, stamp: Stamp, look_again: bool) -> None:
        outcome: Signed | LoginError
        address, region, db_user = flight.key
        try:
            outcome = signer.sign(address, region, db_user, look_again=look_again)
        except LoginError as exc:
            outcome = exc
        except Exception as exc:  # a thread that dies would hang every later login
            outcome = credentials_fault(self._identity, "signing-failed", exception=type(exc).__name__)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            flight.outcome.get_loop().call_soon_threadsafe(self._finish, flight, stamp, outcome)

    def _finish(self, flight: _Flight, stamp: Stamp, outcome: Signed | LoginError) -> None:
        if flight is not self._running:  # of a thread that was left: nobody looks for it any more
            self._hung -= 1
            return
        self._running = None
        if self._closed:
            return
        del self._flights[flight.key]
        if isinstance(outcome, Signed):
            flight.outcome.set_result(self._keep(flight.key, stamp, outcome))
        else:
            flight.outcome.set_result(outcome)
        self._start_next()

    def _keep(self, key: _Key, stamp: Stamp, signed: Signed) -> Token:
        region = key[1]
        if self._access_keys.get(region) != signed.access_key:
            # Rotated: tokens of the former credentials may be refused any moment.
            self._access_keys[region] = signed.access_key
            self._cache = {other: entry for other, entry in self._cache.items() if other[1] != region}
        life = TOKEN_LIFE if signed.expires is None else min(TOKEN_LIFE, signed.expires - signed.wall)
        token = Token(signed.value, signed.wall, signed.boot, life)
        self._cache[key] = (token, stamp)
        self.signed += 1
        self._renew_later(key, token, max(RENEW_RETRY, life - TOKEN_MARGIN - RENEW_AHEAD))
        return token

    def _renew_later(self, key: _Key, token: Token, seconds: float) -> None:
        if key in self._timers:
            self._timers[key].cancel()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timers[key] = call_later(seconds, lambda: self._renew(key, token))

    def _renew(self, key: _Key, token: Token) -> None:
        """Sign the successor of a token while it still serves; forget a token that nobody needs."""
        del self._timers[key]
        cached = self._cache.get(key)
        if cached is None or cached[0] is not token:
            return  # discarded, or its successor has a timer of its own
        if self._boot() - self._asked[key] >= IDLE:
            del self._cache[key], self._asked[key]
            return
        flight = self._join(key)  # and never leave: it is to be signed even if nobody waits
        flight.outcome.add_done_callback(lambda outcome: self._renewed(key, token, outcome.result()))

    def _renewed(self, key: _Key, token: Token, outcome: Token | LoginError) -> None:
        if isinstance(outcome, Token) or self._closed:
            return
        address, _, db_user = key
        event(
            log,
            logging.WARNING,
            "token could not be renewed ahead of need",
            endpoint=str(address),
            db_user=db_user,
            reason=outcome.reason,
            text=outcome.text,
            detail=outcome.detail or None,
        )
        if token.usable(self._wall(), self._boot()):
            self._renew_later(key, token, RENEW_RETRY)


def _work(jobs: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
    for job in iter(jobs.get, None):
        job()
