"""IAM login tokens: cached, signed once for all who wait, never stale. boto3 itself is in `credentials`."""

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .credentials import TOKEN_LIFE, Clock, Identity, Signed, Signer, Stamp, boottime, credentials_fault
from .endpoint import Address
from .errors import Draining, LoginError

__all__ = ["Identity", "Token", "TokenSource"]

TOKEN_TIMEOUT = 5.0  # seconds a login waits for its token
TOKEN_MARGIN = 60.0  # seconds before its end when a token is no longer used

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


@dataclass(slots=True, eq=False)
class _Flight:
    """One token being signed, or waiting to be, and the logins that wait for it."""

    key: _Key
    outcome: "asyncio.Future[Token | LoginError]"
    waiters: int = 0


class TokenSource:
    """Tokens signed with one identity's credentials, for one event loop.

    boto3 runs in one thread of this identity, one token at a time: a credential_process that hangs delays no
    other identity, and later logins of this one fail after their own 5 s. The thread is a daemon: unlike a
    ThreadPoolExecutor's it does not keep a stopping process alive.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        wall: Clock = time.time,
        boot: Clock = boottime,
        signer: BlockingSigner | None = None,
        timeout: float = TOKEN_TIMEOUT,
    ) -> None:
        self._identity = identity
        self._wall = wall
        self._boot = boot
        self._signer = signer or Signer(identity, wall=wall, boot=boot)
        self._timeout = timeout
        self._cache: dict[_Key, tuple[Token, Stamp]] = {}
        self._access_keys: dict[str, str] = {}  # by region: an assumed role has others in each
        self._look_again: set[str] = set()  # regions
        self._flights: dict[_Key, _Flight] = {}
        self._running: _Flight | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def get(self, address: Address, region: str, db_user: str) -> Token:
        """A token that is good for a login now: at once if there is one, else signed in the thread.

        Raises CredentialsError, Draining after `close`.
        """
        if not region:
            raise ValueError("region is empty: boto3 would take its own default in silence")
        key = (address, region, db_user)
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
            raise credentials_fault(
                self._identity,
                "the AWS credentials did not arrive within {seconds} s ({who}); run `{check}` to see what they"
                " wait for",
                seconds=f"{self._timeout:g}",
            )
        outcome = flight.outcome.result()
        if isinstance(outcome, Token):
            return outcome
        raise type(outcome)(outcome.text, detail=outcome.detail)  # each waiter its own: tracebacks grow

    def age(self, token: Token) -> float:
        """Seconds since the token was signed."""
        return token.age(self._wall(), self._boot())

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
        self._cache.clear()
        for flight in self._flights.values():
            if not flight.outcome.done():
                flight.outcome.set_result(_draining())
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
            raise _draining()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(key, asyncio.get_running_loop().create_future())
            self._start_next()
        flight.waiters += 1
        return flight

    def _leave(self, flight: _Flight) -> None:
        flight.waiters -= 1
        if flight.waiters == 0 and flight is not self._running and not flight.outcome.done():
            self._flights.pop(flight.key, None)  # nobody waits for it any more: it need not be signed

    def _start_next(self) -> None:
        if self._running is not None or not self._flights:
            return
        flight = self._running = next(iter(self._flights.values()))
        stamp = self._signer.stamp()  # before the files are read: a change meanwhile shows as one
        look_again = flight.key[1] in self._look_again
        self._look_again.discard(flight.key[1])
        self._jobs.put(lambda: self._sign_in_thread(flight, stamp, look_again))
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name="rds-iam-proxy-credentials", daemon=True
            )
            self._thread.start()

    def _sign_in_thread(self, flight: _Flight, stamp: Stamp, look_again: bool) -> None:
        outcome: Signed | LoginError
        address, region, db_user = flight.key
        try:
            outcome = self._signer.sign(address, region, db_user, look_again=look_again)
        except LoginError as exc:
            outcome = exc
        except Exception as exc:  # a thread that dies would hang every later login
            outcome = credentials_fault(self._identity, "internal error while signing", detail=type(exc).__name__)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            flight.outcome.get_loop().call_soon_threadsafe(self._finish, flight, stamp, outcome)

    def _finish(self, flight: _Flight, stamp: Stamp, outcome: Signed | LoginError) -> None:
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
        return token


def _draining() -> Draining:
    return Draining("the proxy is shutting down; connect again later")


def _work(jobs: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
    for job in iter(jobs.get, None):
        job()
