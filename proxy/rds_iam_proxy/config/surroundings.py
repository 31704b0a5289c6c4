"""What the configuration refers to but does not hold: files and variables."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..files import MAX_FILE_BYTES, read_file

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_OTHERS = 0o006  # may read or write
_GROUP_READ = 0o040
_GROUP_WRITE = 0o020

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


def read_variable(name: str, around: Surroundings) -> bytes:
    """A password in the environment. Raises ValueError with a text that says what to do."""
    # A password put here by mistake must not be shown, so only what looks like a variable's name is.
    shown = name if _VARIABLE.fullmatch(name) else "named here (not shown: it may be a password)"
    value = around.environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {shown} is not set; set it to the password")
    return value.encode("utf-8", "surrogateescape")


def read_secret(path: Path, around: Surroundings, most: int = MAX_FILE_BYTES) -> bytes:
    """At most so many bytes of a file that only this process, its group or root can read.

    Raises ValueError with a text that says what is wrong and what to do; the path is not in it.
    """
    try:
        path = resolved(path, around)
        content, status = read_file(path, most)
    except OSError as exc:
        raise ValueError(f"the file cannot be read: {exc.strerror}{_whose(path, exc)}") from None
    if fault := exposure(status, path, around):
        raise ValueError(fault)
    return content


def exposure(status: os.stat_result, path: Path, around: Surroundings) -> str | None:
    """Why nobody should trust a secret to this file, by its mode; None where that is fine. Windows has no such modes.

    The group may read it if this process is in it, and nobody but root and this process can change that: so a volume
    of Kubernetes has its Secrets, with fsGroup. systemd's credentials may be of mode 0440 whoever owns them (man
    systemd.exec, LoadCredential): the unit's folder keeps others out.
    """
    if os.name == "nt":
        return None
    mode = stat.S_IMODE(status.st_mode)
    is_of_the_group = status.st_uid in (0, os.geteuid()) and status.st_gid in {os.getegid(), *os.getgroups()}
    group_may_read = is_of_the_group or _is_credential(path, around)
    if not mode & (_OTHERS | _GROUP_WRITE | (0 if group_may_read else _GROUP_READ)):
        return None
    return (
        f"group or others may read or write the file (mode {mode:04o}): chmod 600 it; mode 0440 is fine where root or"
        " this process owns it and this process is in its group"
    )


def _whose(path: Path, exc: OSError) -> str:
    """Whom the file belongs to, where this process may not read it."""
    if not isinstance(exc, PermissionError) or os.name == "nt":
        return ""
    try:
        status = path.stat()
    except OSError:
        return f" (this process is user {os.geteuid()})"
    return (
        f" (mode {stat.S_IMODE(status.st_mode):04o}, user {status.st_uid}, group {status.st_gid}; this process is user"
        f" {os.geteuid()}, group {os.getegid()}): chown it; in Kubernetes set securityContext.fsGroup of the pod"
    )


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
