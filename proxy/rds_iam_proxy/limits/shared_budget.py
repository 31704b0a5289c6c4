"""The login budget of a fleet of proxies: time slots from a store, a fixed share while it is silent. Arithmetic only.

A store (slots.lua, on its own clock) hands out slots: moments, spaced by the fleet's rate, at each of which one login
may begin. Unlike tokens they cannot be saved up: a slot that is not used in its time is gone, so proxies that spend at
the same moment spend no more together than one would. Why the rate is not exceeded when the store fails:

- Silent for SILENT_SECONDS and GRACE_SECONDS: each proxy takes its share, rate / size. By then the store, if it lives
  and only this proxy is cut off, has taken that share from the others: it counts from the last answer of which the
  proxy said that it had it, and the proxy from the time when it asked for that answer.
- Emptied, or restarted without its memory: slots begin after the last that can have been handed out before.
- Failed over with lost writes, or to another clock: so do they, when a proxy says what the store cannot know.
- Slow: a call that takes too long is given up, and its slots are lost.
- Nonsense: the bucket of the configured rate and burst stands in front of it all.
"""

import enum
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .adaptive_rate import LOWEST_RATE
from .budget import Permits
from .store_clock import StoreClock
from .token_bucket import TokenBucket

HORIZON_SECONDS = 0.3
"""No slot is further ahead: what a proxy that dies takes with it."""

SILENT_SECONDS = 1.0
"""After so long without an answer the store takes a proxy's share from the others."""

GRACE_SECONDS = 0.7
"""And so long after that the proxy uses it: the slots that were handed out before have gone by, and a call that was on
its way has been given up."""

CALL_SECONDS = 0.25
"""A call that takes longer is given up."""

BEAT_SECONDS = 0.25
"""A proxy calls so often at least, whatever it wants, to be counted."""

LATE_SECONDS = 0.05
"""A slot that could not be used for so long after its time is dropped."""

BURST = 4
"""Slots that a quiet time leaves for one moment: at half load, logins hardly wait for each other then."""

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
"""Before a call after one that failed: doubled with each."""

_SETTLE_SECONDS = 0.002
"""The least time until a store that had no slot is asked again."""

_TOO_MUCH = 1e17
"""Microseconds since 1970, in the year 5138; nothing in an answer is more, or negative."""

_MOST_MEMBERS = 1e6
"""A proxy's share of more would be nothing at all."""

_AT_ONCE_SECONDS = 0.05
"""And the most by which that is put off, to ask for two slots at once."""


class Source(enum.StrEnum):
    """Where permits come from."""

    STORE = "store"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the proxies of one budget agree on."""

    rate: float
    """Logins per second of all proxies together."""
    burst: int
    """Of the bucket that stands in front of the store in each proxy."""
    size: int
    """How many proxies there are."""

    def fixed_share(self, now: float) -> Permits:
        """What one proxy may spend where there is no store."""
        return Permits(self.rate / self.size, max(1, self.burst // self.size), now)

    def share_in_silence(self, last: "Answer | None", now: float) -> Permits:
        """What one proxy may spend while the store is silent, by its last answer."""
        rate, members = (self.rate, 0) if last is None else (min(self.rate, last.bears), last.members)
        return Permits(max(rate, min(self.rate, LOWEST_RATE)) / max(self.size, members), 1, now)


class Ask(NamedTuple):
    """One call of the script. Times are microseconds on the store's clock."""

    wanted: int
    known: int
    """The next free slot as the store told it last; 0: it never did."""
    heard: int
    """The time in the last answer on this connection; 0: there was none."""
    waited: int
    """Since that answer came."""
    refused: int
    """The permit of a login that the database has throttled; 0: none."""

    def arguments(self, proxy: str, fleet: Fleet) -> list[str]:
        """For the script. `proxy`: a name that no other has."""
        fixed = (fleet.rate, min(BURST, fleet.burst), fleet.size, HORIZON_SECONDS * 1e6, SILENT_SECONDS * 1e6)
        return ["ask", proxy, *(f"{number:.6g}" for number in fixed), *map(str, self)]


class Answer(NamedTuple):
    """What the script returns, in its order. Times are microseconds on the store's clock, rates per second."""

    now: int
    first: int
    slots: int
    spacing: float
    next: int
    active: int
    """Proxies that want slots."""
    members: int
    """Proxies that were heard lately."""
    rate: float
    """What is handed out: what the database bears, less the shares of those who are not heard."""
    bears: float
    stepped: int
    """When the database throttled last so that the rate went down; 0: never."""

    @classmethod
    def decode(cls, values: Sequence[object]) -> "Answer":
        """Raises ValueError for what no script of ours returns."""
        numbers = [float(value) for value in values if isinstance(value, (bytes, str))]
        if len(numbers) != len(cls._fields) or not all(0 <= number < _TOO_MUCH for number in numbers):
            raise ValueError(f"{len(values)} values, of which {len(numbers)} are numbers, and not all make sense")
        now, first, count, spacing, next_, active, members, rate, bears, stepped = numbers
        if members > _MOST_MEMBERS:
            raise ValueError(f"{members:g} proxies")
        return cls(
            int(now), int(first), int(count), spacing, int(next_), int(active), int(members),
            rate, bears, int(stepped),
        )  # fmt: skip


class SharedPermits:
    """One proxy's part of the budget: spends slots and says when to call the store. The caller passes the time.

    For the limiter it is like `Permits`. Beside it, whoever talks with the store calls `ask`, when
    `seconds_to_ask` says so, and then `answered` or `failed`.
    """

    def __init__(self, fleet: Fleet, now: float) -> None:
        self._fleet = fleet
        self._ceiling = TokenBucket(fleet.rate, fleet.burst, now)
        self._clock = StoreClock()
        self._slots: deque[float] = deque()  # on the own clock
        self._share = fleet.share_in_silence(None, now)
        self._answer: Answer | None = None
        self._known = 0
        self._heard = 0
        self._heard_at = now  # when the answer was asked for that came last
        self._received_at = now
        self._asked_at = -math.inf
        self._not_before = now
        self._pause = 0.0
        self._refused = 0
        self.source = Source.STORE
        """Where the next permit comes from; as long as the store is only late, from nowhere else."""
        self.granted: Counter[Source] = Counter()
        self.dropped = 0
        """Slots whose time went by."""
        self.clock_resets = 0
        """How often the store's clock was another than before."""

    # --- for the limiter ---

    def limit(self, now: float) -> float:
        """What `rate` is as long as RDS does not throttle."""
        return self._share.limit(now) if self._source(now) is Source.SHARE else self._fleet.rate

    def rate(self, now: float) -> float:
        """The rate of the fleet at this time, or of this proxy while it has its share; per second."""
        if self._source(now) is Source.SHARE:
            return self._share.rate(now)
        return self._fleet.rate if self._answer is None else self._answer.rate

    def take(self, now: float) -> bool:
        """Take a permit if there is one."""
        source = self._source(now)
        taken = self._share.take(now) if source is Source.SHARE else self._take_slot(now)
        self.granted[source] += taken
        return taken

    def seconds_until(self, permits: int, now: float) -> float:
        """Seconds until so many permits will have come in, if nobody else takes one: beyond the slots held, a guess."""
        if self._source(now) is Source.SHARE:
            return self._share.seconds_until(permits, now)
        self._drop_late(now)
        if permits <= len(self._slots):
            return max(0.0, self._slots[permits - 1] - now)
        held = max(0.0, self._slots[-1] - now) if self._slots else 0.0
        return held + (permits - len(self._slots)) / self._own_rate

    def throttled(self, permitted_at: float, now: float) -> bool:
        """RDS refused the login of this permit for throttling. The store hears it with the next call, and then all.

        Until it has answered, no slot is used: it was handed out at a rate that is too high.
        """
        if self._source(now) is Source.SHARE:
            return self._share.throttled(permitted_at, now)
        if self._clock.is_known:
            self._refused = max(self._refused, _microseconds(self._clock.there(permitted_at)))
            self._drop(len(self._slots))
        return False

    # --- for whoever talks with the store ---

    @property
    def fleet(self) -> Fleet:
        """What all proxies agree on."""
        return self._fleet

    @property
    def answer(self) -> Answer | None:
        """The last one."""
        return self._answer

    def seconds_to_ask(self, waiting: int, now: float) -> float:
        """When to call the store, while so many logins wait."""
        due = self._asked_at + BEAT_SECONDS
        if self._refused or (self._missing(waiting) > 0 and len(self._slots) <= self._hold // 2):
            due = now
        return max(0.0, max(due, self._not_before) - now)

    def ask(self, waiting: int, now: float) -> Ask:
        """The call to make now."""
        self._asked_at = now
        waited = _microseconds(now - self._received_at)
        return Ask(max(0, self._missing(waiting)), self._known, self._heard, waited, self._refused)

    def answered(self, ask: Ask, answer: Answer, sent: float, received: float) -> None:
        """The answer to a call, and when this was sent and that received."""
        before, self._answer = self._answer, answer
        if not self._clock.heard(answer.now / 1e6, sent, received):
            self.clock_resets += before is not None
            self._drop(len(self._slots))
        if before is not None and answer.stepped > before.stepped:
            self._drop(len(self._slots))
        self._known, self._heard = answer.next, answer.now
        self._heard_at, self._received_at = sent, received
        self._pause, self._not_before = 0.0, received
        if self._refused and not ask.refused:
            self.dropped += answer.slots  # handed out before it knew
        else:
            self._add(answer)
        if self._refused <= ask.refused:
            self._refused = 0
        if ask.wanted and not answer.slots and ask.heard:
            ahead = (answer.next - answer.now) / 1e6 - HORIZON_SECONDS
            pause = max(_SETTLE_SECONDS, ahead + min(_AT_ONCE_SECONDS, 2 / self._fleet.rate))
            self._not_before += min(pause, BEAT_SECONDS)

    def failed(self, now: float) -> None:
        """The call had no answer in time, and the connection is gone."""
        self._heard = 0
        self._pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, self._pause * 2))
        self._not_before = now + self._pause

    # --- slots ---

    @property
    def _own_rate(self) -> float:
        """What comes to this proxy while it wants slots."""
        if self._answer is None:
            return self._fleet.rate / self._fleet.size
        rate = min(self._fleet.rate, max(self._answer.rate, self._fleet.rate / self._fleet.size))
        return rate / max(1, self._answer.active)

    @property
    def _hold(self) -> int:
        """As many slots as this proxy may have ahead, so that the others have theirs."""
        return max(BURST, int(HORIZON_SECONDS * self._own_rate))

    def _missing(self, waiting: int) -> int:
        return min(waiting, self._hold) - len(self._slots)

    def _add(self, answer: Answer) -> None:
        for i in range(min(answer.slots, 2 * self._hold - len(self._slots))):
            at = self._clock.here(max(answer.now, answer.first + i * answer.spacing) / 1e6)
            self._slots.append(max(at, self._slots[-1]) if self._slots else at)

    def _take_slot(self, now: float) -> bool:
        self._drop_late(now)
        if not self._slots or self._slots[0] > now or not self._ceiling.take(now):
            return False
        self._slots.popleft()
        return True

    def _drop_late(self, now: float) -> None:
        self._drop(sum(now - at > LATE_SECONDS for at in self._slots))

    def _drop(self, slots: int) -> None:
        for _ in range(slots):
            self._slots.popleft()
        self.dropped += slots

    def _source(self, now: float) -> Source:
        """Settles where permits come from at this time."""
        if now - self._heard_at <= SILENT_SECONDS + GRACE_SECONDS:
            self.source = Source.STORE
        elif self.source is Source.STORE:
            self.source = Source.SHARE
            self._drop(len(self._slots))
            self._share = self._fleet.share_in_silence(self._answer, now)
        return self.source


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
