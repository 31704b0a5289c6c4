"""What the configuration refers to but does not hold: files and variables."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_OTHERS = 0o006  # may read or write
_GROUP_WRITE = 0o020
_GROUP_OR_OTHERS = 0o066

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


def open_to_others(mode: int, path: Path, around: Surroundings) -> bool:
    """Whether group or others can read or write this file, by its mode. Windows has no such modes.

    systemd's credentials may be of mode 0440 (man systemd.exec, LoadCredential): the unit's folder keeps others out.
    """
    if os.name == "nt":
        return False
    return bool(mode & (_OTHERS | _GROUP_WRITE if _is_credential(path, around) else _GROUP_OR_OTHERS))


def _is_credential(path: Path, around: Surroundings) -> bool:
    """Whether the file that the path leads to in the end is below the folder that systemd made for this unit."""
    folder = around.environ.get("CREDENTIALS_DIRECTORY", "")
    if not os.path.isabs(folder):
        return False
    try:
        inside = Path(folder).resolve(strict=True)
        is_private = not inside.stat().st_mode & stat.S_IRWXO
        return is_private and path.resolve(strict=True).is_relative_to(inside)
    except (OSError, RuntimeError):  # not there; a loop of links
        return False


def resolved(path: Path, around: Surroundings) -> Path:
    try:
        return around.folder / path.expanduser()
    except RuntimeError:  # no home folder
        raise FileNotFoundError(2, "no home folder for the ~ in front") from None
