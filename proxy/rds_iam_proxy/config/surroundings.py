"""What the configuration refers to but does not hold: files, variables, other tables."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .tables import suggestion

_GROUP_OR_OTHERS = 0o066  # may read or write

LookUp = Callable[[str], str | None]


def no_dns(host: str) -> str | None:
    """Knows nothing."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the configuration refers to but does not hold."""

    environ: Mapping[str, str]
    folder: Path
    """Where relative paths start."""
    rds_name_behind: LookUp = no_dns
    """The RDS name to which a CNAME leads, if that can be told; for the texts of faults only."""


def open_to_others(mode: int) -> bool:
    """Whether group or others can read or write a file of this mode. Windows has no such modes."""
    return os.name != "nt" and bool(mode & _GROUP_OR_OTHERS)


def resolved(path: Path, around: Surroundings) -> Path:
    try:
        return around.folder / path.expanduser()
    except RuntimeError:  # no home folder
        raise FileNotFoundError(2, "no home folder for the ~ in front") from None


def known_targets(names: Iterable[str], targets: Collection[str], key: str, faults: list[str]) -> bool:
    unknown = [name for name in names if name not in targets]
    faults.extend(f"{key}: no target is called {name}; {suggestion(name, targets)}" for name in unknown)
    return not unknown
