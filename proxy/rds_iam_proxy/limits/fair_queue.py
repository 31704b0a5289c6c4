"""Who gets the next permit: accounts take turns, and within an account it is first come, first served."""

import enum
from collections import OrderedDict
from dataclasses import dataclass

from .budget import Budget


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A login that asks for a permit. `deadline` is on the limiter's clock.

    `again`: it had a permit, RDS refused it for throttling, and it has waited before: it goes ahead of its account's
    others.
    """

    account: str
    deadline: float
    again: bool = False


class Entry(enum.Enum):
    """What becomes of a login that asks for a permit."""

    GRANTED = enum.auto()
    WAITS = enum.auto()
    FULL = enum.auto()  # too many wait already
    TOO_LATE = enum.auto()  # its deadline has passed, or would before the turns ahead are served


class PermitQueue:
    """Deficit round robin where every permit costs the same: each account that waits gets one permit per round.

    Decides only; the caller passes the time and does the waiting.
    """

    def __init__(self, permits: Budget, max_waiting: int) -> None:
        self._permits = permits
        self._max_waiting = max_waiting
        self._lines: OrderedDict[str, OrderedDict[Waiter, None]] = OrderedDict()  # accounts in order of their turns
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def per_account(self) -> dict[str, int]:
        """How many of each account wait; only of those that do."""
        return {account: len(line) for account, line in self._lines.items()}

    def enter(self, waiter: Waiter, now: float) -> Entry:
        """Take a permit or a place in the queue."""
        ahead = self._ahead_of(waiter)
        if now + self._permits.seconds_until(ahead + 1, now) > waiter.deadline:
            return Entry.TOO_LATE
        if not self._waiting and self._permits.take(now):
            return Entry.GRANTED
        if self._waiting >= self._max_waiting:
            return Entry.FULL
        line = self._lines.setdefault(waiter.account, OrderedDict())
        line[waiter] = None
        if waiter.again:
            line.move_to_end(waiter, last=False)
        self._waiting += 1
        return Entry.WAITS

    def make_room(self, account: str) -> Waiter | None:
        """For an account with a short line: send away the newest of the longest line, if that leaves it no shorter.

        So when the queue is full, no account keeps others out of it.
        """
        if not self._lines:
            return None
        longest = max(self._lines.values(), key=len)
        if len(longest) - 1 < len(self._lines.get(account, ())) + 1:
            return None
        waiter = next(reversed(longest))
        self.leave(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Give the place back."""
        line = self._lines.get(waiter.account)
        if line is None or waiter not in line:
            return
        del line[waiter]
        self._waiting -= 1
        if not line:
            del self._lines[waiter.account]

    def grant(self, now: float) -> list[Waiter]:
        """Those who get their permit now, in order; they wait no longer. No permit is spent on the late."""
        granted = []
        while (waiter := self._next(now)) is not None and self._permits.take(now):
            self._lines.move_to_end(waiter.account)
            self.leave(waiter)
            granted.append(waiter)
        return granted

    def seconds_to_next(self, now: float) -> float | None:
        """Seconds until the next permit can be granted; None if nobody waits."""
        return self._permits.seconds_until(1, now) if self._waiting else None

    def _next(self, now: float) -> Waiter | None:
        while self._lines:
            waiter = next(iter(next(iter(self._lines.values()))))
            if now <= waiter.deadline:
                return waiter
            self.leave(waiter)  # its own timer tells it
        return None

    def _ahead_of(self, waiter: Waiter) -> int:
        """How many get a permit before a newcomer, if nobody else comes."""
        own = 0 if waiter.again else len(self._lines.get(waiter.account, ()))
        ahead, rounds = own, own + 1
        for account, line in self._lines.items():
            if account == waiter.account:
                rounds = own  # the accounts from here on take their turns after this one
            else:
                ahead += min(len(line), rounds)
        return ahead
