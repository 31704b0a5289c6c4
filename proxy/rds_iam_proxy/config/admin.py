"""`[admin]`: from the table to the value."""

from collections.abc import Mapping
from pathlib import Path

from ..files import read_file
from ..net.address import Address
from .surroundings import Surroundings, open_to_others, resolved
from .tables import AdminTable, Entry, is_loopback
from .values import Admin

MIN_TOKEN = 16
"""Characters: a shorter one could be guessed."""

MAX_TOKEN_FILE = 4096
"""Bytes."""


def build_admin(
    file: Entry[AdminTable], flags: Entry[AdminTable], around: Surroundings, faults: list[str]
) -> Admin | None:
    """The status page and its kin, None where there is none. Flags come before the file."""
    before = len(faults)
    given = file.given | flags.given
    bind = flags.table.bind or file.table.bind
    others = {"health_bind": file.table.health_bind, "metrics_bind": file.table.metrics_bind}
    if "bind" not in given and (given & {"token_file", "public_host"} or (given and not given & others.keys())):
        faults.append(f"{file.place.key('bind')}: required: HOST:PORT of the status page; or give --admin HOST:PORT")
    token_file = None
    for entry in (flags, file):
        if "token_file" in entry.given:
            token_file = _token_file(entry, around, faults)
            break
    public_host = file.table.public_host
    if bind is not None and not is_loopback(bind) and (token_file is None or public_host is None):
        where = flags.place if "bind" in flags.given else file.place
        faults.append(
            f"{where.key('bind')}: {bind.host} is not a loopback address: the page would cross the network in plain"
            f" text; use 127.0.0.1:{bind.port}, or put a server that speaks TLS in front, and name it with"
            " admin.public_host, and set admin.token_file, which is then asked for everywhere but on the health"
            " endpoints"
        )
    if public_host is not None and "token_file" not in given:
        faults.append(f"{file.place.key('token_file')}: required together with public_host")
    _check_binds({"bind": bind, **others}, file, faults)
    if len(faults) > before or not (bind or others["health_bind"] or others["metrics_bind"]):
        return None
    return Admin(bind, token_file, public_host, **others)


def _check_binds(binds: Mapping[str, Address | None], file: Entry[AdminTable], faults: list[str]) -> None:
    """Two of them on one address."""
    seen: dict[Address, str] = {}
    for key, bind in binds.items():
        if bind is None or bind.port == 0:
            continue
        if bind in seen:
            faults.append(f"{file.place.key(key)}: {bind} is already that of {seen[bind]}; give each its own port")
        seen.setdefault(bind, key)


def _token_file(entry: Entry[AdminTable], around: Surroundings, faults: list[str]) -> Path | None:
    key, path = entry.place.key("token_file"), entry.table.token_file
    if path is None:
        return None
    try:
        path = resolved(path, around)
        content, status = read_file(path, MAX_TOKEN_FILE)
    except OSError as exc:
        # Not the path: it may be the token itself, put here by mistake.
        faults.append(f"{key}: the file that it names cannot be read: {exc.strerror}")
        return None
    mode, length = status.st_mode, len(content.strip())
    if open_to_others(mode, path, around):
        faults.append(f"{key}: group or others may read or write {path} (mode {mode & 0o777:04o}): chmod 600 it")
    if length < MIN_TOKEN:
        faults.append(f"{key}: {path} holds {length} characters, a token has at least {MIN_TOKEN}; write random ones")
    return path
