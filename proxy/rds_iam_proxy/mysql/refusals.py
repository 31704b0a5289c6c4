"""What a client of MySQL reads when it cannot be let in: a failure's ERR packet, and what RDS's ERR packets mean."""

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import (
    CompressionNotOffered,
    MalformedCommand,
    PacketTooLarge,
    RemoteProtocolError,
    TLSRequired,
    UnexpectedPacket,
    UnsupportedClient,
)
from mysql_wire.reply import ERRPacket

from ..config import Target
from ..errors.tree import Denied, LoginError, Refused, Verdict
from ..logs import escaped, printable
from ..rds.failures import SentToken, token_refused

CODES = {
    "unreachable": ErrorCode.CR_CONN_HOST_ERROR,
    "tls": ErrorCode.CR_SSL_CONNECTION_ERROR,
    "credentials": ErrorCode.ER_ACCESS_DENIED_ERROR,
    "refused": ErrorCode.ER_ACCESS_DENIED_ERROR,
    "limited": ErrorCode.ER_CON_COUNT_ERROR,
    "greeting-changed": ErrorCode.ER_UNKNOWN_ERROR,
    "draining": ErrorCode.ER_SERVER_SHUTDOWN,
    "wrong password": ErrorCode.ER_ACCESS_DENIED_ERROR,
    "unknown user": ErrorCode.ER_ACCESS_DENIED_ERROR,
    "protocol": ErrorCode.ER_HANDSHAKE_ERROR,
    "tls-required": ErrorCode.ER_SECURE_TRANSPORT_REQUIRED,
    "old-client": ErrorCode.ER_NOT_SUPPORTED_AUTH_MODE,
    "out-of-order": ErrorCode.ER_NET_PACKETS_OUT_OF_ORDER,
    "client-tls": ErrorCode.CR_SSL_CONNECTION_ERROR,
    "unknown-command": ErrorCode.ER_UNKNOWN_COM_ERROR,
    "replication-refused": ErrorCode.ER_UNKNOWN_COM_ERROR,
    "timeout": ErrorCode.ER_NET_READ_INTERRUPTED,
    "internal": ErrorCode.ER_UNKNOWN_ERROR,
    "ended": ErrorCode.ER_SERVER_SHUTDOWN,
    "session-idle": ErrorCode.ER_CLIENT_INTERACTION_TIMEOUT,
}
"""By the key of a row, or else by its reason. RDS's own codes go before."""

RATE_LIMITED = "rate limit exceeded"
"""In RDS Proxy's 1040, "IAM authentication rate limit exceeded" among others."""

MAX_ANSWER = 200
"""Characters of RDS's own text that are shown."""

ER_DBACCESS_DENIED_ERROR, ER_BAD_DB_ERROR = 1044, 1049
ER_HOST_IS_BLOCKED = 1129
EXPLAINED = {
    ErrorCode.ER_CON_COUNT_ERROR: "too-many-connections",
    ErrorCode.ER_PLUGIN_IS_NOT_LOADED: "plugin-not-loaded",
    ER_HOST_IS_BLOCKED: "host-blocked",
}
"""RDS's errors that say what is wrong, but not what to do, and their rows."""

_OF_DATABASE = (ER_DBACCESS_DENIED_ERROR, ER_BAD_DB_ERROR)


def err_packet(error: LoginError) -> ERRPacket:
    """What a client reads."""
    if isinstance(error, Refused) and error.sqlstate:
        return ERRPacket(error.code, error.sqlstate, error.shown.encode())
    code = CODES.get(error.row.key) or CODES[error.reason]
    return ERRPacket(code, code.sqlstate, error.shown.encode())


def broken_login(error: RemoteProtocolError) -> LoginError:
    """A client that does not keep to the protocol, as a MySQL server words it."""
    match error:
        case UnsupportedClient():
            row = "old-client"
        case TLSRequired():
            row = "tls-required"
        case CompressionNotOffered():
            row = "compression"
        case MalformedCommand():
            row = "unknown-command"
        case UnexpectedPacket():
            row = "out-of-order"
        case PacketTooLarge():
            row = "login-too-large"
        case _:
            row = "bad-handshake"
    return Denied(row, fault=str(error))


def access_denied(user: bytes, host: str, *, using_password: bool, is_known: bool) -> LoginError:
    """Word for word as a server: the user does not exist, or the password is wrong. Which one is not told."""
    row = "wrong-password" if is_known else "unknown-user"
    return Denied(row, user=printable(user), host=host, using="YES" if using_password else "NO")


def refused(target: Target, db_user: str, err: ERRPacket, sent: SentToken | None) -> Refused:
    """RDS's own ERR. Those that speak for themselves pass as they are. `sent`: None if it asked for no token."""
    answer = err.message.decode("utf-8", "replace")
    shown = escaped(answer)[:MAX_ANSWER]
    if err.code == ErrorCode.ER_CON_COUNT_ERROR and RATE_LIMITED in answer.lower():
        return Refused("rate-limited", Verdict.RATE_LIMITED, err.code, err.sqlstate, answer=shown)
    address, user = str(target.address), printable(db_user)
    if err.code != ErrorCode.ER_ACCESS_DENIED_ERROR:
        row = EXPLAINED.get(err.code)
        if row is None:
            verdict = Verdict.OF_DATABASE if err.code in _OF_DATABASE else Verdict.PASSED_ON
            return Refused("passed-on", verdict, err.code, err.sqlstate, answer=answer)
        return Refused(row, Verdict.EXPLAINED, err.code, err.sqlstate, address=address, answer=shown)
    if sent is None:
        return Refused(
            "no-such-user", Verdict.EXPLAINED, err.code, err.sqlstate, db_user=user, address=address, answer=shown
        )
    return token_refused(target, db_user, sent, err.code, err.sqlstate, shown)
