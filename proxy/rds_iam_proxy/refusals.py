"""What a client reads when it cannot be let in: every failure of a login, with its reason and the next step."""

import errno
import os
import socket
import ssl

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import PacketTooLarge, RemoteProtocolError, TLSRequired, UnexpectedPacket, UnsupportedClient
from mysql_wire.reply import ERRPacket

from .config import Target
from .errors import Limited, LoginError, Refused, TLSFailure, Unreachable
from .logs import printable

MAX_TEXT = 400
"""Bytes of an ERR packet's text."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


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
        code = ErrorCode.ER_NOT_SUPPORTED_AUTH_MODE
        text = "Client does not support authentication protocol requested by server; consider upgrading MySQL client"
    elif isinstance(error, TLSRequired):
        code = ErrorCode.ER_SECURE_TRANSPORT_REQUIRED
        text = "Connections using insecure transport are prohibited by rds-iam-proxy: this listener requires TLS"
    elif isinstance(error, UnexpectedPacket):
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
    text = f"Access denied for user '{printable(user)}'@'{host}' (using password: {'YES' if using_password else 'NO'})"
    code = ErrorCode.ER_ACCESS_DENIED_ERROR
    return ERRPacket(code, code.sqlstate, text.encode())


def internal_error() -> ERRPacket:
    """A fault of the proxy itself."""
    code = ErrorCode.ER_UNKNOWN_ERROR
    return ERRPacket(code, code.sqlstate, b"rds-iam-proxy: internal error; its log has the details")


def timed_out() -> ERRPacket:
    """The client was too slow with its login."""
    code = ErrorCode.ER_NET_READ_INTERRUPTED
    return ERRPacket(code, code.sqlstate, b"Got timeout reading communication packets")


def too_many_failures() -> ERRPacket:
    code = ErrorCode.ER_ACCESS_DENIED_ERROR
    text = b"rds-iam-proxy: too many wrong passwords for this account; one is checked a second now, try again later"
    return ERRPacket(code, code.sqlstate, text)


def dial_failure(target: Target, error: OSError) -> LoginError:
    """No TCP connection."""
    if error.errno in _NO_DESCRIPTORS:
        return Limited("no file descriptor is left; raise the limit (ulimit -n) or lower max_sessions")
    where = _where(target)
    if isinstance(error, socket.gaierror):
        return Unreachable(f"the host name of {where} has no address ({error.strerror}); check the name and the DNS")
    hint = (
        "check that the tunnel runs" if target.dial != target.address else "check security group, VPN, route and port"
    )
    why = os.strerror(error.errno) if error.errno else _reason(error)  # asyncio's own text only repeats the address
    return Unreachable(f"cannot connect to {where} ({why}); {hint}")


def no_answer(target: Target, step: str, seconds: float) -> LoginError:
    """Time ran out. `step` is what was waited for."""
    return Unreachable(
        f"{_where(target)} did not answer within {seconds:.1f} s while {step}; "
        "check security group, VPN, tunnel and the instance's state"
    )


def hung_up(target: Target, step: str, error: Exception) -> LoginError:
    """RDS, or what answers in its place, closed the connection or broke the protocol."""
    return Unreachable(
        f"{_where(target)} ended the login while {step} ({_reason(error)}); "
        "check that the address is a MySQL or MariaDB endpoint of RDS"
    )


def no_tls(target: Target) -> LoginError:
    return TLSFailure(f"{_where(target)} offers no TLS, and a token is sent over verified TLS only; check the address")


def tls_failure(target: Target, error: ssl.SSLError) -> LoginError:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the TLS certificate of {_where(target)} is not valid for {target.address.host}: {error.verify_message}"
        hint = "check endpoint, dial and the CA file" if target.ca_file else "check endpoint and dial, or set ca_file"
        return TLSFailure(f"{text}; {hint}")
    return TLSFailure(f"TLS with {_where(target)} failed ({_reason(error)}); check endpoint and dial")


def not_an_iam_user(target: Target, db_user: str, how: str) -> LoginError:
    """The server wanted no token."""
    return Refused(
        f"DB user {printable(db_user)} at {target.address} does not log in with IAM ({how}); "
        f"run there: ALTER USER ... IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        code=ErrorCode.ER_ACCESS_DENIED_ERROR,
        sqlstate="28000",
        explained=True,
    )


def refused(target: Target, db_user: str, err: ERRPacket, *, old_token: bool) -> LoginError:
    """RDS's own ERR. A 1045 says nothing by itself: it gains what to check. Others speak for themselves."""
    text = err.message.decode("utf-8", "replace")
    if err.code != ErrorCode.ER_ACCESS_DENIED_ERROR:
        return Refused(text, code=err.code, sqlstate=err.sqlstate)
    return Refused(
        f"RDS refused the IAM token of DB user {printable(db_user)} at {target.address}; check that IAM "
        f"authentication is on, that the identity may rds-db:connect as this user in {target.region}, and that the "
        "user exists IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        code=err.code,
        sqlstate=err.sqlstate,
        detail=printable(text),
        old_token=old_token,
        explained=True,
    )


def _where(target: Target) -> str:
    return str(target.address) if target.dial == target.address else f"{target.address} (dialled as {target.dial})"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
