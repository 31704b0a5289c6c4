"""`[[accounts]]`: from the table to the value, with the passwords where they are kept."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from mysql_wire.passwords import Verifier

from ..files import read_file
from .password import password_fault, without_line_end
from .surroundings import Surroundings, known_targets, open_to_others, resolved
from .tables import AccountTable, Entry
from .values import Account

_MAX_PASSWORD_FILE = 4096
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_NEXT = "next_"
_PASSWORD_SOURCES = ("password_env", "password_file", "password_hash")


def build_account(
    entry: Entry[AccountTable], targets: Collection[str], around: Surroundings, faults: list[str]
) -> Account | None:
    """The account, or None when it has a fault. `targets`: all names, also of targets that have faults."""
    before = len(faults)
    table, place = entry.table, entry.place
    # In the file the local name comes first; a command line is about the database user.
    if place.flags and "db_user" not in entry.given:
        faults.append(f"{place.key('db_user')}: required: the database user to log in as with IAM")
    elif not place.flags and "user" not in entry.given:
        faults.append(f"{place.key('user')}: required: the name that clients log in with")
    known_targets(table.targets or (), targets, place.key("targets"), faults)
    verifiers = _verifiers(entry, around, faults)
    peer_uid = _uid(entry, faults)
    user, db_user = table.user or table.db_user, table.db_user or table.user
    if not entry.faultless or len(faults) > before or user is None or db_user is None:
        return None
    return Account(
        user=user,
        verifiers=verifiers,
        db_user=db_user,
        targets=None if table.targets is None else frozenset(table.targets),
        peer_uid=peer_uid,
        allow_replication=table.allow_replication,
    )


def _verifiers(entry: Entry[AccountTable], around: Surroundings, faults: list[str]) -> tuple[Verifier, ...]:
    """The password's verifier, and that of the one to come."""
    place = entry.place
    now = _verifier(entry, "", around, faults)
    after = _verifier(entry, _NEXT, around, faults)
    if now is None and after is None and not entry.given & {"peer_user", *_sources(entry, ""), *_sources(entry, _NEXT)}:
        offered = [place.short(s) for s in _PASSWORD_SOURCES if s in place.flags or not place.flags]
        faults.append(place.whole(f"no password: give {' or '.join(offered)}"))
    return tuple(verifier for verifier in (now, after) if verifier is not None)


def _sources(entry: Entry[AccountTable], prefix: str) -> list[str]:
    return [prefix + source for source in _PASSWORD_SOURCES if prefix + source in entry.given]


def _verifier(entry: Entry[AccountTable], prefix: str, around: Surroundings, faults: list[str]) -> Verifier | None:
    place = entry.place
    sources = _sources(entry, prefix)
    if len(sources) > 1:
        names = " and ".join(place.key(source) for source in sources)
        faults.append(f"{names}: each password is given in one way; keep one of them")
        return None
    if not sources:
        return None
    value = getattr(entry.table, sources[0])
    try:
        if isinstance(value, str):
            return Verifier.of(_from_variable(value, around))
        if isinstance(value, Path):
            return Verifier.of(_from_file(value, around))
    except ValueError as exc:
        faults.append(f"{place.key(sources[0])}: {exc}")
        return None
    return value if isinstance(value, Verifier) else None


def _uid(entry: Entry[AccountTable], faults: list[str]) -> int | None:
    name = entry.table.peer_user
    if name is None:
        return None
    key = entry.place.key("peer_user")
    try:
        import pwd
    except ImportError:
        faults.append(f"{key}: this system has no Unix sockets that tell who connects")
        return None
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        faults.append(f"{key}: this machine has no user called {name}")
        return None


def _from_variable(name: str, around: Surroundings) -> bytes:
    # A password put here by mistake must not be shown, so only what looks like a variable's name is.
    shown = name if _VARIABLE.fullmatch(name) else "named here (not shown: it may be a password)"
    value = around.environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {shown} is not set; set it to the password")
    return _accepted(value.encode("utf-8", "surrogateescape"))


def _from_file(path: Path, around: Surroundings) -> bytes:
    try:
        path = resolved(path, around)
        content, status = read_file(path, _MAX_PASSWORD_FILE)
    except OSError as exc:
        raise ValueError(f"the file cannot be read: {exc.strerror}") from None
    mode = status.st_mode
    if open_to_others(mode, path, around):
        raise ValueError(
            f"group or others may read or write the file (mode {mode & 0o777:04o}): chmod 600 it"
            " (a secret mounted into a container: mode 0400)"
        )
    return _accepted(without_line_end(content))


def _accepted(password: bytes) -> bytes:
    if fault := password_fault(password):
        raise ValueError(fault)
    return password


def check_users(entries: Sequence[Entry[AccountTable]], faults: list[str]) -> None:
    """Two accounts of one user at one target."""
    for number, entry in enumerate(entries):
        mine = entry.table
        if mine.user is None or _unread_targets(entry):
            continue
        for first in entries[:number]:
            if first.table.user != mine.user or _unread_targets(first):
                continue
            if shared := _overlap(first.table.targets, mine.targets):
                faults.append(
                    f"{entry.place.key('user')}: {first.place.path} is an account of this user for {shared} already;"
                    " remove one of them, or give them different targets"
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
