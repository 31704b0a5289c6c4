"""One figure of one round, and a run: all its samples with the machine they come from. Kept as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """What one subject did in one round of one case."""

    measure: str  # "queries", "bulk", ...
    case: str  # "point select, 8 connections"
    subject: str  # "direct", "proxy", "proxy-tls", "router"
    round: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks."""

    began: str  # ISO 8601, UTC
    seconds: float
    rounds: int
    scale: float  # of the durations; 1 is a full run
    load_before: float  # the machine's 1-minute load
    machine: Mapping[str, str]
    samples: tuple[Sample, ...]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {key: value for key, value in asdict(self).items() if key != "samples"}
        lines = ",\n".join(json.dumps(asdict(sample)) for sample in self.samples)
        path.write_text(json.dumps(head, indent=1)[:-2] + ',\n "samples": [\n' + lines + "\n ]\n}\n")

    @classmethod
    def load(cls, path: Path) -> "Run":
        raw = json.loads(path.read_text())
        return cls(**{**raw, "samples": tuple(Sample(**sample) for sample in raw["samples"])})
