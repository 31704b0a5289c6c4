"""Slows down the guessing of passwords without ever locking an account."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FREE_FAILURES = 10
GUARDED_SECONDS = 60.0
SECONDS_APART = 1.0
MAX_QUEUE_SECONDS = 8.0  # within the time that a client has for its login
MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Entry:
    failures: int = 0
    guarded_until: float = 0.0
    next_turn: float = 0.0


class LoginGuard:
    """After 10 wrong passwords in a row a pair of account and peer is checked one at a time, 1 s apart, for 60 s.

    A peer is an IP address: every client on this machine is one peer. Only accounts that exist are counted.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    async def turn(self, account: str, peer: str) -> bool:
        """Wait until this pair may be checked. False: too many wait already, so it is not checked at all."""
        entry = self._entries.get((account, peer))
        now = self._now()
        if entry is None or now >= entry.guarded_until:
            return True
        mine = max(now, entry.next_turn)
        if mine - now > MAX_QUEUE_SECONDS:
            return False
        entry.next_turn = mine + SECONDS_APART
        await self._sleep(mine - now)
        return True

    def failed(self, account: str, peer: str) -> None:
        """A wrong password."""
        entry = self._entries.setdefault((account, peer), _Entry())
        self._entries.move_to_end((account, peer))
        entry.failures += 1
        if entry.failures >= FREE_FAILURES:
            entry.guarded_until = self._now() + GUARDED_SECONDS
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)

    def succeeded(self, account: str, peer: str) -> None:
        """The right password: counting starts anew."""
        self._entries.pop((account, peer), None)
