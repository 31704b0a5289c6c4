"""Rounds: every subject once, then every subject again, so that a slow minute of the machine hits all of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .samples import Sample
from .subjects import Subject

FULL_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done. `factor` shortens everything; 1 is a full run."""

    rounds: int = FULL_ROUNDS
    factor: float = 1.0
    smoke: bool = False

    def seconds(self, full: float) -> float:
        return full * self.factor

    def whole_seconds(self, full: int) -> int:
        """For sysbench: at least 3, of which it measures 2."""
        return max(3, round(full * self.factor))

    def count(self, full: int, smallest: int) -> int:
        return max(smallest, int(full * self.factor))


def interleaved(
    measure: str,
    case: str,
    subjects: Sequence[Subject],
    scale: Scale,
    take: Callable[[Subject], Mapping[str, float]],
) -> Iterator[Sample]:
    """One sample per subject and round; each round begins with another subject."""
    for number in range(scale.rounds):
        first = number % len(subjects)
        for subject in (*subjects[first:], *subjects[:first]):
            yield Sample(measure, case, subject.name, number + 1, take(subject))
