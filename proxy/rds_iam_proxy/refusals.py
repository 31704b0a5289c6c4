"""What a client reads when it cannot be let in: every failure of a login, with its reason and the next step.

The texts are in `symptoms`.
"""

import errno
import os
import shlex
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import PacketTooLarge, RemoteProtocolError, TLSRequired, UnexpectedPacket, UnsupportedClient
from mysql_wire.reply import ERRPacket

from .config import Target
from .endpoint import Kind, parse_rds_name, partition_of
from .errors import CredentialsError, GreetingChanged, Limited, LoginError, Refused, TLSFailure, Unreachable
from .logs import escaped, printable
from .presented import Presented
from .symptoms import SYMPTOMS

RATE_LIMITED = "rate limit exceeded"
"""In RDS Proxy's 1040, "IAM authentication rate limit exceeded" among others."""

MAX_TEXT = 400
"""Bytes of an ERR packet's text."""

MAX_ANSWER = 200
"""Characters of RDS's own text that are shown."""

MOVED_SECONDS = 60.0
"""By so much must a clock have been set to be worth telling."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_X509_NOT_YET_VALID, _X509_EXPIRED = 9, 10  # OpenSSL's x509_vfy.h
_X509_NAME_MISMATCH = (62, 64)

_ER_HOST_IS_BLOCKED = 1129
_OF_CODE = {
    ErrorCode.ER_CON_COUNT_ERROR: "too-many-connections",
    ErrorCode.ER_PLUGIN_IS_NOT_LOADED: "plugin-not-loaded",
    _ER_HOST_IS_BLOCKED: "host-blocked",
}
"""RDS's errors that say what is wrong, but not what to do."""


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


def err_packet(error: LoginError) -> ERRPacket:
    """The ERR packet of a failed login: one line of at most MAX_TEXT bytes."""
    text = error.text if isinstance(error, Refused) and not error.explained else f"rds-iam-proxy: {error.text}"
    line = " ".join(text.split()).encode()
    if len(line) > MAX_TEXT:
        line = line[: MAX_TEXT - 3].decode(errors="ignore").encode() + b"..."
    return ERRPacket(int(error.code), error.sqlstate, line)


def broken_login(error: RemoteProtocolError) -> ERRPacket:
    """The ERR packet for a client that does not keep to the protocol, as a MySQL server words it."""
    if isinstance(error, UnsupportedClient):
        return _packet("old-client")
    if isinstance(error, TLSRequired):
        return _packet("tls-required")
    if isinstance(error, UnexpectedPacket):
        code, text = ErrorCode.ER_NET_PACKETS_OUT_OF_ORDER, "Got packets out of order"
    elif isinstance(error, PacketTooLarge):
        code, text = ErrorCode.ER_HANDSHAKE_ERROR, "Bad handshake: login packet too large"
    else:
        code, text = ErrorCode.ER_HANDSHAKE_ERROR, "Bad handshake"
    return ERRPacket(code, code.sqlstate, text.encode())


def has_sqlstate(error: RemoteProtocolError) -> bool:
    """A client too old for our protocol does not know sqlstates either."""
    return not isinstance(error, UnsupportedClient)


def access_denied(user: bytes, host: str, *, using_password: bool) -> ERRPacket:
    """Word for word as a server: the user does not exist, or the password is wrong. Which one is not said."""
    return _packet("wrong-password", user=printable(user), host=host, using="YES" if using_password else "NO")


def internal_error() -> ERRPacket:
    """A fault of the proxy itself."""
    return _packet("internal")


def timed_out() -> ERRPacket:
    """The client was too slow with its login."""
    return _packet("login-timeout")


def too_many_failures() -> ERRPacket:
    return _packet("too-many-failures")


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


def refused(target: Target, db_user: str, err: ERRPacket, sent: SentToken | None) -> LoginError:
    """RDS's own ERR. Those that speak for themselves pass as they are. `sent`: None if it asked for no token."""
    answer = err.message.decode("utf-8", "replace")
    rate_limited = err.code == ErrorCode.ER_CON_COUNT_ERROR and RATE_LIMITED in answer.lower()
    denied = err.code == ErrorCode.ER_ACCESS_DENIED_ERROR
    key = _why_denied(target, sent) if denied else _OF_CODE.get(err.code)
    if key is None or rate_limited:
        return Refused(answer, code=err.code, sqlstate=err.sqlstate, rate_limited=rate_limited)
    values = {
        "db_user": printable(db_user),
        "address": str(target.address),
        "region": target.region,
        "answer": escaped(answer)[:MAX_ANSWER],
        "arn": policy_arn(target, db_user),
        "check": "aws sts get-caller-identity"
        + (f" --profile {shlex.quote(target.profile)}" if target.profile else ""),
        "clock": _clock(sent.clock) if sent else "",
        "moved": f"{sent.clock_moved:+.0f}" if sent else "",
        "age": f"{sent.age:.0f}" if sent else "",
    }
    return Refused(
        _text(key, **values),
        code=err.code,
        sqlstate=err.sqlstate,
        detail=_detail(key, **values),
        explained=True,
        token_refused=denied and sent is not None,
        old_token=denied and sent is not None and sent.is_old,
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


def _why_denied(target: Target, sent: SentToken | None) -> str:
    if sent is None:
        return "no-such-user"
    if abs(sent.clock_moved) >= MOVED_SECONDS:
        return "clock-moved"
    name = parse_rds_name(target.address.host)
    return "wrong-region" if name is not None and name.kind is Kind.GLOBAL else "token-refused"


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


def _packet(key: str, **values: str) -> ERRPacket:
    symptom = SYMPTOMS[key]
    code = ErrorCode(symptom.code)
    text = _text(key, **values)
    return ERRPacket(code, code.sqlstate, (text if symptom.verbatim else f"rds-iam-proxy: {text}").encode())


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
