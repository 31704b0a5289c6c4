"""The token that ending a session asks for: the operator's own file, or one made on first use."""

import contextlib
import os
import secrets
from pathlib import Path

from ..config import Admin
from ..errors.tree import ConfigError

FILE = "admin-token"
MAX_LENGTH = 4096


def admin_token(admin: Admin, state_folder: Path) -> tuple[bytes, Path]:
    """The token, and the file that holds it. Raises ConfigError."""
    path = admin.token_file or state_folder / FILE
    try:
        if admin.token_file is None:
            _make(path)
        with path.open("rb") as file:
            if admin.token_file is None and not _is_private(os.fstat(file.fileno())):
                raise ConfigError([f"{path}: others may read or write this token, or own it; delete the file"])
            return file.read(MAX_LENGTH).strip(), path
    except OSError as exc:
        raise ConfigError([f"the admin token {path}: {exc.strerror}; set --admin-token-file FILE"]) from exc


def _make(path: Path) -> None:
    """Unless it is there. It appears whole: another process may want it at the same time."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()


def _is_private(status: os.stat_result) -> bool:
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o077)
