"""The ERR packets that end a session that was let in, between two of its commands: without being asked, so sequence 0.

MySQL's server does the same (wait_timeout, shutdown), so its clients read them. MariaDB's closes without a word.
"""

from mysql_wire.constants import ErrorCode
from mysql_wire.packet import frame
from mysql_wire.reply import ERRPacket


def stopping() -> ERRPacket:
    """The proxy stops."""
    code = ErrorCode.ER_SERVER_SHUTDOWN
    return ERRPacket(code, code.sqlstate, b"rds-iam-proxy: Server shutdown in progress; connect again when it is back")


def idle_too_long(target: str, seconds: float) -> ERRPacket:
    """The target's idle_timeout. MySQL's own text, but for the name of the setting."""
    code = ErrorCode.ER_CLIENT_INTERACTION_TIMEOUT
    text = (
        "The client was disconnected by the server because of inactivity."
        f" See idle_timeout ({seconds:g} s) of target {target} of rds-iam-proxy for configuring this behavior."
    )
    return ERRPacket(code, code.sqlstate, text.encode())


def ended_by_operator() -> ERRPacket:
    """Somebody ended this session on the status page."""
    code = ErrorCode.ER_SERVER_SHUTDOWN
    text = b"rds-iam-proxy: an operator of the proxy ended this session; connect again"
    return ERRPacket(code, code.sqlstate, text)


def unasked(err: ERRPacket) -> bytes:
    """As it goes over the wire."""
    return frame(err.encode(), 0)
