"""Used sessions at RDS that await their next client: who gets which, and how long they may wait.

It decides only, and names what is to be closed: it opens and closes nothing, and knows no protocol. Times in seconds of
one clock.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic

from ..net.address import Address
from .login import SessionT

PARKED_SHARE = 0.2
"""Of a target's max_sessions: so many may wait, all together."""


class Unfit(Exception):
    """A used session that is not lent again; the text says why in one word or two."""


@dataclass(frozen=True, slots=True)
class Key:
    """Whom a session may serve. All of it must be the same."""

    address: Address
    """That its token was signed for."""
    account: str
    db_user: str
    kind: Hashable
    """The dialect's word for all that a login fixes once and for all."""


@dataclass(slots=True, eq=False)
class Loan(Generic[SessionT]):
    """A session at RDS while one client has it. Whoever has it closes it, or gives it back."""

    session: SessionT
    key: Key | None
    """None: nobody else gets it."""
    born: float
    """When it logged in at RDS."""
    clients: int = 1
    """How many have had it, this one included."""
    is_returned: bool = False
    """It is somebody else's now."""
    parked_at: float = 0.0

    def close(self) -> None:
        if not self.is_returned:
            self.session.close()

    def leave(self) -> None:
        """Take leave of RDS as a client does."""
        if not self.is_returned:
            self.session.leave()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many sessions may wait, and for how long."""

    idle: float
    """Seconds that one waits for its next client."""
    lifetime: float
    """Seconds from its login at RDS, after which it serves nobody new."""
    per_key: int
    total: int


class Pool(Generic[SessionT]):
    """The sessions of one target. A session is in it from `park` to the `take` that hands it out, or to its end."""

    def __init__(self, bounds: Bounds | None, now: Callable[[], float]) -> None:
        """`bounds`: None: no session is ever lent."""
        self._bounds = bounds
        self._now = now
        self._parked: dict[Loan[SessionT], None] = {}  # the one that has waited longest first
        self._by_key: defaultdict[Key, list[Loan[SessionT]]] = defaultdict(list)
        self._expected: Counter[Key] = Counter()  # being cleaned
        self._waiting: defaultdict[Key, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._spoilt: dict[tuple[str | None, str | None], float] = {}

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def is_open(self) -> bool:
        """Sessions are lent."""
        return self._bounds is not None

    # --- hand out ---

    def take(self, key: Key) -> Loan[SessionT] | None:
        """The one that came last, for its next client; whoever takes it closes it. None: there is none."""
        while loans := self._by_key.get(key):
            loan = loans[-1]
            self._remove(loan)
            if not self._is_over(loan):
                return loan
            self._parked[loan] = None  # for `expired`
        return None

    def expect(self, key: Key) -> asyncio.Future[None] | None:
        """Done when the next session of this kind has been cleaned, or has turned out unfit. None: there is none that
        nobody waits for already.
        """
        if len(self._waiting.get(key, ())) >= self._expected.get(key, 0):
            return None
        ready = asyncio.get_running_loop().create_future()
        self._waiting[key].append(ready)
        return ready

    # --- take back ---

    def reserve(self, loan: Loan[SessionT]) -> bool:
        """Whether this one would be lent again; then `park` or `give_up` must follow."""
        key, bounds = loan.key, self._bounds
        if key is None or bounds is None or self._is_spoilt(loan, key):
            return False
        if len(self._by_key.get(key, ())) + self._expected.get(key, 0) >= bounds.per_key:
            return False
        if self._now() - loan.born > bounds.lifetime:
            return False
        self._expected[key] += 1
        return True

    def park(self, loan: Loan[SessionT]) -> list[Loan[SessionT]]:
        """It is clean: the next client may have it. Returns what is to be closed; it may be this one."""
        key, bounds = loan.key, self._bounds
        if key is None or bounds is None or self._is_spoilt(loan, key):
            self.give_up(loan)
            return [loan]
        parked = Loan(loan.session, key, loan.born, loan.clients + 1, parked_at=self._now())
        loan.is_returned = True
        self._parked[parked] = None
        self._by_key[key].append(parked)
        self.give_up(loan)
        out = []
        while len(self._parked) > bounds.total and (oldest := self.evict()) is not None:
            out.append(oldest)
        return out

    def give_up(self, loan: Loan[SessionT]) -> None:
        """It was reserved, and is unfit."""
        if loan.key is None:
            return
        self._expected[loan.key] -= 1
        if not self._expected[loan.key]:
            del self._expected[loan.key]
        waiting = self._waiting.get(loan.key, deque())
        while waiting:
            ready = waiting.popleft()
            if not ready.done():  # else who waited has gone
                ready.set_result(None)
                break
        if not waiting:
            self._waiting.pop(loan.key, None)

    # --- make room ---

    def expired(self) -> list[Loan[SessionT]]:
        """Those that have waited, or lived, too long."""
        over = [loan for loan in self._parked if self._is_over(loan)]
        for loan in over:
            self._remove(loan)
        return over

    def evict(self, account: str | None = None) -> Loan[SessionT] | None:
        """The one that has waited longest, to make room for a login, of this account if that is given."""
        for loan in self._parked:
            if account is None or (loan.key is not None and loan.key.account == account):
                self._remove(loan)
                return loan
        return None

    def spoil(self, *, account: str | None = None, db_user: str | None = None) -> list[Loan[SessionT]]:
        """No session of these that has logged in until now is lent any more; None: whichever."""
        self._spoilt[account, db_user] = self._now()
        out = [loan for loan in self._parked if loan.key is not None and self._is_spoilt(loan, loan.key)]
        for loan in out:
            self._remove(loan)
        return out

    def close(self) -> list[Loan[SessionT]]:
        """Nothing is lent from now on."""
        self._bounds = None
        return self.spoil()

    def _is_over(self, loan: Loan[SessionT]) -> bool:
        now, bounds = self._now(), self._bounds
        return bounds is None or now - loan.parked_at > bounds.idle or now - loan.born > bounds.lifetime

    def _is_spoilt(self, loan: Loan[SessionT], key: Key) -> bool:
        return any(
            loan.born <= at and account in (None, key.account) and db_user in (None, key.db_user)
            for (account, db_user), at in self._spoilt.items()
        )

    def _remove(self, loan: Loan[SessionT]) -> None:
        self._parked.pop(loan, None)
        if loan.key is None:
            return
        loans = self._by_key[loan.key]
        if loan in loans:
            loans.remove(loan)
        if not loans:
            del self._by_key[loan.key]
