"""What goes wrong on the way to RDS, as an error of the right row with its values."""

import errno
import os
import shlex
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from ..aws.names import Kind, parse_rds_name, partition_of
from ..config import Target
from ..errors.tree import (
    CredentialsError,
    Limited,
    LoginError,
    Refused,
    TLSFailure,
    Unreachable,
    Verdict,
)
from ..logs import printable
from ..net.peer_certificate import Presented

MOVED_SECONDS = 60.0
"""By so much must a clock have been set to be worth telling."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_X509_NOT_YET_VALID, _X509_EXPIRED = 9, 10  # OpenSSL's x509_vfy.h
_X509_NAME_MISMATCH = (62, 64)


# --- the way to RDS ---


def dial_failure(target: Target, error: OSError) -> LoginError:
    """No TCP connection."""
    if error.errno in _NO_DESCRIPTORS:
        return Limited("no-descriptors")
    where = _where(target)
    if isinstance(error, socket.gaierror):
        return Unreachable("no-address", where=where, why=_reason(error))
    row = "unreachable" if target.dial == target.address else "tunnel-down"
    why = os.strerror(error.errno) if error.errno else _reason(error)  # asyncio's own text only repeats the address
    return Unreachable(row, where=where, why=why)


def no_answer(target: Target, step: str, seconds: float) -> LoginError:
    """Time ran out. `step` is what was waited for."""
    return Unreachable("no-answer", where=_where(target), seconds=seconds, step=step)


def hung_up(target: Target, step: str, error: Exception) -> LoginError:
    """RDS, or what answers in its place, closed the connection or broke the protocol."""
    return Unreachable("hung-up", where=_where(target), step=step, why=_reason(error))


def other_protocol(target: Target, protocol: str, error: Exception) -> LoginError:
    """What listens there is no such database."""
    return Unreachable("other-protocol", where=_where(target), protocol=protocol, why=_reason(error))


def no_tls(target: Target) -> LoginError:
    return TLSFailure("no-tls", where=_where(target))


def tls_failure(target: Target, error: ssl.SSLError, shown: Presented | None, clock: float) -> LoginError:
    """`shown`: the certificate, as far as it could be read. `clock`: what this machine's says, since 1970."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TLSFailure("tls-failed", where=_where(target), why=_reason(error))
    if error.verify_code in _X509_NAME_MISMATCH:
        row = "tls-name"
    elif error.verify_code in (_X509_NOT_YET_VALID, _X509_EXPIRED):
        row = "tls-dates"
    else:
        row = "tls-untrusted"
    return TLSFailure(
        row,
        where=_where(target),
        host=target.address.host,
        verdict=error.verify_message.rstrip("."),
        names=shown.first_name if shown else "unknown names",
        issuer=shown.issuer if shown else "an unknown issuer",
        dates=shown.dates if shown else "at other times",
        certificate=str(shown) if shown else "the certificate could not be read",
        clock=utc(clock),
        roots="and the CA file" if target.ca_file else "or set ca_file",
    )


# --- RDS's verdict ---


def not_an_iam_user(target: Target, db_user: str, how: str) -> LoginError:
    """The server wanted no token."""
    return Refused("other-plugin", Verdict.EXPLAINED, db_user=printable(db_user), address=str(target.address), how=how)


@dataclass(frozen=True, slots=True)
class SentToken:
    """What is known of a token that RDS refused, and of the clock that it was signed by."""

    age: float
    """Seconds since it was signed."""
    is_old: bool
    """A new one may do better."""
    clock: float
    """What this machine's clock says, seconds since 1970."""
    clock_moved: float = 0.0
    """By how many seconds it was set since a token was accepted."""


def token_refused(target: Target, db_user: str, sent: SentToken, code: int, sqlstate: str, answer: str) -> Refused:
    """RDS had the token and did not take it. `answer`: what it said, fit to be shown."""
    return Refused(
        _why_denied(target, sent),
        Verdict.OLD_TOKEN if sent.is_old else Verdict.TOKEN_REFUSED,
        code,
        sqlstate,
        db_user=printable(db_user),
        address=str(target.address),
        region=target.region,
        answer=answer,
        arn=policy_arn(target, db_user),
        check="aws sts get-caller-identity" + (f" --profile {shlex.quote(target.profile)}" if target.profile else ""),
        clock=utc(sent.clock),
        moved=sent.clock_moved,
        age=sent.age,
    )


def _why_denied(target: Target, sent: SentToken) -> str:
    if abs(sent.clock_moved) >= MOVED_SECONDS:
        return "clock-moved"
    name = parse_rds_name(target.address.host)
    return "wrong-region" if name is not None and name.kind is Kind.GLOBAL else "token-refused"


def throttled(target: Target, db_user: str, last: Refused, seconds_since_login: float | None) -> Limited:
    """RDS went on refusing for throttling. Never a bare 1045: clients take that for a wrong password."""
    address, user = str(target.address), printable(db_user)
    if seconds_since_login is None:
        return Limited("throttled", address=address, db_user=user, last=last.again())
    return Limited("throttled-known", address=address, db_user=user, seconds=seconds_since_login, last=last.again())


def policy_arn(target: Target, db_user: str) -> str:
    """What rds-db:connect must be allowed on, as far as it is known: nobody tells us the resource's id."""
    name = parse_rds_name(target.address.host)
    kind = None if name is None else name.kind
    if kind is not None and kind.is_proxy:
        resource = "prx-ID"
    elif kind in (None, Kind.INSTANCE):  # an instance of Aurora goes by its cluster's id
        resource = "RESOURCE-ID"
    else:
        resource = "cluster-ID"
    account = target.role_arn.split(":")[4] if target.role_arn else "ACCOUNT"
    partition = partition_of(target.region)
    return f"arn:{partition}:rds-db:{target.region}:{account}:dbuser:{resource}/{printable(db_user)}"


# --- the proxy's own limits ---


def credentials_too_late(seconds: float) -> LoginError:
    """Time ran out, but RDS is not to blame."""
    return CredentialsError("credentials-too-late", seconds=seconds)


def sessions_in_use(target: Target) -> Limited:
    return Limited("sessions", most=target.max_sessions, target=target.name)


def account_sessions_in_use(target: Target, account: str, most: int) -> Limited:
    return Limited("account-sessions", account=printable(account), most=most, target=target.name)


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as a row shows them."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0, tzinfo=None)


def _where(target: Target) -> str:
    return str(target.address) if target.dial == target.address else f"{target.address} (dialled as {target.dial})"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
