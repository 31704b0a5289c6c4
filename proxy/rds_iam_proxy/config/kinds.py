"""What the value of a key may be: a validator each, and how documents name it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar, get_args

from pydantic import Field, PlainValidator

from ..limits.store_place import DEFAULT_PORT as STORE_PORT
from ..net.address import ADMIN_PORT, Address
from ..net.sockets import MAX_SOCKET_PATH, Bind, SocketName
from .password import PasswordHash
from .values import (
    AuthMode,
    CommandTunnel,
    Engine,
    LogFormat,
    LogLevel,
    SSHTunnel,
    SSMTunnel,
    TLSMode,
)
from .values import (
    Tunnel as TunnelValue,
)

MAX_USER = 128
"""Bytes: MariaDB's limit for a user name; MySQL's is 32 characters."""

UNWRITTEN_PORT = -1
"""Of an address that names none: then it is the engine's."""

_UNIX = "unix:"
_SYSTEMD = "systemd:"
_SOCKET_NAME = re.compile(r"[!-9;-~]{1,255}")  # as FileDescriptorName= takes them: no colon, no space
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)  # as STS AssumeRole takes them
_BUDGET = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CACHE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,49}")  # as ElastiCache and MemoryDB name them
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

_SSH = re.compile(r"((?:[\w.+-]+@)?[\w.-]+|(?:[\w.+-]+@)?\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_SSM = re.compile(r"m?i-[0-9a-f]{8,17}|ecs:[\w-]{1,255}_[0-9a-f]{8,64}_[0-9a-f]{8,64}-[0-9]{1,20}", re.ASCII)
_LOCAL_PORT = "{local_port}"

T = TypeVar("T")


class Kind(str):
    """How documents name what may be written; numbers, switches and choices tell it themselves."""

    __slots__ = ()


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
    address = Address.parse(value, default_port=UNWRITTEN_PORT)
    if address.port == 0:
        raise ValueError("port 0 is not a port to connect to")
    return address


def _tunnel(value: object) -> TunnelValue:
    if isinstance(value, list):
        return _command(value)
    kind, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind == "ssh" and not rest.startswith("-") and (ssh := _SSH.fullmatch(rest)):
        port = None if ssh[2] is None else int(ssh[2])
        if port is not None and not 0 < port < 65_536:
            raise ValueError("the port of ssh is not a number from 1 to 65535")
        return SSHTunnel(ssh[1].replace("[", "").replace("]", ""), port)
    if kind == "ssm" and _SSM.fullmatch(rest):
        return SSMTunnel(rest)
    raise ValueError(
        "write ssh:[USER@]HOST[:PORT], ssm:i-INSTANCE, ssm:ecs:CLUSTER_TASK_RUNTIME, or in a configuration file a"
        f" command as a list of words, one of which has {_LOCAL_PORT}"
    )


def _command(words: list[object]) -> CommandTunnel:
    texts = tuple(word for word in words if isinstance(word, str) and "\0" not in word)
    if len(texts) != len(words) or not words or not texts[0]:
        raise ValueError("a command is a list of texts, its program first")
    if not any(_LOCAL_PORT in text for text in texts):
        raise ValueError(f"the command must listen on {_LOCAL_PORT}, and no word of it has that")
    return CommandTunnel(texts)


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
        return Address.parse(value, default_port=UNWRITTEN_PORT)
    path = value.removeprefix(_UNIX)
    if not path.startswith("/") or "\0" in path:
        raise ValueError("write a Unix socket with its whole path, as unix:/run/rds-iam-proxy/mysql.sock")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ValueError(f"the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes")
    return Path(path)


@dataclass(frozen=True, slots=True)
class StoreURL:
    """`rediss://HOST:PORT`, or `redis://` without TLS."""

    address: Address
    tls: bool


def _store_url(value: str) -> StoreURL:
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in ("rediss", "redis"):
        raise ValueError("write rediss://HOST:PORT (with TLS) or redis://HOST:PORT")
    if "@" in rest:
        raise ValueError("write no user and password into it; they are store_user and store_password_file")
    address = Address.parse(rest.removesuffix("/"), default_port=STORE_PORT)
    if address.port == 0:
        raise ValueError("port 0 is not a port to connect to")
    return StoreURL(address, tls=scheme == "rediss")


UserName = Annotated[str, _text(_user), Kind(f"text, at most {MAX_USER} bytes")]
Words = Annotated[str, _text(_not_empty), Kind("text")]
Hash = Annotated[PasswordHash, _text(PasswordHash.parse), Kind("`native:HEX,sha2:HEX,scram:VERIFIER`")]
File = Annotated[Path, _text(lambda value: Path(_not_empty(value))), Kind("path")]
RemoteAddress = Annotated[Address, _text(_remote_address), Kind("`HOST` or `HOST:PORT`")]
ListenAt = Annotated[Bind, _text(_bind), Kind("`HOST:PORT`, `unix:/PATH` or `systemd:NAME`")]
AdminAddress = Annotated[Address, _text(_admin_bind), Kind("`HOST:PORT`")]
HostName = Annotated[str, _matching(_HOST_NAME, "must be a host name, as proxy.example.com is"), Kind("host name")]
Store = Annotated[StoreURL, _text(_store_url), Kind("`rediss://HOST:PORT`")]
Budget = Annotated[str, _matching(_BUDGET, "must be 1 to 128 letters, digits or _.:-"), Kind("name")]
Cache = Annotated[str, _matching(_CACHE, "is not the name of a cache: its first label, as my-cache"), Kind("name")]
Region = Annotated[str, _matching(_REGION, "is not the name of a region, as eu-west-1 is"), Kind("name of a region")]
RoleARN = Annotated[str, _matching(_ROLE_ARN, "must be arn:aws:iam::ACCOUNT:role/NAME, with 12 digits"), Kind("ARN")]
ExternalID = Annotated[str, _matching(_EXTERNAL_ID, "must be 2 to 1224 letters, digits or +=,.@:/-_"), Kind("text")]
SessionName = Annotated[str, _matching(_SESSION_NAME, "must be 2 to 64 letters, digits or +=,.@-_"), Kind("text")]
EngineName = Annotated[Engine, _one_of(Engine)]
TLS = Annotated[TLSMode, _one_of(TLSMode)]
Auth = Annotated[AuthMode, _one_of(AuthMode)]
Format = Annotated[LogFormat, _one_of(LogFormat)]
Level = Annotated[LogLevel, _one_of(LogLevel)]
Names = Annotated[list[str], Field(min_length=1), Kind("list of names")]
Rate = Annotated[float, Field(gt=0)]
Tunnel = Annotated[
    TunnelValue, PlainValidator(_tunnel), Kind("`ssh:[USER@]HOST[:PORT]`, `ssm:TARGET` or list of words")
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
