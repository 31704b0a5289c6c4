"""The two ways in: a TOML file, or the flags and variables of `serve ENDPOINT`. All faults come in one ConfigError."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mysql_wire.passwords import Verifier

from ..errors.tree import ConfigError
from ..files import FileStamp, file_stamp, read_file
from .accounts import build_account, check_users
from .admin import build_admin
from .listeners import build_listener, check_binds
from .surroundings import LookUp, Surroundings, no_dns, open_to_others, resolved
from .tables import (
    NAME,
    AccountTable,
    AdminTable,
    Entry,
    ListenerTable,
    LogTable,
    Place,
    ProcessTable,
    TableT,
    TargetTable,
    read_table,
    suggestion,
)
from .targets import build_target, check_limits
from .values import DRAIN_TIMEOUT, Config, Log

PROCESS_FLAGS = frozenset({"admin", "admin_token_file", "log_format", "log_level", "drain_timeout"})
"""Flags that override the file; every other one describes what the file describes."""

_TARGET_FLAGS = (
    "endpoint", "dial", "region", "profile", "ca_file", "logins_per_second", "max_sessions",
)  # fmt: skip
_ADMIN_FLAGS = {"bind": "admin", "token_file": "admin_token_file"}
_ACCOUNT_FLAGS = ("user", "password_env", "password_file", "db_user")
_DEFAULT_LISTEN = "127.0.0.1:3306"
_TOP_KEYS = ("targets", "listeners", "accounts", "admin", "log", "drain_timeout")
_TABLE_ARRAYS = ("listeners", "accounts")


@dataclass(frozen=True, slots=True)
class Flag:
    """A value from the command line or its variable, and the name it was given by: `--dial`, RDS_IAM_PROXY_DIAL."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class _Entries:
    """All tables, read as far as possible."""

    targets: Mapping[str, Entry[TargetTable]]
    listeners: tuple[Entry[ListenerTable], ...]
    accounts: tuple[Entry[AccountTable], ...]
    admin: Entry[AdminTable]
    admin_flags: Entry[AdminTable]
    log: Entry[LogTable]
    log_flags: Entry[LogTable]
    process: Entry[ProcessTable]
    process_flags: Entry[ProcessTable]


def from_file(
    path: Path,
    environ: Mapping[str, str],
    flags: Mapping[str, Flag] | None = None,
    *,
    rds_name_behind: LookUp = no_dns,
) -> Config:
    """Read the file; relative paths in it start at its folder. `flags` of PROCESS_FLAGS override it.

    `rds_name_behind` is asked only about an endpoint that is a fault, to say what to write. Raises ConfigError, with
    all faults of the file, the flags and what they refer to.
    """
    flags = flags or {}
    faults: list[str] = []
    if strangers := [flag.name for key, flag in flags.items() if key not in PROCESS_FLAGS]:
        faults.append(
            f"{', '.join(strangers)}: not possible together with the configuration file {path}, which describes"
            " targets, listeners and accounts; leave out either"
        )
    stamp = file_stamp(path)  # before it is read: a change meanwhile shows as one
    root, mode = _read_toml(path, faults)
    entries = _Entries(
        targets=_read_targets(root.get("targets", {}), faults),
        listeners=_read_array(ListenerTable, "listeners", root, faults),
        accounts=_read_array(AccountTable, "accounts", root, faults),
        admin=read_table(AdminTable, root.get("admin", {}), Place("admin"), faults),
        admin_flags=_read_flags(AdminTable, _ADMIN_FLAGS, flags, faults),
        log=read_table(LogTable, root.get("log", {}), Place("log"), faults),
        log_flags=_read_flags(LogTable, {"format": "log_format", "level": "log_level"}, flags, faults),
        process=read_table(ProcessTable, _only(root, "drain_timeout"), Place(), faults),
        process_flags=_read_flags(ProcessTable, {"drain_timeout": "drain_timeout"}, flags, faults),
    )
    around = Surroundings(environ, path.parent, rds_name_behind)
    if open_to_others(mode, path, around) and any(
        {"password_hash", "next_password_hash"} & entry.given for entry in entries.accounts
    ):
        faults.append(
            f"{path}: holds password hashes, but group or others may read or write it"
            f" (mode {mode & 0o777:04o}): chmod 600 it"
        )
    if root:
        missing = [key for key in ("targets", *_TABLE_ARRAYS) if not root.get(key)]
        faults.extend(f"{key}: none; there must be at least one {_header(key)}" for key in missing)
    return _build(entries, around, faults, {path: stamp})


def from_flags(
    flags: Mapping[str, Flag],
    environ: Mapping[str, str],
    *,
    generated_password: str | None = None,
    rds_name_behind: LookUp = no_dns,
) -> Config:
    """One target, one listener, one account. The keys of `flags` are the flags' names with underscores.

    `generated_password` is used when no flag names a password. Raises ConfigError with all faults.
    """
    faults: list[str] = []
    target = _read_flags(TargetTable, {key: key for key in _TARGET_FLAGS}, flags, faults)
    host = "" if target.table.endpoint is None else target.table.endpoint.host
    name = host.partition(".")[0] or "target"
    flags = {"listen": Flag("--listen", _DEFAULT_LISTEN), **flags}
    listener = _read_flags(ListenerTable, {"bind": "listen"}, flags, faults, more={"target": name})
    account: dict[str, object] = {}
    if generated_password is not None and not {"password_env", "password_file"} & flags.keys():
        account["password_hash"] = Verifier.of(generated_password.encode()).format()
    entries = _Entries(
        targets={name: target},
        listeners=(listener,),
        accounts=(_read_flags(AccountTable, {key: key for key in _ACCOUNT_FLAGS}, flags, faults, more=account),),
        admin=read_table(AdminTable, {}, Place(), faults),
        admin_flags=_read_flags(AdminTable, _ADMIN_FLAGS, flags, faults),
        log=read_table(LogTable, {}, Place(), faults),
        log_flags=_read_flags(LogTable, {"format": "log_format", "level": "log_level"}, flags, faults),
        process=read_table(ProcessTable, {}, Place(), faults),
        process_flags=_read_flags(ProcessTable, {"drain_timeout": "drain_timeout"}, flags, faults),
    )
    return _build(entries, Surroundings(environ, Path(), rds_name_behind), faults)


def _build(
    entries: _Entries, around: Surroundings, faults: list[str], files: Mapping[Path, FileStamp] = MappingProxyType({})
) -> Config:
    files = MappingProxyType({**files, **{path: file_stamp(path) for path in _files(entries, around)}})
    names = entries.targets.keys()
    targets = {name: build_target(name, entry, around, faults) for name, entry in entries.targets.items()}
    listeners = [build_listener(entry, names, around, faults) for entry in entries.listeners]
    accounts = [build_account(entry, names, around, faults) for entry in entries.accounts]
    check_binds(entries.listeners, faults)
    check_users(entries.accounts, faults)
    warnings = check_limits(list(entries.targets.values()), faults)
    admin = build_admin(entries.admin, entries.admin_flags, around, faults)
    if faults:
        raise ConfigError(faults)
    log, log_flags = entries.log.table, entries.log_flags.table
    drain = (entries.process_flags.table.drain_timeout, entries.process.table.drain_timeout, DRAIN_TIMEOUT)
    return Config(
        targets=MappingProxyType({name: target for name, target in targets.items() if target}),
        listeners=tuple(listener for listener in listeners if listener),
        accounts=tuple(account for account in accounts if account),
        log=Log(
            format=log_flags.format or log.format,
            level=log_flags.level or log.level or Log().level,
        ),
        admin=admin,
        drain_timeout=next(seconds for seconds in drain if seconds is not None),
        warnings=warnings,
        files=files,
        fixed_passwords=tuple(
            str(entry.table.user or entry.table.db_user)
            for entry in entries.accounts
            if {"password_env", "next_password_env"} & entry.given
        ),
    )


def _files(entries: _Entries, around: Surroundings) -> Iterator[Path]:
    """Those that the tables name."""
    for target in entries.targets.values():
        yield from _resolved((target.table.ca_file,), around)
    for listener in entries.listeners:
        yield from _resolved((listener.table.tls_cert, listener.table.tls_key), around)
    for account in entries.accounts:
        yield from _resolved((account.table.password_file, account.table.next_password_file), around)


def _resolved(paths: Iterable[Path | None], around: Surroundings) -> Iterator[Path]:
    for path in paths:
        if path is not None:
            with suppress(OSError):  # no home folder: a fault of the key
                yield resolved(path, around)


def _read_toml(path: Path, faults: list[str]) -> tuple[dict[str, Any], int]:
    """The file's content and its mode; empty when it cannot be read, which is a fault."""
    try:
        content, status = read_file(path)
        root = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as exc:
        faults.append(f"{path}: cannot be read: {exc.strerror}")
    except UnicodeDecodeError as exc:
        faults.append(f"{path}: byte {exc.start + 1} is not UTF-8, which TOML files are written in")
    except tomllib.TOMLDecodeError as exc:
        faults.append(f"{path}: not valid TOML: {exc}")
    except RecursionError:
        faults.append(f"{path}: its tables or arrays are nested too deeply")
    else:
        faults.extend(f"{key}: unknown key; {suggestion(key, _TOP_KEYS)}" for key in root if key not in _TOP_KEYS)
        if not root:
            faults.append(f"{path}: empty; it needs targets, listeners and accounts")
        return root, status.st_mode
    return {}, 0


def _read_targets(raw: object, faults: list[str]) -> dict[str, Entry[TargetTable]]:
    if not isinstance(raw, dict):
        faults.append("targets: must be tables [targets.NAME]")
        return {}
    entries = {}
    for name, table in raw.items():
        place = Place(f"targets.{name}")
        if not NAME.fullmatch(name):
            faults.append(place.whole("a target's name has 1 to 64 letters, digits, - or _"))
        elif not isinstance(table, dict):
            faults.append(place.whole("must be a table; the keys of a target are written below [targets.NAME]"))
        else:
            entries[name] = read_table(TargetTable, table, place, faults)
    return entries


def _read_array(model: type[TableT], key: str, root: Mapping[str, Any], faults: list[str]) -> tuple[Entry[TableT], ...]:
    raw = root.get(key, [])
    if not isinstance(raw, list):
        faults.append(f"{key}: must be tables {_header(key)}, with two brackets")
        return ()
    places = (Place(f"{key}[{number}]", _note(table)) for number, table in enumerate(raw))
    return tuple(read_table(model, table, place, faults) for table, place in zip(raw, places, strict=True))


def _note(table: object) -> str:
    """Whom the table is about, because nobody likes to count tables."""
    user = table.get("user") if isinstance(table, dict) else None
    return f" (user {user})" if isinstance(user, str) and 0 < len(user) <= 40 else ""


def _header(key: str) -> str:
    return f"[[{key}]]" if key in _TABLE_ARRAYS else f"[{key}.NAME]"


def _only(root: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: root[key]} if key in root else {}


def _read_flags(
    model: type[TableT],
    keys: Mapping[str, str],
    flags: Mapping[str, Flag],
    faults: list[str],
    *,
    more: Mapping[str, object] | None = None,
) -> Entry[TableT]:
    """A table whose keys come from flags (`keys`: of the table, of the flag), and `more` that no flag gives."""
    raw: dict[str, object] = {key: flags[flag].value for key, flag in keys.items() if flag in flags}
    names = {key: flags[flag].name if flag in flags else _spelled(flag) for key, flag in keys.items()}
    return read_table(model, {**raw, **(more or {})}, Place(flags=names), faults, from_text=True)


def _spelled(flag: str) -> str:
    return "ENDPOINT" if flag == "endpoint" else f"--{flag.replace('_', '-')}"
