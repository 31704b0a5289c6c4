"""A circuit breaker: while an endpoint cannot be reached, logins fail at once with the reason. No I/O."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors.tree import LoginError, Refused, TLSFailure, Unreachable

FAILURES = 5
OPEN_SECONDS = 3.0


class Breaker:
    """Opens after `failures` dials in a row that reached no RDS: Unreachable or TLSFailure. For one event loop.

    One per pair of signed endpoint and dialled address. A refused login is an answer: it closes the breaker.

    A login calls `check` before it waits for a permit, so that it fails before the queue and not behind it, and
    makes each dial, with TLS and login, inside `with breaker.attempt():`, which knows what counts as which:

        breaker.check()
        permit = await limiter.acquire(...)
        with breaker.attempt():
            session = await connect(...)
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        open_seconds: float = OPEN_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._now = now
        self._in_a_row = 0
        self._probe_from = 0.0
        self._probing = False
        self._last: LoginError | None = None

    @property
    def open(self) -> bool:
        """Whether logins fail at once, all but one at a time."""
        return self._in_a_row >= self._failures

    def check(self) -> None:
        """Raises the last reason, an Unreachable or TLSFailure, if no login may be tried now."""
        now, last = self._now(), self._last
        if last is None or not self.open:
            return
        if self._probing:
            raise type(last)("being-tried", count=self._in_a_row, last=last)
        if now < self._probe_from:
            seconds = max(0.1, self._probe_from - now)
            raise type(last)("not-tried", count=self._in_a_row, seconds=seconds, last=last)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one dial; raises as `check` does. Its outcome counts; a cancelled one counts as none."""
        probe = self.admit()
        try:
            yield
        except (Unreachable, TLSFailure) as error:
            self.failed(error)
            raise
        except Refused:
            self.succeeded()
            raise
        except BaseException:
            if probe:
                self._probing = False
            raise
        self.succeeded()

    def admit(self) -> bool:
        """Whether this attempt is the probe of an open breaker; raises as `check` does. An outcome must follow."""
        self.check()
        self._probing = self.open
        return self._probing

    def succeeded(self) -> None:
        """RDS answered."""
        self._in_a_row = 0
        self._probing = False

    def failed(self, error: LoginError) -> None:
        """RDS was not reached. Those that were under way when it opened do not keep it open for longer."""
        was_open, was_probing = self.open, self._probing
        self._last = error.again()
        self._in_a_row += 1
        if self.open and (was_probing or not was_open):
            self._probe_from = self._now() + self._open_seconds
        self._probing = False
