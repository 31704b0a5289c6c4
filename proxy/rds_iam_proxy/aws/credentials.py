"""Finds AWS credentials and signs RDS login tokens with them. It blocks: for worker threads only.

The one place where boto3 is used. It is imported at the first token, not at start (0.2 s, 26 MB).
"""

import contextlib
import logging
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors.tree import CredentialsError
from ..files import FileStamp, file_stamp
from ..logs import escaped, printable
from ..machine import Machine, this_machine
from ..net.address import Address
from .clock import Clock, boottime
from .sources import drop_empty_variables, file_paths, metadata_goes_by_proxy, profile_by_variable

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.credentials import Credentials, ReadOnlyCredentials

CONNECT_SECONDS = 2.0
"""For STS, SSO and the like: a login has 5 s for its token."""

READ_SECONDS = 3.0
"""For their answers."""

CLOCK_STEP_SECONDS = 60.0
"""Once the wall clock was set by so much, no expiry that was noted by it holds."""

STATIC_LIFE_SECONDS = 60.0
"""After that, credentials without an expiry are looked up anew."""

TOKEN_LIFE_SECONDS = 900.0
"""Fixed by RDS."""

Stamp = tuple[FileStamp, ...]
"""Of the shared AWS files."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose AWS credentials: a profile (None: boto3's default chain), and a role to assume with them."""

    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = field(default=None, repr=False)
    role_session_name: str | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed token, when it was signed, by which credentials, and until when these are valid."""

    value: bytes = field(repr=False)
    wall: float
    boot: float
    access_key: str = field(repr=False)
    expires: float | None  # on the wall clock; None: not known
    by: "ReadOnlyCredentials | None" = field(default=None, repr=False)
    """Those that it was signed with."""
    method: str = ""
    """By which of its ways boto3 found them."""


@dataclass(frozen=True, slots=True)
class _Found:
    credentials: "Credentials" = field(repr=False)
    stamp: Stamp
    at: float  # on the boot clock
    offset: float  # of the wall clock to that
    refreshes_itself: bool


class _MFAWanted(Exception):
    """botocore was about to ask for an MFA code on the terminal."""


class _Processes:
    """Starts each credential_process, and ends those that still run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def start(self, *args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        """As Popen, whose place in botocore it takes."""
        with self._lock:
            if self._closed:
                raise FileNotFoundError("the proxy is being stopped")
            process = subprocess.Popen(*args, **options)
            self._running = [*(other for other in self._running if other.poll() is None), process]
        return process

    def end(self) -> None:
        """SIGTERM, so that a wrapper can end what it started. Starts no more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.terminate()


class Signer:
    """Credentials of one identity. Only `stamp` and `close` may be called from several threads."""

    def __init__(
        self,
        identity: Identity,
        *,
        wall: Clock = time.time,
        boot: Clock = boottime,
        environ: Mapping[str, str] = os.environ,
        machine: Machine | None = None,
    ) -> None:
        """`machine`: None for the one that it is."""
        self._identity = identity
        self._machine = machine or this_machine(environ)
        self._wall = wall
        self._boot = boot
        self._environ = environ
        self._found: dict[str, _Found] = {}  # by region: it decides which STS is asked
        self._processes = _Processes()

    def stamp(self) -> Stamp:
        """Changes when the shared AWS files are rewritten. Two stat calls, in a folder that may hang."""
        config, credentials = file_paths(self._environ)
        return (
            file_stamp(config),
            file_stamp(credentials),
        )

    def close(self) -> None:
        """End a credential_process that still runs: it would outlive the proxy."""
        self._processes.end()

    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed:
        """A token for this login; `look_again`: don't trust what was found before.

        Raises CredentialsError, and never with the original exception attached: what a credential_process
        wrote, or the canonical request that STS quotes back, would reach logs through the traceback.
        """
        query = {"Action": "connect", "DBUser": db_user}
        return self.sign_request("rds-db", f"https://{address}", query, region, look_again=look_again)

    def sign_request(
        self, service: str, url: str, query: Mapping[str, str], region: str, *, look_again: bool = False
    ) -> Signed:
        """A presigned request that is itself a token, as `sign` has it; the value is without the scheme."""
        try:
            return self._sign(service, url, query, region, look_again)
        except Exception as exc:
            self._found.pop(region, None)
            fault = exc if isinstance(exc, CredentialsError) else self._explained(exc)
        raise fault

    def _sign(self, service: str, url: str, query: Mapping[str, str], region: str, look_again: bool) -> Signed:
        credentials = self._credentials(region, look_again)
        frozen = credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise self._fault("incomplete-credentials")
        self._check_characters(frozen)
        expiry = getattr(credentials, "_expiry_time", None)  # botocore 1.44 has no public name for it
        expires = None if expiry is None else float(expiry.timestamp())
        if expires is not None and expires <= self._wall():
            raise self._fault("expired-credentials")
        wall, boot = self._wall(), self._boot()  # before signing: the token is never older than it says
        value = _presign(frozen, service, url, query, region)
        return Signed(value, wall, boot, frozen.access_key, expires, frozen, printable(str(credentials.method)))

    def _credentials(self, region: str, look_again: bool) -> "Credentials":
        stamp = self.stamp()
        found = self._found.get(region)
        if (
            found is not None
            and not look_again
            and found.stamp == stamp
            and (found.refreshes_itself or 0 <= self._boot() - found.at < STATIC_LIFE_SECONDS)
            and abs(self._wall() - self._boot() - found.offset) < CLOCK_STEP_SECONDS
        ):
            return found.credentials
        # A session of its own each time (7 ms): botocore never reads a changed file again.
        session = self._session(region)
        from botocore.credentials import Credentials, RefreshableCredentials

        credentials = session.get_credentials()
        if credentials is None:
            raise self._fault(_row_of_nothing(self._environ, self._machine))
        if self._identity.role_arn is not None:
            if type(credentials) is Credentials:  # neither of a role nor renewed: as somebody wrote them
                self._check_characters(credentials.get_frozen_credentials())
            credentials = self._assume_role(session, region, credentials, self._identity.role_arn)
        refreshes = isinstance(credentials, RefreshableCredentials)
        boot = self._boot()
        self._found[region] = _Found(credentials, stamp, boot, self._wall() - boot, refreshes)
        return credentials

    def _session(self, region: str) -> "Session":
        quiet_boto()
        drop_empty_variables(os.environ)
        import boto3
        import botocore.session
        from botocore.config import Config
        from botocore.credentials import ProcessProvider

        inner = botocore.session.Session(profile=self._identity.profile)
        inner.set_config_variable("sts_regional_endpoints", "regional")
        inner.set_default_client_config(
            Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": 2, "mode": "standard"},
            )
        )
        session = boto3.Session(botocore_session=inner, region_name=region)
        resolver = inner.get_component("credential_provider")
        assume_role = resolver.get_provider("assume-role")
        # Its default is getpass, which would wait on the proxy's terminal.
        assume_role._prompter = _refuse_mfa

        def process_provider(profile_name: str) -> ProcessProvider:
            return ProcessProvider(profile_name, lambda: inner.full_config, popen=self._processes.start)

        resolver.insert_before("custom-process", process_provider(inner.get_config_variable("profile") or "default"))
        with contextlib.suppress(AttributeError):  # botocore 1.44: the providers of a role's source_profile
            assume_role._profile_provider_builder._create_process_provider = process_provider
        return session

    def _assume_role(self, session: "Session", region: str, source: "Credentials", role_arn: str) -> "Credentials":
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        def client(service: Any, **keys: Any) -> Any:
            return session.client(service, region_name=region, **keys)

        arguments = {"RoleSessionName": self._identity.role_session_name or "rds-iam-proxy"}
        if self._identity.external_id is not None:
            arguments["ExternalId"] = self._identity.external_id
        fetcher = AssumeRoleCredentialFetcher(client, source, role_arn, extra_args=arguments)
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")

    def _check_characters(self, frozen: "ReadOnlyCredentials") -> None:
        """What was copied with a line end or in quotes would only be refused by RDS. Raises CredentialsError."""
        named = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key}
        for name, value in {**named, "session_token": frozen.token}.items():
            if value and (found := _ODD_CHARACTER.search(value)):
                raise credentials_fault(
                    self._identity,
                    "odd-credentials",
                    environ=self._environ,
                    setting=f"AWS_{name.upper()}" if self._is_of_environment(value) else f"aws_{name}",
                    character=_CHARACTERS.get(found[0], "a character that does not belong there"),
                )

    def _is_of_environment(self, value: str) -> bool:
        return any(value == self._environ.get(f"AWS_{name}") for name in _SETTINGS)

    def _explained(self, exc: Exception) -> CredentialsError:
        return explain(exc, self._identity, environ=self._environ, machine=self._machine)

    def _fault(self, row: str) -> CredentialsError:
        return credentials_fault(self._identity, row, environ=self._environ)


def credentials_fault(
    identity: Identity, row: str, *, how: str = "", environ: Mapping[str, str] = os.environ, **values: str | float
) -> CredentialsError:
    """An error for the client, with the commands that fit the identity. `how` is for the log."""
    by_variable = None if identity.profile else profile_by_variable(environ)
    profile = identity.profile or (by_variable[0] if by_variable else None)
    profile = printable(profile) if profile else None
    of_variable = f" of {by_variable[1]}" if by_variable else ""
    config, _ = file_paths(environ)
    if row in _RENEWABLE and identity.profile is None and environ.get("AWS_ACCESS_KEY_ID"):
        row = "expired-environment"  # no command can renew the variables of a running process
    vault = environ.get("AWS_VAULT")
    option = f" --profile {shlex.quote(profile)}" if profile else ""
    return CredentialsError(
        row,
        who=f"profile {profile}{of_variable}" if profile else "default credentials",
        looked=f"{escaped(str(config.parent))} as user {os.geteuid() if hasattr(os, 'geteuid') else '?'}",
        sso=f"aws sso login{option}",
        login=f"aws login{option}",
        check=f"aws sts get-caller-identity{option}",
        role=escaped(identity.role_arn) if identity.role_arn else "the role of the profile",
        again=f" (`aws-vault exec {shlex.quote(printable(vault))} -- rds-iam-proxy ...`)" if vault else "",
        how=how,
        **values,
    )


def explain(
    exc: Exception,
    identity: Identity,
    *,
    environ: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
) -> CredentialsError:
    """What to do about an exception of boto3's; its own text is never repeated, it may hold secrets."""
    names = [cls.__name__ for cls in type(exc).__mro__]
    if "ClientError" in names:
        return _explain_answer(exc, identity, environ)
    row = next((_ROW_OF_EXCEPTION[name] for name in names if name in _ROW_OF_EXCEPTION), "credentials-failed")
    if isinstance(exc, RuntimeError) and "still expired" in str(exc):
        row = "expired-credentials"
    if row == "no-credentials":
        row = _row_of_nothing(environ, machine or this_machine(environ))
    host = _asked_host(exc)
    if row == "no-role-attached" and metadata_goes_by_proxy(environ):
        row = "metadata-by-proxy"
    how = f"botocore raised {names[0]}"
    return credentials_fault(
        identity, row, how=how, environ=environ, exception=names[0], host=f" at {host}" if host else ""
    )


def _row_of_nothing(environ: Mapping[str, str], machine: Machine) -> str:
    """What to say where there are none depends on where this runs."""
    if machine is not Machine.OTHER and metadata_goes_by_proxy(environ):
        return "metadata-by-proxy"
    return _ROW_OF_MACHINE[machine]


def _asked_host(exc: Exception) -> str:
    """Which service did not answer, where botocore tells."""
    url = str(getattr(exc, "kwargs", {}).get("endpoint_url", ""))
    found = re.match(r"https?://([a-z0-9.-]{1,253})(?![a-z0-9.@-])", url)
    return found[1] if found else ""


def _explain_answer(exc: Exception, identity: Identity, environ: Mapping[str, str]) -> CredentialsError:
    error = getattr(exc, "response", {}).get("Error", {})
    operation = str(getattr(exc, "operation_name", "a request"))
    code = str(error.get("Code", ""))
    code = code if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", code) else "an unknown error"
    how = f"AWS answered {code} to {operation}"
    if code == "AccessDenied":  # this message names ARNs; that of SignatureDoesNotMatch quotes the session token
        how += f": {str(error.get('Message', ''))[:300]!r}"
    row = _ROW_OF_ANSWER.get(code, "aws-answer")
    return credentials_fault(identity, row, how=how, environ=environ, code=code, operation=operation)


def quiet_boto() -> None:
    """Keep boto3's loggers quiet whatever our level: at DEBUG botocore logs signatures and session tokens."""
    for name in ("boto3", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A failed refresh is a warning with a traceback, which holds what a credential_process wrote to stderr, or what SSO
    # answered.
    for name in ("botocore.credentials", "botocore.tokens"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _refuse_mfa(_prompt: str) -> NoReturn:
    raise _MFAWanted


def _presign(
    credentials: "ReadOnlyCredentials", service: str, url: str, query: Mapping[str, str], region: str
) -> bytes:
    """What `generate_db_auth_token` gives, without an rds client, whose data cost 12 MB and 0.15 s."""
    from botocore.awsrequest import prepare_request_dict
    from botocore.credentials import Credentials
    from botocore.hooks import HierarchicalEmitter
    from botocore.model import ServiceId
    from botocore.signers import RequestSigner

    # Exactly these credentials, whose expiry is known: the signer would refresh refreshable ones.
    fixed = Credentials(str(credentials.access_key), str(credentials.secret_key), credentials.token)
    events = HierarchicalEmitter()  # the signer keeps a weak reference only
    signer = RequestSigner(ServiceId(service), region, service, "v4", fixed, events)
    request: dict[str, Any] = {
        "url_path": "/",
        "query_string": "",
        "headers": {},
        "body": dict(query),
        "method": "GET",
    }
    prepare_request_dict(request, url)
    signed = signer.generate_presigned_url(
        request,
        operation_name="connect",
        region_name=region,
        expires_in=int(TOKEN_LIFE_SECONDS),
        signing_name=service,
    )
    return str(signed).partition("://")[2].encode("ascii")


_SETTINGS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
_ODD_CHARACTER = re.compile(r"""[^!-~]|["'`]""")
_CHARACTERS = {"\n": "a line end", "\r": "a line end", " ": "a space", "\t": "a space", '"': "a quote", "'": "a quote"}
_ROW_OF_MACHINE = {
    Machine.CONTAINER: "no-credentials-in-container",
    Machine.INSTANCE: "no-credentials-of-instance",
    Machine.OTHER: "no-credentials",
}
_RENEWABLE = ("expired-credentials", "unknown-credentials")
_ROW_OF_EXCEPTION = {  # by the name of the exception's class or of its nearest base class that is named here
    "ProfileNotFound": "no-profile",
    "SSOError": "expired-sso",
    "TokenRetrievalError": "expired-sso",
    "NoAuthTokenError": "expired-sso",
    "LoginError": "expired-login",  # botocore's, of `aws login`
    "NoCredentialsError": "no-credentials",
    "PartialCredentialsError": "incomplete-credentials",
    "CredentialRetrievalError": "process-failed",
    "JSONDecodeError": "process-output",
    "MetadataRetrievalError": "no-role-attached",
    "_MFAWanted": "mfa-wanted",
    "RefreshWithMFAUnsupportedError": "mfa-wanted",
    "ConfigParseError": "aws-files",
    "ConfigNotFound": "aws-files",
    "InvalidConfigError": "aws-files",
    "HTTPClientError": "aws-silent",
    "ConnectionError": "aws-silent",  # botocore's EndpointConnectionError is one
    "FileNotFoundError": "program-missing",
    "PermissionError": "program-forbidden",
}
_ROW_OF_ANSWER = {  # by the error code of STS or SSO
    "AccessDenied": "role-denied",
    "ForbiddenException": "sso-role",
    "ExpiredToken": "unknown-credentials",
    "ExpiredTokenException": "unknown-credentials",
    "InvalidClientTokenId": "unknown-credentials",
    "UnrecognizedClientException": "unknown-credentials",
    "UnauthorizedException": "expired-sso",
    "SignatureDoesNotMatch": "wrong-secret-key",
    "RequestExpired": "request-expired",
}
