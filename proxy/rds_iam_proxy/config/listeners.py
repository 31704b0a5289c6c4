"""`[[listeners]]`: from the table to the value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import read_file
from ..net.address import Address
from ..net.sockets import Bind
from .reading import Entry, Reading
from .surroundings import read_secret, resolved
from .tables import ListenerTable
from .values import Engine, Listener

_AUTH: Mapping[Engine, tuple[str, ...]] = {
    "mysql": ("auto", "native"),
    "postgres": ("auto", "scram-sha-256", "password"),
}
_NAMES = {"mysql": "MySQL", "postgres": "PostgreSQL"}


def build_listener(entry: Entry[ListenerTable], engines: Mapping[str, Engine], reading: Reading) -> Listener | None:
    """The listener, or None when it has a fault. `engines`: of all targets, also of those that have faults."""
    table, place = entry.table, entry.place
    for key, what in (("bind", "HOST:PORT, unix:/PATH or systemd:NAME"), ("target", "the name of a target")):
        if key not in entry.given:
            reading.fault(place.key(key), f"required: {what}")
    reading.known_targets([] if table.target is None else [table.target], engines, place.key("target"))
    certificate = _file(entry, "tls_cert", reading)
    key_file = _file(entry, "tls_key", reading)
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if one in entry.given and other not in entry.given:
            reading.fault(place.key(other), f"required together with {place.short(one)}")
    if table.tls == "off" and {"tls_cert", "tls_key"} & entry.given:
        reading.fault(place.key("tls"), "off, but there is a certificate; leave out either")
    _check_auth(entry, engines, reading)
    if isinstance(table.bind, Address) and not table.bind.is_loopback:
        _check_remote(table.bind, entry, reading)
    if table.bind is None or table.target is None:
        return None
    return Listener(table.bind, table.target, table.tls or "auto", certificate, key_file, table.auth or "auto")


def _check_auth(entry: Entry[ListenerTable], engines: Mapping[str, Engine], reading: Reading) -> None:
    engine, auth = engines.get(entry.table.target or ""), entry.table.auth
    if engine is not None and auth is not None and auth not in _AUTH[engine]:
        offered = " or ".join(_AUTH[engine])
        reading.fault(entry.place.key("auth"), f"{auth}, but the target speaks {_NAMES[engine]}: {offered}")


def _check_remote(bind: Address, entry: Entry[ListenerTable], reading: Reading) -> None:
    """Other machines may connect only if that was asked for, and over TLS: a login never crosses a network in plain."""
    needed = (
        ("--allow-remote", "--tls required") if entry.place.is_flags else ("allow_remote = true", 'tls = "required"')
    )
    missing = [
        text
        for text, given in zip(needed, (entry.table.allow_remote, entry.table.tls == "required"), strict=True)
        if not given
    ]
    if missing:
        reading.fault(
            entry.place.key("bind"),
            f"{bind.host} is not a loopback address: logins would cross the network; use"
            f" 127.0.0.1:{bind.port}, or add {' and '.join(missing)}",
        )


def _file(entry: Entry[ListenerTable], key: str, reading: Reading) -> Path | None:
    path: Path | None = getattr(entry.table, key)
    if path is None:
        return None
    try:
        if key == "tls_key":
            read_secret(path, reading.around)
        path = resolved(path, reading.around)
        read_file(path)
    except OSError as exc:
        reading.fault(entry.place.key(key), f"cannot read {path}: {exc.strerror}")
        return None
    except ValueError as exc:
        reading.fault(entry.place.key(key), str(exc))
    return path


def check_binds(entries: Sequence[Entry[ListenerTable]], reading: Reading) -> None:
    """Two listeners on one address."""
    seen: dict[Bind, str] = {}
    for entry in entries:
        bind = entry.table.bind
        if bind is None or (isinstance(bind, Address) and bind.port == 0):
            continue
        local = isinstance(bind, Address) and bind.host == "localhost"
        same = Address("127.0.0.1", bind.port) if isinstance(bind, Address) and local else bind
        if same in seen:
            reading.fault(
                entry.place.key("bind"), f"{bind} is already that of the {seen[same]}; give each listener its own port"
            )
        seen.setdefault(same, entry.place.name)
