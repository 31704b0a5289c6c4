"""From tables to values: required keys, defaults, files, passwords, and what does not fit together."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mysql_wire.passwords import Verifier

from ..endpoint import Address, RDSName, parse_rds_name
from ..local_password import password_fault, without_line_end
from .tables import AccountTable, Entry, ListenerTable, TargetTable, suggestion
from .values import LOGIN_BURST, LOGINS_PER_SECOND, Account, Listener, Target

AWS_LOGIN_LIMIT = 200
"""New IAM logins per second and instance that RDS throttles at."""

_MAX_PASSWORD_FILE = 4096
_MAX_CA_FILE = 16 * 1024 * 1024
_GROUP_OR_OTHERS = 0o066  # may read or write
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PASSWORD_SOURCES = ("password_env", "password_file", "password_hash")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the configuration refers to but does not hold."""

    environ: Mapping[str, str]
    folder: Path
    """Where relative paths start."""


def open_to_others(mode: int) -> bool:
    """Whether group or others can read or write a file of this mode. Windows has no such modes."""
    return os.name != "nt" and bool(mode & _GROUP_OR_OTHERS)


def build_target(name: str, entry: Entry[TargetTable], around: Surroundings, faults: list[str]) -> Target | None:
    """The target, or None when it, or one of its keys, has a fault."""
    before = len(faults)
    table, place = entry.table, entry.place
    if "endpoint" not in entry.given:
        other = ", or give --config FILE" if place.flags else ""
        faults.append(f"{place.key('endpoint')}: required: HOST:PORT of the database, as RDS names it{other}")
    rds_name = None if table.endpoint is None else _rds_name(table.endpoint, entry, faults)
    region = None if rds_name is None else _region(rds_name, entry, faults)
    if rds_name and not rds_name.has_bundled_roots and "ca_file" not in entry.given:
        faults.append(
            f"{place.key('ca_file')}: required: endpoints of {rds_name.partition} have certificates of other roots"
            " than the bundled ones; download that partition's bundle from AWS and name its file"
        )
    if "role_arn" not in entry.given:
        orphans = {"external_id", "role_session_name"} & entry.given
        faults.extend(f"{place.key(key)}: means nothing without role_arn" for key in sorted(orphans))
    ca_file = None if table.ca_file is None else _ca_file(table.ca_file, entry, around, faults)
    if not entry.faultless or len(faults) > before or table.endpoint is None or region is None:
        return None
    given = table.model_dump(exclude={"endpoint", "dial", "region", "ca_file"}, exclude_none=True)
    return Target(
        name=name,
        address=table.endpoint,
        dial=table.dial or table.endpoint,
        region=region,
        ca_file=ca_file,
        **given,
    )


def _rds_name(endpoint: Address, entry: Entry[TargetTable], faults: list[str]) -> RDSName | None:
    rds_name = parse_rds_name(endpoint.host)
    if rds_name is None:
        faults.append(
            f"{entry.place.key('endpoint')}: {endpoint.host} is not a name that RDS gives out. IAM tokens are signed"
            " for the real endpoint, and RDS refuses those for a CNAME or an IP address: write the name that"
            " `aws rds describe-db-instances` (or -clusters, -proxies) shows, and the address of a tunnel as"
            f" {entry.place.short('dial')}"
        )
    return rds_name


def _region(rds_name: RDSName, entry: Entry[TargetTable], faults: list[str]) -> str | None:
    place, given = entry.place, entry.table.region
    if rds_name.region is None and "region" not in entry.given:
        faults.append(
            f"{place.key('region')}: required: a global endpoint does not tell its region; give that of the cluster"
            " that is the writer now"
        )
    elif rds_name.region and given and given != rds_name.region:
        faults.append(
            f"{place.key('region')}: {given}, but the endpoint is in {rds_name.region}, and tokens for another region"
            " are refused; leave the key out"
        )
    return rds_name.region or given


def _ca_file(path: Path, entry: Entry[TargetTable], around: Surroundings, faults: list[str]) -> Path | None:
    key = entry.place.key("ca_file")
    try:
        path = _resolved(path, around)
        with path.open("rb") as file:
            pem = file.read(_MAX_CA_FILE)
    except OSError as exc:
        faults.append(f"{key}: cannot read {path}: {exc.strerror}")
        return None
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        faults.append(f"{key}: {path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
        return None
    return path


def _resolved(path: Path, around: Surroundings) -> Path:
    try:
        return around.folder / path.expanduser()
    except RuntimeError:  # no home folder
        raise FileNotFoundError(2, "no home folder for the ~ in front") from None


def build_listener(entry: Entry[ListenerTable], targets: Collection[str], faults: list[str]) -> Listener | None:
    """The listener, or None when it has a fault. `targets`: all names, also of targets that have faults."""
    table, place = entry.table, entry.place
    for key, what in (("bind", "HOST:PORT to listen on"), ("target", "the name of a target")):
        if key not in entry.given:
            faults.append(f"{place.key(key)}: required: {what}")
    known = _known_targets([] if table.target is None else [table.target], targets, place.key("target"), faults)
    if not known or table.bind is None or table.target is None:
        return None
    return Listener(table.bind, table.target)


def _known_targets(names: Iterable[str], targets: Collection[str], key: str, faults: list[str]) -> bool:
    unknown = [name for name in names if name not in targets]
    faults.extend(f"{key}: no target is called {name}; {suggestion(name, targets)}" for name in unknown)
    return not unknown


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
    _known_targets(table.targets or (), targets, place.key("targets"), faults)
    verifier = _verifier(entry, around, faults)
    user, db_user = table.user or table.db_user, table.db_user or table.user
    if not entry.faultless or len(faults) > before or user is None or db_user is None or verifier is None:
        return None
    return Account(
        user=user,
        verifiers=(verifier,),
        db_user=db_user,
        targets=None if table.targets is None else frozenset(table.targets),
    )


def _verifier(entry: Entry[AccountTable], around: Surroundings, faults: list[str]) -> Verifier | None:
    table, place = entry.table, entry.place
    sources = [source for source in _PASSWORD_SOURCES if source in entry.given]
    if len(sources) > 1:
        names = " and ".join(place.key(source) for source in sources)
        faults.append(f"{names}: one account has one password; keep one of them")
        return None
    if not sources:
        offered = [place.short(s) for s in _PASSWORD_SOURCES if s in place.flags or not place.flags]
        faults.append(place.whole(f"no password: give {' or '.join(offered)}"))
        return None
    try:
        if table.password_env is not None:
            password = _from_variable(table.password_env, around)
        elif table.password_file is not None:
            password = _from_file(table.password_file, around)
        else:
            return table.password_hash
    except ValueError as exc:
        faults.append(f"{place.key(sources[0])}: {exc}")
        return None
    return Verifier.of(password)


def _from_variable(name: str, around: Surroundings) -> bytes:
    # A password put here by mistake must not be shown, so only what looks like a variable's name is.
    shown = name if _VARIABLE.fullmatch(name) else "named here (not shown: it may be a password)"
    value = around.environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {shown} is not set; set it to the password")
    return _accepted(value.encode("utf-8", "surrogateescape"))


def _from_file(path: Path, around: Surroundings) -> bytes:
    try:
        with _resolved(path, around).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_PASSWORD_FILE)
    except OSError as exc:
        raise ValueError(f"the file cannot be read: {exc.strerror}") from None
    if open_to_others(mode):
        raise ValueError(
            f"group or others may read or write the file (mode {mode & 0o777:04o}): chmod 600 it"
            " (a secret mounted into a container: mode 0400)"
        )
    return _accepted(without_line_end(content))


def _accepted(password: bytes) -> bytes:
    if fault := password_fault(password):
        raise ValueError(fault)
    return password


def check_binds(entries: Sequence[Entry[ListenerTable]], faults: list[str]) -> None:
    """Two listeners on one address."""
    seen: dict[Address, str] = {}
    for entry in entries:
        bind = entry.table.bind
        if bind is None or bind.port == 0:
            continue
        same = Address("127.0.0.1", bind.port) if bind.host == "localhost" else bind
        if same in seen:
            faults.append(
                f"{entry.place.key('bind')}: {bind} is already that of {seen[same]}; give each listener its own port"
            )
        seen.setdefault(same, entry.place.path)


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


def check_limits(entries: Sequence[Entry[TargetTable]], faults: list[str]) -> tuple[str, ...]:
    """Targets that name one endpoint share its limiter, so they must agree on it. Returns warnings."""
    warnings = []
    seen: dict[Address, Entry[TargetTable]] = {}
    for entry in entries:
        table, place = entry.table, entry.place
        if (table.logins_per_second or 0) >= AWS_LOGIN_LIMIT:
            warnings.append(
                f"{place.key('logins_per_second')}: {table.logins_per_second:g} per second: RDS throttles IAM logins"
                f" at {AWS_LOGIN_LIMIT} per second and instance, those from other hosts included; stay well below"
            )
        if table.endpoint is None:
            continue
        first = seen.setdefault(table.endpoint, entry)
        for key, default in (("logins_per_second", LOGINS_PER_SECOND), ("login_burst", LOGIN_BURST)):
            mine = getattr(table, key) or default
            theirs = getattr(first.table, key) or default
            if mine != theirs:
                faults.append(
                    f"{place.key(key)}: {mine:g}, but {first.place.path} has {theirs:g} for the same endpoint, and"
                    " the limit is the endpoint's; give both the same"
                )
    return tuple(warnings)
