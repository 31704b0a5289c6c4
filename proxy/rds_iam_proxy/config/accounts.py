"""`[[accounts]]`: from the table to the value, with the passwords where they are kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mysql_wire.passwords import Verifier
from pg_wire import scram

from .password import SALT_SECRET, PasswordHash, password_fault, without_line_end
from .reading import Entry, Reading
from .surroundings import Surroundings, read_secret, read_variable
from .tables import AccountTable
from .values import Account, Engine

_MAX_PASSWORD_FILE = 4096
_NEXT = "next_"
_PASSWORD_SOURCES = ("password_env", "password_file", "password_hash")


def build_account(entry: Entry[AccountTable], engines: Mapping[str, Engine], reading: Reading) -> Account | None:
    """The account, or None when it has a fault. `engines`: of all targets, also of those that have faults."""
    table, place = entry.table, entry.place
    # In the file the local name comes first; a command line is about the database user.
    if place.is_flags and "db_user" not in entry.given:
        reading.fault(place.key("db_user"), "required: the database user to log in as with IAM")
    elif not place.is_flags and "user" not in entry.given:
        reading.fault(place.key("user"), "required: the name that clients log in with")
    reading.known_targets(table.targets or (), engines, place.key("targets"))
    passwords = _passwords(entry, reading)
    peer_uid = _uid(entry, reading)
    user, db_user = table.user or table.db_user, table.db_user or table.user
    if user is None or db_user is None:
        return None
    spoken = {engines[name] for name in (engines if table.targets is None else table.targets) if name in engines}
    _check_hashes(passwords, spoken, entry, reading)
    return Account(
        user=user,
        verifiers=_verifiers(passwords.values()),
        db_user=db_user,
        scram=_scram(user, passwords, entry, reading) if "postgres" in spoken else None,
        database=table.database,
        targets=None if table.targets is None else frozenset(table.targets),
        peer_uid=peer_uid,
        allow_replication=table.allow_replication,
    )


Password = bytes | PasswordHash
"""As it was given."""

_NEEDS = {"mysql": ("mysql", "native: and sha2:", "MySQL"), "postgres": ("scram", "scram:", "PostgreSQL")}
"""The part of a hash, its names, and what cannot do without it."""


def _passwords(entry: Entry[AccountTable], reading: Reading) -> dict[str, Password]:
    """The password, and the one to come, by their keys."""
    place = entry.place
    given = {**_password(entry, "", reading), **_password(entry, _NEXT, reading)}
    if not given and not entry.given & {"peer_user", *_sources(entry, ""), *_sources(entry, _NEXT)}:
        offered = _PASSWORD_SOURCES[:2] if place.is_flags else _PASSWORD_SOURCES
        reading.fault(place.spot, f"no password: give {' or '.join(map(place.short, offered))}")
    return given


def _check_hashes(
    passwords: Mapping[str, Password], engines: Collection[Engine], entry: Entry[AccountTable], reading: Reading
) -> None:
    """One that lacks a part would make each login look like one with a wrong password."""
    for key, password in passwords.items():
        for engine in sorted(engines):
            part, names, protocol = _NEEDS[engine]
            if isinstance(password, PasswordHash) and getattr(password, part) is None:
                reading.fault(
                    entry.place.key(key),
                    f"has no part {names} for {protocol}, which a target of the account speaks; run `rds-iam-proxy"
                    " hash-password` and write all that it prints",
                )


def _verifiers(passwords: Iterable[Password]) -> tuple[Verifier, ...]:
    verifiers = (Verifier.of(given) if isinstance(given, bytes) else given.mysql for given in passwords)
    return tuple(verifier for verifier in verifiers if verifier is not None)


def _scram(
    user: str, passwords: Mapping[str, Password], entry: Entry[AccountTable], reading: Reading
) -> scram.Verifier | None:
    """One salt for all of them: a client is told it before it says which password it has."""
    verifiers = [given.scram for given in passwords.values() if isinstance(given, PasswordHash) and given.scram]
    salt = verifiers[0].salt if verifiers else scram.salt_for(SALT_SECRET, user.encode())
    clear = [given for given in passwords.values() if isinstance(given, bytes)]
    if clear:
        verifiers.append(scram.Verifier.of_passwords(clear, salt))
    if not verifiers:
        return None
    try:
        return verifiers[0] if len(verifiers) == 1 else verifiers[0].together(verifiers[1])
    except ValueError:
        reading.fault(
            entry.place.key("next_password_hash"),
            "its SCRAM part has another salt than that of password_hash, and clients can be told only one; make it with"
            " `rds-iam-proxy hash-password --salt SALT`, SALT being what follows 4096: in password_hash",
        )
        return None


def _sources(entry: Entry[AccountTable], prefix: str) -> list[str]:
    return [prefix + source for source in _PASSWORD_SOURCES if prefix + source in entry.given]


def _password(entry: Entry[AccountTable], prefix: str, reading: Reading) -> dict[str, Password]:
    """By its key; empty where there is none, or it is a fault."""
    place = entry.place
    sources = _sources(entry, prefix)
    if len(sources) > 1:
        others = " and ".join(map(place.short, sources[1:]))
        text = f"together with {others}; each password is given in one way, keep one of them"
        reading.fault(place.key(sources[0]), text)
    if len(sources) != 1:
        return {}
    value = getattr(entry.table, sources[0])
    try:
        if isinstance(value, str):
            return {sources[0]: _accepted(read_variable(value, reading.around))}
        if isinstance(value, Path):
            return {sources[0]: _from_file(value, reading.around)}
    except ValueError as exc:
        reading.fault(place.key(sources[0]), str(exc))
    return {sources[0]: value} if isinstance(value, PasswordHash) else {}


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
