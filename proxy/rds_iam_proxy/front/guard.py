"""Slows down the guessing of passwords. Hears of wrong answers only: nothing that it knows can keep a right one out."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

QUICK_SECONDS = 0.1
"""What a wrong answer waits for its reply at first."""

QUICK_ANSWERS = 10
SLOWEST_SECONDS = 4.0
"""Less than the time that clients have for their login: they are still told what is wrong."""

REMEMBERED_SECONDS = 60.0
MAX_PAIRS = 10_000


@dataclass(slots=True)
class _Pair:
    wrong: int = 0
    last: float = 0.0


class LoginGuard:
    """Counts the wrong answers of each pair of user name and peer; a name that nobody has is a name like any other.

    The first 10 are answered after 0.1 s, each further one after twice the time, up to 4 s; a minute without a wrong
    one ends it. A right answer does not: a guesser may have one, too. A peer is an IP address, or a user of this
    machine at a Unix socket.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        # By hash, which is of one size whatever a client sends, and which nobody outside can aim at.
        self._pairs: OrderedDict[int, _Pair] = OrderedDict()

    def wrong(self, user: bytes, peer: str) -> float:
        """Count a wrong answer; returns for how many seconds its reply has to wait."""
        key, now = hash((user, peer)), self._now()
        pair = self._pairs.setdefault(key, _Pair())
        self._pairs.move_to_end(key)
        if now - pair.last > REMEMBERED_SECONDS:
            pair.wrong = 0
        pair.wrong, pair.last = pair.wrong + 1, now
        if len(self._pairs) > MAX_PAIRS:
            self._pairs.popitem(last=False)
        doublings = min(max(0, pair.wrong - QUICK_ANSWERS), 16)
        return min(SLOWEST_SECONDS, math.ldexp(QUICK_SECONDS, doublings))
