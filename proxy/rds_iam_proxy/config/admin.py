"""`[admin]`: from the table to the value."""

from collections.abc import Mapping
from pathlib import Path

from ..net.address import Address
from .reading import Entry, Reading
from .surroundings import read_secret, resolved
from .tables import AdminTable
from .values import Admin

MIN_TOKEN = 16
"""Characters: a shorter one could be guessed."""

MAX_TOKEN_FILE = 4096
"""Bytes."""


def build_admin(entry: Entry[AdminTable], reading: Reading) -> Admin | None:
    """The status page and its kin, None where there is none."""
    table, given, place = entry.table, entry.given, entry.place
    others = {"health_bind": table.health_bind, "metrics_bind": table.metrics_bind}
    if "bind" not in given and (given & {"token_file", "public_host"} or (given and not given & others.keys())):
        reading.fault(place.key("bind"), "required: HOST:PORT of the status page; or give --admin HOST:PORT")
    token_file = _token_file(entry, reading)
    if table.bind is not None and not table.bind.is_loopback and (token_file is None or table.public_host is None):
        reading.fault(
            place.key("bind"),
            f"{table.bind.host} is not a loopback address: the page would cross the network in plain text; use"
            f" 127.0.0.1:{table.bind.port}, or put a server that speaks TLS in front, and name it with"
            " admin.public_host, and set admin.token_file, which is then asked for everywhere but on the health"
            " endpoints",
        )
    if table.public_host is not None and "token_file" not in given:
        reading.fault(place.key("token_file"), "required together with public_host")
    _check_binds({"bind": table.bind, **others}, entry, reading)
    return Admin(table.bind, token_file, table.public_host, **others) if given else None


def _check_binds(binds: Mapping[str, Address | None], entry: Entry[AdminTable], reading: Reading) -> None:
    """Two of them on one address."""
    seen: dict[Address, str] = {}
    for key, bind in binds.items():
        if bind is None or bind.port == 0:
            continue
        if bind in seen:
            reading.fault(entry.place.key(key), f"{bind} is already that of {seen[bind]}; give each its own port")
        seen.setdefault(bind, key)


def _token_file(entry: Entry[AdminTable], reading: Reading) -> Path | None:
    spot, path = entry.place.key("token_file"), entry.table.token_file
    if path is None:
        return None
    try:
        length = len(read_secret(path, reading.around, MAX_TOKEN_FILE).strip())
    except ValueError as exc:
        reading.fault(spot, str(exc))  # without the path: it may be the token itself, put here by mistake
        return None
    if length < MIN_TOKEN:
        reading.fault(spot, f"{path} holds {length} characters, a token has at least {MIN_TOKEN}; write random ones")
    return resolved(path, reading.around)
