"""The keys of the configuration and what each may hold, one pydantic model per table. Checks of one key only.

Every key is optional here: a table that has a faulty key is still read as far as it goes, so that all faults can
be reported at once. Which keys are required, and what fits together, is for `build`.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from mysql_wire.passwords import Verifier

from ..net.address import Address
from ..net.sockets import Bind, SocketName
from .values import LogFormat, LogLevel, TLSMode

MAX_USER = 128
"""Bytes: MariaDB's limit for a user name; MySQL's is 32 characters."""

MAX_LOGIN_WAIT = 9.5
"""Seconds: mysql2 and mysqljs give up at 10."""

MIN_IDLE_TIMEOUT = 1.0
"""Seconds: less is not silence."""

MAX_SOCKET_PATH = 103
"""Bytes: what fits into sockaddr_un everywhere."""

ADMIN_PORT = 9090

_UNIX = "unix:"
_SYSTEMD = "systemd:"
_SOCKET_NAME = re.compile(r"[!-9;-~]{1,255}")  # as FileDescriptorName= takes them: no colon, no space
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)  # as STS AssumeRole takes them
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

T = TypeVar("T")


def _text(check: Callable[[str], T]) -> PlainValidator:
    """A validator of a key whose value is written as text."""

    def validate(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError("must be text in quotes")
        return check(value)

    return PlainValidator(validate)


def _matching(pattern: re.Pattern[str], fault: str) -> PlainValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(fault)
        return value

    return _text(check)


def _one_of(literal: object) -> PlainValidator:
    choices = get_args(literal)

    def check(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value.lower()

    return _text(check)


def _not_empty(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("must not be empty" if not value else "must not have a NUL in it")
    return value


def _user(value: str) -> str:
    try:
        name = _not_empty(value).encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid UTF-8") from None
    if len(name) > MAX_USER:
        raise ValueError(f"has {len(name)} bytes, a user name has at most {MAX_USER}")
    return value


def _remote_address(value: str) -> Address:
    address = Address.parse(value)
    if address.port == 0:
        raise ValueError("port 0 is not a port to connect to")
    return address


def _admin_bind(value: str) -> Address:
    return Address.parse(value, default_port=ADMIN_PORT)


def _bind(value: str) -> Bind:
    """The address to listen on, port 0 for any free port; the path of a Unix socket; the name of one of systemd's."""
    if value.startswith(_SYSTEMD):
        name = value.removeprefix(_SYSTEMD)
        if not _SOCKET_NAME.fullmatch(name):
            raise ValueError("write a socket of systemd as systemd:NAME, with the FileDescriptorName= of its unit")
        return SocketName(name)
    if not value.startswith(_UNIX):
        return Address.parse(value)
    path = value.removeprefix(_UNIX)
    if not path.startswith("/") or "\0" in path:
        raise ValueError("write a Unix socket with its whole path, as unix:/run/rds-iam-proxy/mysql.sock")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ValueError(f"the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes")
    return Path(path)


def is_loopback(address: Address) -> bool:
    """Whether only this machine can connect there."""
    if address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


def loopback_bind(value: str) -> Address:
    """The address to listen on, port 0 for any free port. Raises ValueError unless it is a loopback address."""
    address = Address.parse(value)
    if not is_loopback(address):
        raise ValueError(f"{address.host} is not a loopback address; use 127.0.0.1:{address.port}")
    return address


_UserName = Annotated[str, _text(_user)]
_Words = Annotated[str, _text(_not_empty)]
_Hash = Annotated[Verifier, _text(Verifier.parse)]
_File = Annotated[Path, _text(lambda value: Path(_not_empty(value)))]
_RemoteAddress = Annotated[Address, _text(_remote_address)]
_Region = Annotated[str, _matching(_REGION, "is not the name of a region, as eu-west-1 is")]
_RoleARN = Annotated[str, _matching(_ROLE_ARN, "must be arn:aws:iam::ACCOUNT:role/NAME, with 12 digits")]
_ExternalID = Annotated[str, _matching(_EXTERNAL_ID, "must be 2 to 1224 letters, digits or +=,.@:/-_")]
_SessionName = Annotated[str, _matching(_SESSION_NAME, "must be 2 to 64 letters, digits or +=,.@-_")]


class Table(BaseModel):
    """A table of the file; unknown keys are faults, and no error shows a value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False, revalidate_instances="never"
    )


class TargetTable(Table):
    """`[targets.NAME]`"""

    endpoint: _RemoteAddress | None = None
    dial: _RemoteAddress | None = None
    region: _Region | None = None
    profile: _Words | None = None
    role_arn: _RoleARN | None = None
    external_id: _ExternalID | None = None
    role_session_name: _SessionName | None = None
    ca_file: _File | None = None
    follow_cname: bool = False
    logins_per_second: Annotated[float, Field(gt=0)] | None = None
    login_burst: Annotated[int, Field(ge=1, le=1000)] | None = None
    login_wait: Annotated[float, Field(ge=0, le=MAX_LOGIN_WAIT)] | None = None
    max_sessions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_sessions_per_account: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    idle_timeout: Annotated[float, Field(ge=MIN_IDLE_TIMEOUT)] | None = None


class ListenerTable(Table):
    """`[[listeners]]`"""

    bind: Annotated[Bind, _text(_bind)] | None = None
    target: _Words | None = None
    tls: Annotated[TLSMode, _one_of(TLSMode)] | None = None
    tls_cert: _File | None = None
    tls_key: _File | None = None
    allow_remote: bool = False


class AccountTable(Table):
    """`[[accounts]]`"""

    user: _UserName | None = None
    password_env: _Words | None = None
    password_file: _File | None = None
    password_hash: _Hash | None = Field(default=None, repr=False)
    next_password_env: _Words | None = None
    next_password_file: _File | None = None
    next_password_hash: _Hash | None = Field(default=None, repr=False)
    peer_user: _Words | None = None
    allow_replication: bool = False
    db_user: _UserName | None = None
    targets: Annotated[list[str], Field(min_length=1)] | None = None


class LogTable(Table):
    """`[log]`"""

    format: Annotated[LogFormat, _one_of(LogFormat)] | None = None
    level: Annotated[LogLevel, _one_of(LogLevel)] | None = None


class AdminTable(Table):
    """`[admin]`"""

    bind: Annotated[Address, _text(_admin_bind)] | None = None
    token_file: _File | None = None
    health_bind: Annotated[Address, _text(_admin_bind)] | None = None
    metrics_bind: Annotated[Address, _text(_admin_bind)] | None = None
    public_host: Annotated[str, _matching(_HOST_NAME, "must be a host name, as proxy.example.com is")] | None = None


class ProcessTable(Table):
    """The keys outside any table."""

    drain_timeout: Annotated[float, Field(ge=0, le=86_400)] | None = None


TableT = TypeVar("TableT", bound=Table)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person finds a table: its path in the file, or the flags and variables that make it up."""

    path: str = ""
    note: str = ""
    flags: Mapping[str, str] = dataclass_field(default_factory=dict)

    def key(self, key: str) -> str:
        """`targets.orders.endpoint`, or `--dial`."""
        if key in self.flags:
            return self.flags[key]
        return f"{self.path}.{key}{self.note}" if self.path else key

    def short(self, key: str) -> str:
        """The key in a text that already says which table is meant."""
        return self.flags.get(key, key)

    def whole(self, text: str) -> str:
        """A fault of the whole table."""
        return f"{self.path}{self.note}: {text}" if self.path else text


@dataclass(frozen=True, slots=True)
class Entry(Generic[TableT]):
    """A table as far as it could be read. A faulty key is None in `table` but is in `given`."""

    table: TableT
    given: frozenset[str]
    place: Place
    faultless: bool


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown name."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there is: {', '.join(known)}" if known else "there is none"


def read_table(
    model: type[TableT], raw: object, place: Place, faults: list[str], *, from_text: bool = False
) -> Entry[TableT]:
    """Read one table and report the faults of its keys. `from_text`: numbers are written as text, as in flags."""
    if not isinstance(raw, dict):
        faults.append(place.whole("must be a table"))
        return Entry(model(), frozenset(), place, faultless=False)
    given = cast(dict[str, Any], raw)
    try:
        return Entry(model.model_validate(given, strict=not from_text), frozenset(given), place, faultless=True)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    bad = {str(error["loc"][0]) for error in errors}
    for error in errors:
        key = str(error["loc"][0])
        if error["type"] == "extra_forbidden":
            text = f"unknown key; {suggestion(key, model.model_fields)}"
        else:
            text = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        faults.append(f"{place.key(key)}: {text}")
    rest = {key: value for key, value in given.items() if key not in bad}
    return Entry(model.model_validate(rest, strict=not from_text), frozenset(given), place, faultless=False)
