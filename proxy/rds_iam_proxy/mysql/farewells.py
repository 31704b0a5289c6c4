"""The ERR packets that end a session that was let in, between two of its commands: without being asked, so sequence 0.

MySQL's server does the same (wait_timeout, shutdown), so its clients read them. MariaDB's closes without a word.
"""

from mysql_wire.packet import frame
from mysql_wire.reply import ERRPacket

from ..errors.tree import Ended
from .refusals import err_packet


def stopping() -> ERRPacket:
    """The proxy stops."""
    return err_packet(Ended("session-stopped"))


def idle_too_long(target: str, seconds: float) -> ERRPacket:
    """The target's idle_timeout."""
    return err_packet(Ended("session-idle", target=target, seconds=seconds))


def ended_by_operator() -> ERRPacket:
    """Somebody ended this session on the status page."""
    return err_packet(Ended("session-ended"))


def unasked(err: ERRPacket) -> bytes:
    """As it goes over the wire."""
    return frame(err.encode(), 0)
