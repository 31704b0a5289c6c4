"""ErrorResponses that nobody asked for: between two commands, and before a login."""

import asyncio
from typing import NoReturn

from pg_wire.errors import RemoteProtocolError
from pg_wire.server_login import Offer, Requested, Send, ServerLogin

from ..errors.tree import LoginError
from ..net.stream import Stream
from .events import next_event
from .refusals import error_response

FIRST_PACKET_SECONDS = 1.0
"""So long a client that is turned away is listened to: it reads nothing before it has asked."""


def between_commands(error: LoginError) -> bytes:
    """As PostgreSQL's server does it (idle_session_timeout, shutdown): so its clients read it."""
    return error_response(error).encode()


async def turn_away(stream: Stream, error: LoginError) -> None:
    """Behind the startup packet, without TLS: an error in the place of its answer is not shown by any client."""
    login = ServerLogin(_nobody, Offer(), nonce=bytes)
    try:
        async with asyncio.timeout(FIRST_PACKET_SECONDS):
            while True:
                match await next_event(stream, login):
                    case Send(answer):
                        await stream.write(answer)
                    case Requested():
                        break
                    case _:
                        return
            await stream.write(login.failure(error_response(error)))
            await stream.finish()
    except (OSError, TimeoutError, RemoteProtocolError):
        return
    finally:
        stream.close()


def _nobody(user: bytes) -> NoReturn:
    raise AssertionError("nobody is asked for a password")
