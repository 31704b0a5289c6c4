"""rds.failures: carried out of refusals."""

import errno
import os
import socket
import ssl
from datetime import UTC, datetime

from mysql_wire.constants import ErrorCode

from ..aws.names import Kind, parse_rds_name, partition_of
from ..config import Target
from ..errors.symptoms import SYMPTOMS
from ..errors.tree import CredentialsError, GreetingChanged, Limited, LoginError, Refused, TLSFailure, Unreachable
from ..logs import escaped, printable
from ..net.peer_certificate import Presented

MAX_ANSWER = 200
"""Characters of RDS's own text that are shown."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_X509_NOT_YET_VALID, _X509_EXPIRED = 9, 10  # OpenSSL's x509_vfy.h
_X509_NAME_MISMATCH = (62, 64)


# --- the way to RDS ---


def dial_failure(target: Target, error: OSError) -> LoginError:
    """No TCP connection."""
    if error.errno in _NO_DESCRIPTORS:
        return Limited(_text("no-descriptors"))
    where = _where(target)
    if isinstance(error, socket.gaierror):
        return Unreachable(_text("no-address", where=where, why=_reason(error)))
    tunnelled = target.dial != target.address
    hint = "check that the tunnel runs" if tunnelled else "check security group, VPN, route and port"
    why = os.strerror(error.errno) if error.errno else _reason(error)  # asyncio's own text only repeats the address
    return Unreachable(_text("unreachable", where=where, why=why, hint=hint))


def no_answer(target: Target, step: str, seconds: float) -> LoginError:
    """Time ran out. `step` is what was waited for."""
    return Unreachable(_text("no-answer", where=_where(target), seconds=f"{seconds:.1f}", step=step))


def credentials_too_late(seconds: float) -> LoginError:
    """Time ran out, but RDS is not to blame."""
    return CredentialsError(_text("credentials-too-late", seconds=f"{seconds:.1f}"))


def hung_up(target: Target, step: str, error: Exception) -> LoginError:
    """RDS, or what answers in its place, closed the connection or broke the protocol."""
    return Unreachable(_text("hung-up", where=_where(target), step=step, why=_reason(error)))


def no_tls(target: Target) -> LoginError:
    return TLSFailure(_text("no-tls", where=_where(target)))


def tls_failure(target: Target, error: ssl.SSLError, shown: Presented | None, clock: float) -> LoginError:
    """`shown`: the certificate, as far as it could be read. `clock`: what this machine's says, since 1970."""
    where, host = _where(target), target.address.host
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TLSFailure(_text("tls-failed", where=where, why=_reason(error)))
    if error.verify_code in _X509_NAME_MISMATCH:
        key = "tls-name"
    elif error.verify_code in (_X509_NOT_YET_VALID, _X509_EXPIRED):
        key = "tls-dates"
    else:
        key = "tls-untrusted"
    values = {
        "where": where,
        "host": host,
        "verdict": error.verify_message.rstrip("."),
        "names": shown.first_name if shown else "unknown names",
        "issuer": shown.issuer if shown else "an unknown issuer",
        "dates": shown.dates if shown else "at other times",
        "certificate": str(shown) if shown else "the certificate could not be read",
        "clock": _clock(clock),
        "roots": "and the CA file" if target.ca_file else "or set ca_file",
    }
    return TLSFailure(_text(key, **values), detail=_detail(key, **values))


# --- RDS's verdict ---


def not_an_iam_user(target: Target, db_user: str, how: str) -> LoginError:
    """The server wanted no token."""
    values = {"db_user": printable(db_user), "address": str(target.address), "how": how}
    return Refused(
        _text("other-plugin", **values),
        code=ErrorCode.ER_ACCESS_DENIED_ERROR,
        sqlstate="28000",
        explained=True,
    )


def throttled(target: Target, db_user: str, last: Refused, seconds_since_login: float | None) -> Limited:
    """RDS went on refusing for throttling. Never a bare 1045: clients take that for a wrong password."""
    known = "" if seconds_since_login is None else f"; it logged in {seconds_since_login:.0f} s ago"
    text = _text("throttled", address=str(target.address), db_user=printable(db_user), known=known)
    return Limited(text, detail=last.detail or _detail("throttled", answer=escaped(last.text)[:MAX_ANSWER]))


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


def sessions_in_use(target: Target) -> Limited:
    return Limited(_text("sessions", most=str(target.max_sessions), target=target.name))


def account_sessions_in_use(target: Target, account: str) -> Limited:
    most = str(target.max_sessions_per_account)
    return Limited(_text("account-sessions", account=printable(account), most=most, target=target.name))


def greeting_changed(target: Target, version: bytes) -> GreetingChanged:
    return GreetingChanged(_text("greeting-changed", address=str(target.address), version=printable(version)))


def _text(key: str, **values: str) -> str:
    return SYMPTOMS[key].text.format(**values)


def _detail(key: str, **values: str) -> str:
    return SYMPTOMS[key].detail.format(**values)


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _where(target: Target) -> str:
    return str(target.address) if target.dial == target.address else f"{target.address} (dialled as {target.dial})"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
