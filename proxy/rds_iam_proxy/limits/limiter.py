"""How often logins to one signed endpoint may begin, and the waiting for it.

RDS throttles new IAM logins (AWS: stay under 200/s per instance) and then refuses them like wrong passwords.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from ..errors.tree import Limited
from ..logs import event
from ..net.address import Address
from .budget import Budget
from .fair_queue import Entry, PermitQueue, Waiter

MAX_WAITING = 1000

_MIN_SLEEP_SECONDS = 0.001
"""A timer may fire early by less than the loop's resolution."""

log = logging.getLogger(__name__)


def _nothing() -> None:
    pass


class Limiter:
    """Permits for new logins to one signed endpoint, however many targets name it. For one event loop.

    Accounts take turns, so no account waits for the storm of another.
    """

    def __init__(
        self,
        endpoint: Address,
        permits: Budget,
        *,
        max_waiting: int = MAX_WAITING,
        now: Callable[[], float] = time.monotonic,
        on_wait: Callable[[], None] = _nothing,
    ) -> None:
        """`endpoint` is named in errors and in the log. `on_wait` is called when a login begins to wait or was
        throttled: the budget may have to be asked for more."""
        self._endpoint = endpoint
        self._now = now
        self._on_wait = on_wait
        self._permits = permits
        self._queue = PermitQueue(self._permits, max_waiting)
        self._outcomes: dict[Waiter, asyncio.Future[float | None]] = {}  # the time of the permit, None: sent away
        self._timer: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> float:
        """Logins per second that may begin now: as configured, or less since RDS throttled."""
        return self._permits.rate(self._now())

    @property
    def limit(self) -> float:
        """What `rate` is as long as RDS does not throttle: as configured, or this proxy's part of it in a fleet."""
        return self._permits.limit(self._now())

    @property
    def waiting(self) -> int:
        """How many logins wait."""
        return len(self._queue)

    async def acquire(self, account: str, deadline: float, *, again: bool = False) -> float:
        """Wait for a permit until `deadline` on the `now` clock; returns the time of the permit.

        `again`: RDS refused this login for throttling; it goes ahead of its account's others.

        Raises Limited when the deadline has passed, and at once when too many wait already or the turns ahead
        make the deadline impossible: so a client hears it while it still has patience to try again. When the
        queue is full, an account with a short line takes a place from the account with the longest. A cancelled
        waiter gives its place back; a permit granted in the very moment of the cancellation is lost, because
        granting it again could exceed the rate.
        """
        began = self._now()
        patience = max(0.0, deadline - began)
        waiter = Waiter(account, deadline, again)
        entry = self._enter(waiter, began)
        if entry is Entry.GRANTED:
            self._tell_grant(began)
            return began
        if entry is not Entry.WAITS:
            raise self._refusal(entry, patience)
        outcome: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._outcomes[waiter] = outcome
        self._set_timer()
        self._on_wait()
        try:
            # Not wait_for nor timeout: there a permit that comes together with the deadline would be lost.
            await asyncio.wait({outcome}, timeout=patience)
        finally:
            self._queue.leave(waiter)
            del self._outcomes[waiter]
        if not outcome.done():
            raise self._refusal(None, patience)
        permitted_at = outcome.result()
        if permitted_at is None:
            raise self._refusal(Entry.FULL, patience)
        return permitted_at

    def throttled(self, permitted_at: float) -> None:
        """RDS refused, for throttling, the login whose permit came at this time. Call it for each such refusal."""
        now = self._now()
        if self._permits.throttled(permitted_at, now):
            self.rate_changed(self._permits.rate(now))
        self._on_wait()

    def rate_changed(self, rate: float) -> None:
        """The rate was lowered, here or by another proxy of the fleet. It grows back without a call."""
        event(log, logging.WARNING, "RDS throttles logins", endpoint=str(self._endpoint), logins_per_second=rate)

    def permits_came(self) -> None:
        """The budget has other permits than it had said."""
        if self._timer is not None:
            self._timer.cancel()
        self._on_timer()

    def _enter(self, waiter: Waiter, now: float) -> Entry:
        entry = self._queue.enter(waiter, now)
        if entry is Entry.FULL and (displaced := self._queue.make_room(waiter.account)) is not None:
            self._outcomes[displaced].set_result(None)
            entry = self._queue.enter(waiter, now)
        return entry

    def _on_timer(self) -> None:
        self._timer = None
        now = self._now()
        for waiter in self._queue.grant(now):
            self._tell_grant(now)
            self._outcomes[waiter].set_result(now)
        self._set_timer()

    def _set_timer(self) -> None:
        seconds = self._queue.seconds_to_next(self._now())
        if self._timer is None and seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(seconds, _MIN_SLEEP_SECONDS), self._on_timer)

    def _tell_grant(self, at: float) -> None:
        event(log, logging.DEBUG, "login permitted", endpoint=str(self._endpoint), monotonic=at)

    def _refusal(self, entry: Entry | None, patience: float) -> Limited:
        rate, waiting, endpoint = self.rate, len(self._queue), str(self._endpoint)
        lowered = rate < self.limit
        if entry is Entry.FULL:
            full = "queue-full-lowered" if lowered else "queue-full"
            return Limited(full, endpoint=endpoint, waiting=waiting, rate=rate)
        late = "limiter-lowered" if lowered else "limiter"
        became = "can become" if entry is Entry.TOO_LATE else "became"
        return Limited(late, endpoint=endpoint, became=became, seconds=patience, waiting=waiting, rate=rate)
