"""The two ways in: a TOML file, or the flags and variables of `serve ENDPOINT`. All faults come in one ConfigError."""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from pg_wire import scram

from ..errors.tree import ConfigError
from ..files import FileStamp, file_stamp, read_file
from ..logs import takes_colours
from ..net.address import Address
from ..net.sockets import Bind
from .accounts import build_account, check_users
from .admin import build_admin
from .flags import Flag, Flags
from .fleet import build_sharing, check_waits
from .kinds import NAME, UNWRITTEN_PORT
from .lines import Lines
from .listeners import build_listener, check_binds
from .password import SALT_SECRET, PasswordHash
from .reading import Entry, Reading, TableT, note_of, suggestion
from .surroundings import LookUp, Surroundings, exposure, no_dns, resolved
from .tables import (
    SEVERAL,
    TABLES,
    AccountTable,
    AdminTable,
    FleetTable,
    ListenerTable,
    LogTable,
    ProcessTable,
    TargetTable,
    header,
)
from .targets import build_target, check_limits, engine_of
from .values import DRAIN_TIMEOUT, ENGINE_PORTS, Config, Engine, Log

MAX_FILE = 1 << 20
"""Bytes of a configuration file."""

_DEFAULT_LISTEN = Flag("--listen", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class _Entries:
    """All tables, read as far as possible."""

    targets: Mapping[str, Entry[TargetTable]]
    engines: Mapping[str, Engine]
    """Of the targets."""
    listeners: tuple[Entry[ListenerTable], ...]
    accounts: tuple[Entry[AccountTable], ...]
    admin: Entry[AdminTable]
    fleet: Entry[FleetTable]
    log: Entry[LogTable]
    process: Entry[ProcessTable]


def from_file(
    path: Path,
    environ: Mapping[str, str],
    flags: Flags | None = None,
    *,
    rds_name_behind: LookUp = no_dns,
) -> Config:
    """Read the file; relative paths in it start at its folder. Flags of tables that there are once go over it.

    `rds_name_behind` is asked only about an endpoint that is a fault, to say what to write. Raises ConfigError, with
    all faults of the file, the flags and what they refer to.
    """
    flags = flags or {}
    strangers = {key: flag for key, flag in flags.items() if key.partition(".")[0] in SEVERAL}
    process_wide = {key: flag for key, flag in flags.items() if key not in strangers}
    reading = Reading(Surroundings(environ, path.parent, rds_name_behind), process_wide)
    if strangers:
        reading.fault(
            ", ".join(flag.name for flag in strangers.values()),
            f"not possible together with the configuration file {path}, which describes"
            " targets, listeners and accounts; leave out either",
        )
    stamp = file_stamp(path)  # before it is read: a change meanwhile shows as one
    root, status = _read_toml(path, reading)
    entries = _read_tables(root, reading)
    has_hashes = any({"password_hash", "next_password_hash"} & entry.given for entry in entries.accounts)
    if has_hashes and status and (fault := exposure(status, path, reading.around)):
        reading.fault(str(path), f"it holds password hashes, and {fault}")
    for key in SEVERAL:
        if root and not root.get(key):
            reading.fault(key, f"none; there must be at least one {header(key)}")
    return _build(entries, reading, {path: stamp})


def from_flags(
    flags: Flags,
    environ: Mapping[str, str],
    *,
    generated_password: str | None = None,
    rds_name_behind: LookUp = no_dns,
) -> Config:
    """One target, one listener, one account.

    `generated_password` is used when no flag names a password. Raises ConfigError with all faults.
    """
    reading = Reading(
        Surroundings(environ, Path(), rds_name_behind), {"listeners.bind": _DEFAULT_LISTEN, **flags}, is_flags=True
    )
    account = {}
    if generated_password is not None and not {"accounts.password_env", "accounts.password_file"} & flags.keys():
        salt = scram.salt_for(SALT_SECRET, _user(flags))
        account["password_hash"] = PasswordHash.of(generated_password.encode(), salt).format()
    name = _target_name(flags)
    root = {"targets": {name: {}}, "listeners": [{"target": name}], "accounts": [account]}
    return _build(_read_tables(root, reading), reading)


def _user(flags: Flags) -> bytes:
    """The name that clients give."""
    user = flags.get("accounts.user") or flags.get("accounts.db_user")
    return b"" if user is None else user.value.encode("utf-8", "surrogateescape")


def _target_name(flags: Flags) -> str:
    """The host's first label."""
    try:
        return Address.parse(flags["targets.endpoint"].value).host.partition(".")[0]
    except (KeyError, ValueError):
        return "target"


def _read_tables(root: Mapping[str, Any], reading: Reading) -> _Entries:
    process = {key: value for key, value in root.items() if key in ProcessTable.model_fields}
    targets = {name: _with_ports(entry) for name, entry in _read_targets(root.get("targets", {}), reading).items()}
    engines = {name: engine_of(entry) for name, entry in targets.items()}
    listeners = _read_array(ListenerTable, "listeners", root, reading)
    return _Entries(
        targets=targets,
        engines=engines,
        listeners=tuple(_with_port(entry, engines) for entry in listeners),
        accounts=_read_array(AccountTable, "accounts", root, reading),
        admin=reading.table(AdminTable, root.get("admin", {}), reading.place("admin")),
        fleet=reading.table(FleetTable, root.get("fleet", {}), reading.place("fleet")),
        log=reading.table(LogTable, root.get("log", {}), reading.place("log")),
        process=reading.table(ProcessTable, process, reading.place()),
    )


def _with_ports(entry: Entry[TargetTable]) -> Entry[TargetTable]:
    """Where none is written, it is the engine's."""
    port = ENGINE_PORTS[engine_of(entry)]
    addresses = {"endpoint": entry.table.endpoint, "dial": entry.table.dial}
    filled = {key: Address(address.host, port) for key, address in addresses.items() if _lacks_port(address)}
    return replace(entry, table=entry.table.model_copy(update=filled))


def _with_port(entry: Entry[ListenerTable], engines: Mapping[str, Engine]) -> Entry[ListenerTable]:
    bind = entry.table.bind
    if not _lacks_port(bind):
        return entry
    port = ENGINE_PORTS[engines.get(entry.table.target or "", "mysql")]
    return replace(entry, table=entry.table.model_copy(update={"bind": Address(bind.host, port)}))


def _lacks_port(bind: Bind | None) -> TypeGuard[Address]:
    return isinstance(bind, Address) and bind.port == UNWRITTEN_PORT


def _build(entries: _Entries, reading: Reading, files: Mapping[Path, FileStamp] = MappingProxyType({})) -> Config:
    files = MappingProxyType({**files, **{path: file_stamp(path) for path in _files(entries, reading.around)}})
    targets = {name: build_target(name, entry, reading) for name, entry in entries.targets.items()}
    listeners = [build_listener(entry, entries.engines, reading) for entry in entries.listeners]
    accounts = [build_account(entry, entries.engines, reading) for entry in entries.accounts]
    check_binds(entries.listeners, reading)
    check_users(entries.accounts, reading)
    check_limits(list(entries.targets.values()), reading)
    admin = build_admin(entries.admin, reading)
    sharing = build_sharing(entries.fleet, reading)
    check_waits(sharing, entries.targets.values(), reading)
    if reading.faults:
        raise ConfigError(list(reading.faults))
    log, drain_timeout = entries.log.table, entries.process.table.drain_timeout
    return Config(
        targets=MappingProxyType({name: target for name, target in targets.items() if target}),
        listeners=tuple(listener for listener in listeners if listener),
        accounts=tuple(account for account in accounts if account),
        log=Log(log.format, log.level or Log().level, takes_colours(reading.around.environ)),
        admin=admin,
        sharing=sharing,
        drain_timeout=DRAIN_TIMEOUT if drain_timeout is None else drain_timeout,
        warnings=tuple(reading.warnings),
        files=files,
        tunnel_environ=_tunnel_environ(entries, reading.around),
        fixed_passwords=(
            *(
                str(entry.table.user or entry.table.db_user)
                for entry in entries.accounts
                if {"password_env", "next_password_env"} & entry.given
            ),
            *(["[fleet]"] if "store_password_env" in entries.fleet.given else []),
        ),
    )


def _tunnel_environ(entries: _Entries, around: Surroundings) -> Mapping[str, str]:
    """Empty where there is no tunnel."""
    if not any(entry.table.tunnel for entry in entries.targets.values()):
        return {}
    tables = [entry.table for entry in entries.accounts]
    passwords = {name for table in tables for name in (table.password_env, table.next_password_env)}
    passwords.add(entries.fleet.table.store_password_env)
    return {name: value for name, value in around.environ.items() if name not in passwords}


def _files(entries: _Entries, around: Surroundings) -> Iterator[Path]:
    """Those that the tables name."""
    for target in entries.targets.values():
        yield from _resolved((target.table.ca_file,), around)
    for listener in entries.listeners:
        yield from _resolved((listener.table.tls_cert, listener.table.tls_key), around)
    fleet = entries.fleet.table
    yield from _resolved((fleet.store_password_file, fleet.store_ca_file), around)
    for account in entries.accounts:
        yield from _resolved((account.table.password_file, account.table.next_password_file), around)


def _resolved(paths: Iterable[Path | None], around: Surroundings) -> Iterator[Path]:
    for path in paths:
        if path is not None:
            with suppress(OSError):  # no home folder: a fault of the key
                yield resolved(path, around)


def _read_toml(path: Path, reading: Reading) -> tuple[dict[str, Any], os.stat_result | None]:
    """The file's content and whose it is; empty when it cannot be read, which is a fault."""
    try:
        content, status = read_file(path, MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ValueError(f"longer than {MAX_FILE} bytes")
        text = content.decode("utf-8-sig")
        root = tomllib.loads(text)
    except OSError as exc:
        reading.fault(str(path), f"cannot be read: {exc.strerror}")
    except UnicodeDecodeError as exc:
        reading.fault(str(path), f"byte {exc.start + 1} is not UTF-8, which TOML files are written in")
    except ValueError as exc:  # numbers of thousands of digits are no TOMLDecodeError
        reading.fault(str(path), f"not valid TOML: {exc}")
    except RecursionError:
        reading.fault(str(path), "its tables or arrays are nested too deeply")
    else:
        reading.lines = Lines(text)
        top = [*filter(None, TABLES), *ProcessTable.model_fields]
        for key in root:
            if key not in top:
                reading.fault(reading.place().key(key), f"unknown key; {suggestion(key, top)}")
        if not root:
            reading.fault(str(path), "empty; it needs targets, listeners and accounts")
        return root, status
    return {}, None


def _read_targets(raw: object, reading: Reading) -> dict[str, Entry[TargetTable]]:
    if not isinstance(raw, dict):
        reading.fault(reading.place("targets").spot, "must be tables [targets.NAME]")
        return {}
    entries = {}
    for name, table in raw.items():
        place = reading.place("targets", name)
        if not NAME.fullmatch(name):
            reading.fault(place.spot, "a target's name has 1 to 64 letters, digits, - or _")
        elif not isinstance(table, dict):
            reading.fault(place.spot, "must be a table; the keys of a target are written below [targets.NAME]")
        else:
            entries[name] = reading.table(TargetTable, table, place)
    return entries


def _read_array(model: type[TableT], key: str, root: Mapping[str, Any], reading: Reading) -> tuple[Entry[TableT], ...]:
    raw = root.get(key, [])
    if not isinstance(raw, list):
        reading.fault(reading.place(key).spot, f"must be tables {header(key)}, with two brackets")
        return ()
    return tuple(
        reading.table(model, table, reading.place(key, number, note=note_of(table))) for number, table in enumerate(raw)
    )
