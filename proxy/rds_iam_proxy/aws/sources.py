"""Where boto3 looks for credentials, in its order, and what is to be seen there without asking anybody.

What is in the variables and files is never shown, but for paths and the names of profiles and settings.
"""

import configparser
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from ..files import read_file
from ..logs import escaped, printable

PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
"""In boto3's order."""

METADATA_HOST = "169.254.169.254"

_CONTAINER_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_KINDS = ("aws_access_key_id", "credential_process", "sso_session", "sso_start_url", "role_arn", "login_session")
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One place, and what was found there."""

    name: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"


def drop_empty_variables(environ: MutableMapping[str, str]) -> None:
    """An empty AWS_ variable is one that is not set: compose files and units leave them so, and boto3 takes them."""
    for name in [name for name, value in environ.items() if name.startswith("AWS_") and not value]:
        del environ[name]


def profile_by_variable(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The profile that a variable names, and the variable."""
    return next(((environ[name], name) for name in PROFILE_VARIABLES if environ.get(name)), None)


def file_paths(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Of ~/.aws/config and ~/.aws/credentials, or what stands for them."""
    config = environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
    credentials = environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return Path(os.path.expanduser(config)), Path(os.path.expanduser(credentials))


def metadata_goes_by_proxy(environ: Mapping[str, str]) -> bool:
    """HTTP_PROXY is set, and NO_PROXY does not name the metadata service, which no proxy reaches."""
    lower = {name.lower(): value for name, value in environ.items() if value}
    excepted = [name.strip() for name in lower.get("no_proxy", "").split(",")]
    return "http_proxy" in lower and not {METADATA_HOST, "*", "169.254.0.0/16"} & set(excepted)


def sources(profile: str | None, environ: Mapping[str, str]) -> tuple[Source, ...]:
    """All places in boto3's order, but for the metadata service, which must be asked. It reads files: for a thread."""
    by_variable = profile_by_variable(environ)
    name = profile or (by_variable[0] if by_variable else "default")
    return (
        Source("environment", _variables(profile, environ)),
        Source("web identity", _web_identity(environ)),
        *(Source(str(path), _in_file(path, name)) for path in reversed(file_paths(environ))),
        Source("container", _container(environ)),
    )


def _variables(profile: str | None, environ: Mapping[str, str]) -> str:
    if profile is not None:
        return "not looked at, because a profile is named"
    if not environ.get("AWS_ACCESS_KEY_ID"):
        return "AWS_ACCESS_KEY_ID is not set"
    return "AWS_ACCESS_KEY_ID is set" + (
        "" if environ.get("AWS_SECRET_ACCESS_KEY") else ", AWS_SECRET_ACCESS_KEY is not"
    )


def _web_identity(environ: Mapping[str, str]) -> str:
    file = environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if not file:
        return "AWS_WEB_IDENTITY_TOKEN_FILE is not set"
    if not environ.get("AWS_ROLE_ARN"):
        return "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not"
    try:
        read_file(Path(file))
    except OSError as exc:
        return f"{escaped(file)} cannot be read: {exc.strerror}{_user()}"
    return f"{escaped(file)} is there"


def _container(environ: Mapping[str, str]) -> str:
    given = [name for name in _CONTAINER_VARIABLES if environ.get(name)]
    return f"{given[0]} is set" if given else f"{' and '.join(_CONTAINER_VARIABLES)} are not set"


def _in_file(path: Path, profile: str) -> str:
    try:
        content, _ = read_file(path, _MAX_FILE_BYTES)
    except OSError as exc:
        return f"{exc.strerror}{_user()}"
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content.decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return "cannot be parsed"
    for section in (profile, f"profile {profile}"):
        if parser.has_section(section):
            kinds = [kind for kind in _KINDS if parser.has_option(section, kind)]
            return f"profile {printable(profile)} has {' and '.join(kinds) or 'no credentials'}"
    return f"no profile {printable(profile)}"


def _user() -> str:
    return f" (this process is user {os.geteuid()})" if hasattr(os, "geteuid") else ""
