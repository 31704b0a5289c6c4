"""How many clients log in at once, shared fairly between peers. Knows nothing of what a login is."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable

MAX_LOGINS = 256
"""Clients that are not authenticated yet, all listeners together."""

MAX_WAITING = 1024
"""Clients that are accepted and wait for their turn to log in; the system keeps the next ones, its backlog."""

MAX_REFUSED = 256
"""Clients that were refused and are not gone yet: a wrong answer waits for its reply."""

TURN_SECONDS = 9.0
"""How long a client waits for its turn at most, who gives up after 10 s itself."""


class LoginSlots:
    """The slots of one process. `entrance`: to be acquired before a client is accepted.

    A peer gets another slot while it has fewer than are free: alone it may have half of them, and who comes second
    finds some. Peers that wait take turns.
    """

    def __init__(
        self, *, most: int = MAX_LOGINS, most_waiting: int = MAX_WAITING, most_refused: int = MAX_REFUSED
    ) -> None:
        self.entrance = asyncio.Semaphore(most + most_waiting)
        self._free = most
        self._most_refused = most_refused
        self._held: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # peers in order of their turns
        self._refused: OrderedDict[LoginSlot, asyncio.Timeout] = OrderedDict()  # the longest refused first

    def enter(self, peer: str) -> "LoginSlot":
        """For a client that was accepted; it gives `entrance` back."""
        return LoginSlot(self, peer)

    def take_now(self, peer: str) -> bool:
        if not self._may_take(peer):
            return False
        self._held[peer] += 1
        self._free -= 1
        return True

    def _may_take(self, peer: str) -> bool:
        return self._held[peer] < self._free

    def queue(self, peer: str, turn: asyncio.Future[None]) -> None:
        self._lines.setdefault(peer, deque()).append(turn)

    def leave_queue(self, peer: str, turn: asyncio.Future[None]) -> None:
        line = self._lines.get(peer, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._lines[peer]

    def give_back(self, peer: str) -> None:
        self._held[peer] -= 1
        if not self._held[peer]:
            del self._held[peer]
        self._free += 1
        for waiting in tuple(self._lines):
            turn = self._next_in(waiting) if self._may_take(waiting) else None
            if turn is not None and self.take_now(waiting):
                turn.set_result(None)

    def _next_in(self, peer: str) -> asyncio.Future[None] | None:
        """The first of the peer's line who still waits; the others of it have the last turn of all now."""
        line = self._lines.pop(peer)
        turn = None
        while line and (turn is None or turn.done()):
            turn = line.popleft()
        if line:
            self._lines[peer] = line
        return None if turn is None or turn.done() else turn

    def make_room(self, slot: "LoginSlot", scope: asyncio.Timeout) -> None:
        """One more was refused: the one that has been for longest goes now, if there are too many."""
        self._refused[slot] = scope
        if len(self._refused) > self._most_refused:
            _, oldest = self._refused.popitem(last=False)
            oldest.reschedule(0.0)

    def gone(self, slot: "LoginSlot") -> None:
        self._refused.pop(slot, None)


class LoginSlot:
    """One client's: `take`, then `stand_aside` if it is refused; `release` in any case, any number of times."""

    def __init__(self, slots: LoginSlots, peer: str) -> None:
        self._slots = slots
        self._peer = peer
        self._turn: asyncio.Future[None] | None = None  # while it is waited for
        self._is_taken = False
        self._has_left = False

    async def take(self) -> None:
        """Wait until it is this client's turn to log in. Raises TimeoutError, also after `stop_waiting`."""
        if self._slots.take_now(self._peer):
            self._is_taken = True
            return
        turn = self._turn = asyncio.get_running_loop().create_future()
        self._slots.queue(self._peer, turn)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turn
        finally:
            self._turn = None
            self._slots.leave_queue(self._peer, turn)
            self._is_taken = turn.done() and not turn.cancelled() and turn.exception() is None

    def stop_waiting(self) -> None:
        """No turn is to come any more."""
        if self._turn is not None and not self._turn.done():
            self._slots.leave_queue(self._peer, self._turn)
            self._turn.set_exception(TimeoutError())

    async def stand_aside(self, last_words: Awaitable[None]) -> bool:
        """Make room for the next login while this client hears its refusal. False: there was no more time for that."""
        self.release()
        try:
            async with asyncio.timeout(None) as scope:
                self._slots.make_room(self, scope)
                await last_words
        except TimeoutError:
            if not scope.expired():
                raise
            return False
        finally:
            self._slots.gone(self)
        return True

    def release(self) -> None:
        """The login is over."""
        if self._has_left:
            return
        self._has_left = True
        self._slots.entrance.release()
        if self._is_taken:
            self._slots.give_back(self._peer)
