"""IAM login tokens: cached, signed once for all who wait, never stale, renewed ahead of need while they are used.

boto3 itself is in `credentials`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..errors.tree import LoginError
from ..logs import event
from ..net.address import Address
from .clock import Clock, boottime
from .credentials import TOKEN_LIFE_SECONDS, Identity, Signed, Signer, Stamp, credentials_fault
from .signing_thread import BlockingSigner, Key, SigningThread
from .token import TOKEN_MARGIN_SECONDS, Token

__all__ = ["Identity", "Token", "TokenSource"]

log = logging.getLogger(__name__)

TOKEN_WAIT_SECONDS = 5.0
"""Seconds that a login waits for its token."""

RENEW_AHEAD_SECONDS = 120.0
"""Seconds before a token can no longer be used when one that is in use gets its successor."""

RENEW_RETRY_SECONDS = 30.0
"""Seconds from a renewal that failed to the next, and the least from signing to renewal."""

IDLE_SECONDS = 900.0
"""Seconds without a login after which a token is no longer in use."""


class Timer(Protocol):
    """asyncio's TimerHandle is one."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]


class TokenSource:
    """Tokens signed with one identity's credentials, for one event loop.

    A credential_process that hangs delays no other identity, and logins of this one fail after their own 5 s.

    A token that was asked for within IDLE_SECONDS is replaced RENEW_AHEAD_SECONDS before it can no longer be used, so
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
        timeout: float = TOKEN_WAIT_SECONDS,
        call_later: CallLater | None = None,
    ) -> None:
        """`signer`: None for one of each thread's own. `call_later`: None for that of the running event loop."""
        self._identity = identity
        self._wall = wall
        self._boot = boot
        own: Callable[[], BlockingSigner] = partial(Signer, identity, wall=wall, boot=boot)
        self._thread = SigningThread(identity, own if signer is None else lambda: signer, boot, self._keep)
        self._timeout = timeout
        self._call_later = call_later
        self._cache: dict[Key, tuple[Token, Stamp]] = {}
        self._access_keys: dict[str, str] = {}
        """By region: an assumed role has others in each."""
        self._asked: dict[Key, float] = {}
        """When last, on the boot clock."""
        self._timers: dict[Key, Timer] = {}
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
        if key in self._cache:
            await self._thread.look_at_files()
        token = self._cached(key)
        if token is not None:
            return token
        flight = self._thread.join(key)
        try:
            # Not wait_for: that would cancel the outcome for everybody who waits for it.
            await asyncio.wait({flight.outcome}, timeout=self._timeout)
        finally:
            self._thread.leave(flight)
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
            self._thread.look_again(region)

    def close(self) -> None:
        """Forget all tokens; who waits gets Draining."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._cache.clear()
        self._thread.close()

    def _cached(self, key: Key) -> Token | None:
        cached = self._cache.get(key)
        if cached is None:
            return None
        token, stamp = cached
        if token.usable(self._wall(), self._boot()) and stamp == self._thread.stamp:
            return token
        return None

    def _keep(self, key: Key, stamp: Stamp, signed: Signed) -> Token:
        region = key[1]
        if self._access_keys.get(region) != signed.access_key:
            # Rotated: tokens of the former credentials may be refused any moment.
            self._access_keys[region] = signed.access_key
            self._cache = {other: entry for other, entry in self._cache.items() if other[1] != region}
        life = TOKEN_LIFE_SECONDS if signed.expires is None else min(TOKEN_LIFE_SECONDS, signed.expires - signed.wall)
        token = Token(signed.value, signed.wall, signed.boot, life)
        self._cache[key] = (token, stamp)
        self.signed += 1
        self._renew_later(key, token, max(RENEW_RETRY_SECONDS, life - TOKEN_MARGIN_SECONDS - RENEW_AHEAD_SECONDS))
        return token

    def _renew_later(self, key: Key, token: Token, seconds: float) -> None:
        if key in self._timers:
            self._timers[key].cancel()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timers[key] = call_later(seconds, lambda: self._renew(key, token))

    def _renew(self, key: Key, token: Token) -> None:
        """Sign the successor of a token while it still serves; forget a token that nobody needs."""
        del self._timers[key]
        cached = self._cache.get(key)
        if cached is None or cached[0] is not token:
            return  # discarded, or its successor has a timer of its own
        if self._boot() - self._asked[key] >= IDLE_SECONDS:
            del self._cache[key], self._asked[key]
            return
        flight = self._thread.join(key)  # and never leave: it is to be signed even if nobody waits
        flight.outcome.add_done_callback(lambda outcome: self._renewed(key, token, outcome.result()))

    def _renewed(self, key: Key, token: Token, outcome: Token | LoginError) -> None:
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
            self._renew_later(key, token, RENEW_RETRY_SECONDS)
