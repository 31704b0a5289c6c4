"""Medians and ratios of a run's samples."""

import statistics
from collections.abc import Callable, Mapping

from .samples import Run, Sample

Value = Callable[[Mapping[str, float]], float]


def named(name: str) -> Value:
    return lambda values: values[name]


def cpu(unit: str) -> Value:
    """User and system together; `unit` as the samples name it."""
    return lambda values: values[f"cpu_user{unit}"] + values[f"cpu_system{unit}"]


class Figures:
    """Looks into one run. None everywhere: this run did not measure it."""

    def __init__(self, run: Run) -> None:
        self._samples: dict[tuple[str, str, str], dict[int, Sample]] = {}
        for sample in run.samples:
            self._samples.setdefault((sample.measure, sample.case, sample.subject), {})[sample.round] = sample

    def cases(self, measure: str) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(case for name, case, _ in self._samples if name == measure))

    def subjects(self, measure: str, case: str) -> list[str]:
        return [subject for name, which, subject in self._samples if (name, which) == (measure, case)]

    def median(self, measure: str, case: str, subject: str, value: Value) -> float | None:
        samples = self._samples.get((measure, case, subject), {}).values()
        return statistics.median(value(sample.values) for sample in samples) if samples else None

    def ratio(self, measure: str, case: str, subject: str, base: str, value: Value) -> float | None:
        """Median of the rounds' ratios: both subjects of a round had the same minute of the machine."""
        return self._ratio((measure, case, subject), (measure, case, base), value)

    def ratio_of_cases(self, measure: str, case: str, base_case: str, subject: str, value: Value) -> float | None:
        return self._ratio((measure, case, subject), (measure, base_case, subject), value)

    def _ratio(self, key: tuple[str, str, str], base: tuple[str, str, str], value: Value) -> float | None:
        ours, theirs = self._samples.get(key, {}), self._samples.get(base, {})
        both = [
            value(ours[number].values) / value(theirs[number].values)
            for number in ours.keys() & theirs.keys()
            if value(theirs[number].values)
        ]
        return statistics.median(both) if both else None
