"""The last minutes of each target, one point a second, for the charts of the status page."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

POINTS = 300


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted up for ever, and what is true now."""

    accepted: int
    refused: int
    waiting: int
    sessions: int


def _points() -> deque[int]:
    return deque(maxlen=POINTS)


@dataclass(slots=True)
class Series:
    """One target. `accepted` and `refused`: logins in that second."""

    accepted: deque[int] = field(default_factory=_points)
    refused: deque[int] = field(default_factory=_points)
    waiting: deque[int] = field(default_factory=_points)
    sessions: deque[int] = field(default_factory=_points)
    before: Totals | None = None


class History:
    """`add` is to be called once a second."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self.taken = 0
        """Points so far, those that are forgotten among them."""

    def add(self, totals: Mapping[str, Totals]) -> None:
        """Of all targets there are; the others are forgotten."""
        self.taken += 1
        self._series = {name: self._series.get(name) or Series() for name in totals}
        for name, now in totals.items():
            series = self._series[name]
            before, series.before = series.before or now, now
            series.accepted.append(max(0, now.accepted - before.accepted))
            series.refused.append(max(0, now.refused - before.refused))
            series.waiting.append(now.waiting)
            series.sessions.append(now.sessions)

    def of(self, target: str) -> Mapping[str, list[int]]:
        """The oldest first."""
        series = self._series.get(target) or Series()
        return {
            "accepted": list(series.accepted),
            "refused": list(series.refused),
            "waiting": list(series.waiting),
            "sessions": list(series.sessions),
        }
