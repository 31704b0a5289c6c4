"""What a client reads when it cannot be let in: every failure of a login, with its reason and the next step.

The texts are in `symptoms`.
"""

import shlex
from dataclasses import dataclass

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import PacketTooLarge, RemoteProtocolError, TLSRequired, UnexpectedPacket, UnsupportedClient
from mysql_wire.reply import ERRPacket

from ..aws.names import Kind, parse_rds_name
from ..config import Target
from ..errors.symptoms import SYMPTOMS
from ..errors.tree import LoginError, Refused
from ..logs import escaped, printable
from ..rds.failures import MAX_ANSWER, _clock, _detail, _text, policy_arn

RATE_LIMITED = "rate limit exceeded"
"""In RDS Proxy's 1040, "IAM authentication rate limit exceeded" among others."""

MAX_TEXT = 400
"""Bytes of an ERR packet's text."""

MOVED_SECONDS = 60.0
"""By so much must a clock have been set to be worth telling."""

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


def _why_denied(target: Target, sent: SentToken | None) -> str:
    if sent is None:
        return "no-such-user"
    if abs(sent.clock_moved) >= MOVED_SECONDS:
        return "clock-moved"
    name = parse_rds_name(target.address.host)
    return "wrong-region" if name is not None and name.kind is Kind.GLOBAL else "token-refused"


def _packet(key: str, **values: str) -> ERRPacket:
    symptom = SYMPTOMS[key]
    code = ErrorCode(symptom.code)
    text = _text(key, **values)
    return ERRPacket(code, code.sqlstate, (text if symptom.verbatim else f"rds-iam-proxy: {text}").encode())
