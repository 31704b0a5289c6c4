"""Checks an RDS IAM token as RDS does: by recomputing its SigV4 signature. Written apart from what signs tokens.

A token is a presigned URL without its scheme (AWS documentation: "Connecting to your DB instance using IAM
authentication from the command line"; "Signature Version 4: query string authentication").
"""

import datetime
import hashlib
import hmac
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote, unquote

MAX_TOKEN_BYTES = 64 * 1024
"""RDS's own limit is not documented; tokens with session tokens have 1 to 3 kB."""

MAX_AGE_SECONDS = 900
"""Also the largest X-Amz-Expires."""

MAX_CLOCK_SKEW_SECONDS = 300
"""So far may a token come from the future, as other AWS services allow."""

_SERVICE = "rds-db"
_ALGORITHM = "AWS4-HMAC-SHA256"
_NAMES = frozenset(
    {"Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"}
    | {"X-Amz-SignedHeaders", "X-Amz-Signature"}
)
_SESSION_TOKEN = "X-Amz-Security-Token"  # noqa: S105 - a parameter's name


@dataclass(frozen=True, slots=True)
class Keys:
    """AWS credentials that are good for one embedded RDS and nothing else."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def throw_away(cls) -> "Keys":
        """New random keys, shaped as AWS's temporary ones are."""
        upper = string.ascii_uppercase + string.digits
        access_key = "ASIADEMO" + "".join(secrets.choice(upper) for _ in range(12))
        # `/`, `+` and `=` are in real keys, and are what wrong URL encoding would spoil.
        return cls(access_key, secrets.token_hex(19) + "/+", secrets.token_hex(150) + "/+==")


class Reason(Enum):
    """Why RDS refuses a token, as its log iam-db-auth-error names it."""

    INVALID = "InvalidToken"
    EXPIRED = "ExpiredToken"
    NOT_AUTHORIZED = "NotAuthorized"
    THROTTLED = "ThrottlingException"


class TokenRefused(Exception):
    """The token is not accepted. `detail` names what is wrong with it and never quotes it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """What a good token for one endpoint must say. `now` is the wall clock, in seconds since the epoch."""

    host_port: str
    region: str
    keys: Keys
    now: Callable[[], float] = time.time

    def check(self, token: bytes, db_user: str) -> None:
        """Return if the token lets this DB user in; else raise TokenRefused."""
        host_port, parameters = _split(token)
        signed_at = _signed_at(parameters)
        scope = f"{signed_at:%Y%m%d}/{self.region}/{_SERVICE}/aws4_request"
        expected = {
            "Action": "connect",
            "DBUser": db_user,
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self.keys.access_key}/{scope}",
            "X-Amz-SignedHeaders": "host",
        }
        if self.keys.session_token is not None:
            expected[_SESSION_TOKEN] = self.keys.session_token
        if host_port != self.host_port:
            raise TokenRefused(Reason.INVALID, "signed for another host or port")
        if parameters.keys() != expected.keys() | _NAMES:
            raise TokenRefused(Reason.INVALID, "a parameter is missing or not expected")
        for name, value in expected.items():
            if not hmac.compare_digest(parameters[name].encode(), value.encode()):
                raise TokenRefused(Reason.INVALID, f"{name} is not what it must be")
        signature = parameters.pop("X-Amz-Signature")
        if not hmac.compare_digest(signature.encode(), self._signature(parameters, scope).encode()):
            raise TokenRefused(Reason.INVALID, "the signature does not match")
        # Only now, so that nothing is said about the age of a token that nobody with the key has signed.
        _check_age(self.now() - signed_at.timestamp(), parameters["X-Amz-Expires"])

    def _signature(self, parameters: dict[str, str], scope: str) -> str:
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(parameters.items()))
        nothing = hashlib.sha256(b"").hexdigest()
        request = f"GET\n/\n{query}\nhost:{self.host_port}\n\nhost\n{nothing}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{parameters['X-Amz-Date']}\n{scope}\n{digest}"
        key = f"AWS4{self.keys.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _split(token: bytes) -> tuple[str, dict[str, str]]:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(Reason.INVALID, f"longer than {MAX_TOKEN_BYTES} bytes")
    try:
        text = token.decode("ascii")
        host_port, query = text.split("/?", 1)
        pairs = [part.split("=", 1) for part in query.split("&")]
        parameters = {unquote(name, errors="strict"): unquote(value, errors="strict") for name, value in pairs}
    except ValueError as exc:
        raise TokenRefused(Reason.INVALID, "not a presigned URL") from exc
    if len(parameters) != len(pairs):
        raise TokenRefused(Reason.INVALID, "a parameter is there twice")
    return host_port, parameters


def _signed_at(parameters: dict[str, str]) -> datetime.datetime:
    text = parameters.get("X-Amz-Date", "")
    try:
        return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as exc:
        raise TokenRefused(Reason.INVALID, "X-Amz-Date is not a date") from exc


def _check_age(age: float, expires: str) -> None:
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and 0 < int(expires) <= MAX_AGE_SECONDS):
        raise TokenRefused(Reason.INVALID, f"X-Amz-Expires is not between 1 and {MAX_AGE_SECONDS}")
    if age > int(expires):
        raise TokenRefused(Reason.EXPIRED, f"signed {age:.0f} s ago")
    if age < -MAX_CLOCK_SKEW_SECONDS:
        raise TokenRefused(Reason.INVALID, f"signed {-age:.0f} s in the future")


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
