"""ERR packets that nobody asked for: between two commands, and in the place of the greeting."""

from mysql_wire.packet import frame

from ..errors.tree import LoginError
from ..net.stream import Stream
from .refusals import err_packet


def between_commands(error: LoginError) -> bytes:
    """Sequence 0, as MySQL's server does it (wait_timeout, shutdown): so its clients read it."""
    return frame(err_packet(error).encode(), 0)


async def turn_away(stream: Stream, error: LoginError) -> None:
    """In the place of the greeting, where there is no sqlstate yet; then close."""
    try:
        stream.send(frame(err_packet(error).encode(with_sqlstate=False), 0))
    except OSError:
        pass
    finally:
        stream.close()
