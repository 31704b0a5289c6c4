"""`[[accounts]]`: from the table to the value, with the passwords where they are kept."""

from collections.abc import Collection, Sequence
from pathlib import Path

from mysql_wire.passwords import Verifier

from .password import password_fault, without_line_end
from .reading import Entry, Reading
from .surroundings import Surroundings, read_secret, read_variable
from .tables import AccountTable
from .values import Account

_MAX_PASSWORD_FILE = 4096
_NEXT = "next_"
_PASSWORD_SOURCES = ("password_env", "password_file", "password_hash")


def build_account(entry: Entry[AccountTable], targets: Collection[str], reading: Reading) -> Account | None:
    """The account, or None when it has a fault. `targets`: all names, also of targets that have faults."""
    table, place = entry.table, entry.place
    # In the file the local name comes first; a command line is about the database user.
    if place.is_flags and "db_user" not in entry.given:
        reading.fault(place.key("db_user"), "required: the database user to log in as with IAM")
    elif not place.is_flags and "user" not in entry.given:
        reading.fault(place.key("user"), "required: the name that clients log in with")
    reading.known_targets(table.targets or (), targets, place.key("targets"))
    verifiers = _verifiers(entry, reading)
    peer_uid = _uid(entry, reading)
    user, db_user = table.user or table.db_user, table.db_user or table.user
    if user is None or db_user is None:
        return None
    return Account(
        user=user,
        verifiers=verifiers,
        db_user=db_user,
        targets=None if table.targets is None else frozenset(table.targets),
        peer_uid=peer_uid,
        allow_replication=table.allow_replication,
    )


def _verifiers(entry: Entry[AccountTable], reading: Reading) -> tuple[Verifier, ...]:
    """The password's verifier, and that of the one to come."""
    place = entry.place
    now = _verifier(entry, "", reading)
    after = _verifier(entry, _NEXT, reading)
    if now is None and after is None and not entry.given & {"peer_user", *_sources(entry, ""), *_sources(entry, _NEXT)}:
        offered = _PASSWORD_SOURCES[:2] if place.is_flags else _PASSWORD_SOURCES
        reading.fault(place.spot, f"no password: give {' or '.join(map(place.short, offered))}")
    return tuple(verifier for verifier in (now, after) if verifier is not None)


def _sources(entry: Entry[AccountTable], prefix: str) -> list[str]:
    return [prefix + source for source in _PASSWORD_SOURCES if prefix + source in entry.given]


def _verifier(entry: Entry[AccountTable], prefix: str, reading: Reading) -> Verifier | None:
    place = entry.place
    sources = _sources(entry, prefix)
    if len(sources) > 1:
        others = " and ".join(map(place.short, sources[1:]))
        text = f"together with {others}; each password is given in one way, keep one of them"
        reading.fault(place.key(sources[0]), text)
        return None
    if not sources:
        return None
    value = getattr(entry.table, sources[0])
    try:
        if isinstance(value, str):
            return Verifier.of(_accepted(read_variable(value, reading.around)))
        if isinstance(value, Path):
            return Verifier.of(_from_file(value, reading.around))
    except ValueError as exc:
        reading.fault(place.key(sources[0]), str(exc))
        return None
    return value if isinstance(value, Verifier) else None


def _uid(entry: Entry[AccountTable], reading: Reading) -> int | None:
    name = entry.table.peer_user
    if name is None:
        return None
    spot = entry.place.key("peer_user")
    try:
        import pwd
    except ImportError:
        reading.fault(spot, "this system has no Unix sockets that tell who connects")
        return None
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        reading.fault(spot, f"this machine has no user called {name}")
        return None


def _from_file(path: Path, around: Surroundings) -> bytes:
    return _accepted(without_line_end(read_secret(path, around, _MAX_PASSWORD_FILE)))


def _accepted(password: bytes) -> bytes:
    if fault := password_fault(password):
        raise ValueError(fault)
    return password


def check_users(entries: Sequence[Entry[AccountTable]], reading: Reading) -> None:
    """Two accounts of one user at one target."""
    for number, entry in enumerate(entries):
        mine = entry.table
        if mine.user is None or _unread_targets(entry):
            continue
        for first in entries[:number]:
            if first.table.user != mine.user or _unread_targets(first):
                continue
            if shared := _overlap(first.table.targets, mine.targets):
                reading.fault(
                    entry.place.key("user"),
                    f"the {first.place.name} is an account of this user for {shared} already;"
                    " remove one of them, or give them different targets",
                )
                break


def _unread_targets(entry: Entry[AccountTable]) -> bool:
    return "targets" in entry.given and entry.table.targets is None


def _overlap(one: Collection[str] | None, other: Collection[str] | None) -> str:
    """What both cover; None covers all."""
    if one is None and other is None:
        return "all targets"
    shared = set(one or other or ()) & set(other or one or ())
    return f"target {min(shared)}" if shared else ""
