"""The token that ending a session asks for: the operator's own file, or one made on first use."""

import secrets
from pathlib import Path

from ..config import Admin
from ..errors.tree import ConfigError
from ..files import is_private, read_file, write_private_file

FILE = "admin-token"
MAX_LENGTH = 4096

MIN_LENGTH = 16
"""Characters: a shorter one could be guessed."""


def admin_token(admin: Admin, state_folder: Path) -> tuple[bytes, Path]:
    """The token, and the file that holds it. Raises ConfigError."""
    if admin.token_file is not None:
        try:
            return read_file(admin.token_file, MAX_LENGTH)[0].strip(), admin.token_file
        except OSError as exc:
            raise ConfigError([f"the admin token cannot be read: {exc.strerror}; check --admin-token-file"]) from exc
    path = state_folder / FILE
    try:
        return _kept(path) or _made(path), path
    except OSError as exc:
        raise ConfigError([f"the admin token {path}: {exc.strerror}; set --admin-token-file FILE"]) from exc


def _kept(path: Path) -> bytes | None:
    """None if there is none, or what is left of one. Raises OSError, ConfigError."""
    try:
        content, status = read_file(path, MAX_LENGTH)
    except FileNotFoundError:
        return None
    if not is_private(status):
        raise ConfigError([f"{path}: others may read or write this token, or own it; delete the file"])
    token = content.strip()
    return token if len(token) >= MIN_LENGTH else None


def _made(path: Path) -> bytes:
    """Two processes may make one at the same time: what is in the file afterwards counts. Raises OSError."""
    token = secrets.token_urlsafe(32).encode()
    write_private_file(path, token + b"\n")
    return _kept(path) or token
