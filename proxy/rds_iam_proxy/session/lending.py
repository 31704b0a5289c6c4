"""A session at RDS passes from a client that has taken leave to the next of its kind, if it is proved to be clean."""

import asyncio
from typing import Generic

from ..dialect import Cleaner, Taker
from ..net.stream import Stream
from ..rds.login import Order, SessionT
from ..rds.pool import Key, Loan, Unfit
from ..rds.upstream import Upstream

WAIT_SECONDS = 0.1
"""For a session that is being cleaned, before a new login: who connects in a row comes back sooner than that takes."""

FRESH_SECONDS = 0.25
"""One that waited for longer is cleaned once more: the rights and global values of now are the next client's."""

CHECK_SECONDS = 0.5
"""For that: then a new login."""


class Lending(Generic[SessionT]):
    """The sessions of one target that pass from client to client. None does where the dialect cannot clean them."""

    def __init__(self, upstream: Upstream, cleaner: Cleaner[SessionT] | None) -> None:
        self._upstream = upstream
        self._cleaner = cleaner

    async def key(self, order: Order[SessionT]) -> Key | None:
        """Which sessions would do; None: only a new one. Raises Unreachable."""
        if order.kind is None or self._cleaner is None or not self._upstream.pool.is_open:
            return None
        way = await self._upstream.way()
        return Key(way.target.address, order.account, order.db_user, order.kind)

    async def borrow(self, key: Key) -> Loan[SessionT] | None:
        """A used session; None: it takes a new one. Raises LoginError where there is no token either for a new one."""
        if self._upstream.breaker_open:
            self._upstream.spoil()
        while (loan := await self._next(key)) is not None:
            if await self._is_as_new(loan):
                break
        if loan is None:
            return None
        try:
            await self._upstream.have_token(key.db_user)
        except BaseException:
            loan.leave()
            self._upstream.spoil(db_user=key.db_user)
            raise
        self._upstream.stats.lent += 1
        return loan

    async def first(self, key: Key | None, session: SessionT) -> Loan[SessionT] | None:
        """A session that has just logged in. None: it was asked what it is like, and is of no use now."""
        loan = Loan(session, key, self._upstream.now())
        if key is None or self._cleaner is None:
            return loan
        try:
            await self._cleaner.learn(session, key.kind)
        except (Unfit, OSError) as exc:
            loan.close()
            self._count(exc)
            return None
        except BaseException:
            loan.close()
            raise
        return loan

    async def give_back(self, loan: Loan[SessionT], client: Taker | None = None, *, why_not: str = "") -> bool:
        """Its client has taken leave. False: it is not lent again, and closed. `why_not`: known before."""
        pool = self._upstream.pool
        if loan.key is None or self._cleaner is None:
            return False
        has_room = pool.reserve(loan)
        try:
            await self._cleaner.clean(loan.session, loan.key.kind, client)
            if why_not or not has_room:
                raise Unfit(why_not or "no room")
        except (Unfit, OSError) as exc:
            self._count(exc)
            loan.leave()
            if has_room:
                pool.give_up(loan)
            return False
        except BaseException:
            loan.close()
            if has_room:
                pool.give_up(loan)
            raise
        for surplus in pool.park(loan):
            surplus.leave()
        return True

    async def _next(self, key: Key) -> Loan[SessionT] | None:
        pool = self._upstream.pool
        loan = pool.take(key)
        if loan is None and (ready := pool.expect(key)) is not None:
            await asyncio.wait({ready}, timeout=WAIT_SECONDS)
            ready.cancel()
            loan = pool.take(key)
        return loan

    async def _is_as_new(self, loan: Loan[SessionT]) -> bool:
        """Closes it if it is not."""
        if loan.session.stream.has_unread:  # RDS has closed it
            loan.close()
            self._count(Unfit("closed"))
            return False
        if self._cleaner is None or loan.key is None:
            return False
        if self._upstream.now() - loan.parked_at <= FRESH_SECONDS:
            return True
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._cleaner.clean(loan.session, loan.key.kind)
        except TimeoutError:
            loan.leave()
            self._count(Unfit("slow"))
            self._upstream.spoil()  # RDS may be gone: the others are not waited for, one after the other
            return False
        except (Unfit, OSError) as exc:
            loan.leave()
            self._count(exc)
            return False
        except BaseException:
            loan.close()
            raise
        return True

    def _count(self, exc: Exception) -> None:
        why = str(exc) if isinstance(exc, Unfit) else "closed"
        self._upstream.stats.unfit[why] += 1


class Leaving:
    """A client that has taken leave: `dialect.Taker`. What it asked before is still answered."""

    def __init__(self, stream: Stream, owed: bytes) -> None:
        """`owed`: what is the first it gets."""
        self._stream = stream
        self._owed = owed

    @property
    def has_left(self) -> bool:
        return self._stream.has_unread

    async def take(self, data: bytes) -> bool:
        data, self._owed = self._owed + data, b""
        try:
            await self._stream.write(data)
        except OSError:
            return False
        return True


class NothingOwed:
    """A client that logs in once more: `dialect.Taker`. An answer to a command from before would come too late."""

    has_left = True

    def __init__(self) -> None:
        self.was_answered = False

    async def take(self, data: bytes) -> bool:
        self.was_answered = True
        return False
