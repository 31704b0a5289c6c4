"""`[[listeners]]`: from the table to the value."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ..files import read_file
from ..net.address import Address
from ..net.sockets import Bind
from .surroundings import Surroundings, known_targets, open_to_others, resolved
from .tables import Entry, ListenerTable, is_loopback
from .values import Listener


def build_listener(
    entry: Entry[ListenerTable], targets: Collection[str], around: Surroundings, faults: list[str]
) -> Listener | None:
    """The listener, or None when it has a fault. `targets`: all names, also of targets that have faults."""
    before = len(faults)
    table, place = entry.table, entry.place
    for key, what in (("bind", "HOST:PORT, unix:/PATH or systemd:NAME"), ("target", "the name of a target")):
        if key not in entry.given:
            faults.append(f"{place.key(key)}: required: {what}")
    known_targets([] if table.target is None else [table.target], targets, place.key("target"), faults)
    certificate = _file(entry, "tls_cert", around, faults)
    key_file = _file(entry, "tls_key", around, faults)
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if one in entry.given and other not in entry.given:
            faults.append(f"{place.key(other)}: required together with {one}")
    if table.tls == "off" and {"tls_cert", "tls_key"} & entry.given:
        faults.append(f"{place.key('tls')}: off, but there is a certificate; leave out either")
    if isinstance(table.bind, Address) and not is_loopback(table.bind):
        _check_remote(table.bind, entry, faults)
    if not entry.faultless or len(faults) > before or table.bind is None or table.target is None:
        return None
    return Listener(table.bind, table.target, table.tls or "auto", certificate, key_file)


def _check_remote(bind: Address, entry: Entry[ListenerTable], faults: list[str]) -> None:
    """Other machines may connect only if that was asked for, and over TLS with a certificate that they can check."""
    missing = [
        text
        for given, text in (
            (entry.table.allow_remote, "allow_remote = true"),
            (entry.table.tls == "required", 'tls = "required"'),
            ("tls_cert" in entry.given, "tls_cert and tls_key"),
        )
        if not given
    ]
    if missing:
        faults.append(
            f"{entry.place.key('bind')}: {bind.host} is not a loopback address: logins would cross the network; use"
            f" 127.0.0.1:{bind.port}, or add {', '.join(missing)}"
        )


def _file(entry: Entry[ListenerTable], key: str, around: Surroundings, faults: list[str]) -> Path | None:
    path: Path | None = getattr(entry.table, key)
    if path is None:
        return None
    try:
        path = resolved(path, around)
        mode = read_file(path)[1].st_mode
    except OSError as exc:
        faults.append(f"{entry.place.key(key)}: cannot read {path}: {exc.strerror}")
        return None
    if key == "tls_key" and open_to_others(mode, path, around):
        faults.append(
            f"{entry.place.key(key)}: group or others may read or write {path} (mode {mode & 0o777:04o}): chmod 600 it"
        )
    return path


def check_binds(entries: Sequence[Entry[ListenerTable]], faults: list[str]) -> None:
    """Two listeners on one address."""
    seen: dict[Bind, str] = {}
    for entry in entries:
        bind = entry.table.bind
        if bind is None or (isinstance(bind, Address) and bind.port == 0):
            continue
        local = isinstance(bind, Address) and bind.host == "localhost"
        same = Address("127.0.0.1", bind.port) if isinstance(bind, Address) and local else bind
        if same in seen:
            faults.append(
                f"{entry.place.key('bind')}: {bind} is already that of {seen[same]}; give each listener its own port"
            )
        seen.setdefault(same, entry.place.path)
