"""`[fleet]`: from the table to the value."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ..limits.shared_budget import GRACE_SECONDS, SILENT_SECONDS
from ..limits.store_place import INSTALL, StorePlace
from .password import password_fault, without_line_end
from .reading import Entry, Reading
from .surroundings import read_secret, read_variable, resolved
from .tables import FleetTable, TargetTable
from .values import LOGIN_WAIT, Sharing

MIN_LOGIN_WAIT = SILENT_SECONDS + GRACE_SECONDS + 0.3
"""Seconds: until a login has a permit when the store is silent."""

_MAX_PASSWORD_FILE = 4096
_PASSWORDS = ("store_password_env", "store_password_file")


def build_sharing(entry: Entry[FleetTable], reading: Reading) -> Sharing | None:
    """How the fleet shares, None where there is none."""
    if not entry.given:
        return None
    if "size" not in entry.given:
        reading.fault(entry.place.key("size"), "required: how many proxies share the budgets")
    store = _store(entry, reading)
    return None if entry.table.size is None else Sharing(entry.table.size, store)


def check_waits(sharing: Sharing | None, targets: Iterable[Entry[TargetTable]], reading: Reading) -> None:
    """A login must not give up before a silent store is known to be one."""
    if sharing is None or sharing.store is None:
        return
    for target in targets:
        wait = LOGIN_WAIT if target.table.login_wait is None else target.table.login_wait
        if wait < MIN_LOGIN_WAIT:
            reading.fault(
                target.place.key("login_wait"),
                f"less than {MIN_LOGIN_WAIT:g} s, which logins must wait while a fleet's store is silent",
            )


def _store(entry: Entry[FleetTable], reading: Reading) -> StorePlace | None:
    table, place = entry.table, entry.place
    if "store" not in entry.given:
        for key in sorted(key for key in entry.given if key.startswith("store_")):
            reading.fault(place.key(key), "means nothing without store")
    url = table.store
    if url is None:
        return None
    if find_spec("redis") is None:
        reading.fault(place.key("store"), f"needs redis-py: {INSTALL}")
    _check_iam(entry, reading)
    store = StorePlace(
        address=url.address,
        tls=url.tls,
        ca_file=None if table.store_ca_file is None else _ca_file(table.store_ca_file, entry, reading),
        user=table.store_user or "",
        password=_password(entry, reading),
        iam=table.store_iam,
        insecure=table.store_insecure,
    )
    if not store.may_be_at(store.address):
        reading.fault(
            place.key("store"),
            f"{url.address.host} is not a loopback address, and redis:// has no TLS: write rediss://{url.address}, or"
            " add store_insecure = true where nobody else is on the way",
        )
    return store


def _check_iam(entry: Entry[FleetTable], reading: Reading) -> None:
    table, place = entry.table, entry.place
    if table.store_iam is None:
        return
    if "store_user" not in entry.given:
        reading.fault(place.key("store_user"), "required with store_iam: the user's id, which is its name as well")
    if table.store is not None and not table.store.tls:
        reading.fault(place.key("store"), "must be rediss:// with store_iam: ElastiCache takes tokens over TLS only")


def _password(entry: Entry[FleetTable], reading: Reading) -> str:
    """Empty where there is none."""
    ways = [key for key in ("store_iam", *_PASSWORDS) if key in entry.given]
    if len(ways) > 1:
        others = " and ".join(map(entry.place.short, ways[1:]))
        reading.fault(entry.place.key(ways[0]), f"and {others}: keep one of them")
    around = reading.around
    for key in _PASSWORDS:
        value = getattr(entry.table, key)
        try:
            if isinstance(value, str):
                return _accepted(read_variable(value, around))
            if isinstance(value, Path):
                return _accepted(without_line_end(read_secret(value, around, _MAX_PASSWORD_FILE)))
        except ValueError as exc:
            reading.fault(entry.place.key(key), str(exc))
    return ""


def _accepted(password: bytes) -> str:
    """Raises ValueError."""
    if fault := password_fault(password):
        raise ValueError(fault)
    return password.decode()


def _ca_file(path: Path, entry: Entry[FleetTable], reading: Reading) -> Path | None:
    spot = entry.place.key("store_ca_file")
    try:
        path = resolved(path, reading.around)
        is_pem = "-----BEGIN CERTIFICATE-----" in path.read_text(errors="replace")
    except OSError as exc:
        reading.fault(spot, f"cannot read {path}: {exc.strerror}")
        return None
    if not is_pem:
        reading.fault(spot, f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return path
