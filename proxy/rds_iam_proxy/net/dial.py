"""A TCP connection to RDS, or to the near end of a tunnel to it, over IPv6 or IPv4."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohappyeyeballs import start_connection

from ..threads import future_in_thread
from .address import Address
from .stream import Stream

HEAD_START = 0.25
"""Seconds that an address has before the next one, of the other family, is tried beside it (RFC 8305)."""

Found = Sequence[tuple[Any, ...]]
"""What `socket.getaddrinfo` gives."""


def _system_resolver(host: str, port: int) -> Found:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Dialler:
    """Dials for one target. Make one for each: a name about which the DNS is silent holds up no other's.

    Names are looked up for each connection and their addresses are kept nowhere: at a failover of a cluster they
    change within seconds. Who wants a name that is being looked up waits for that answer.
    """

    def __init__(
        self, *, resolve: Callable[[str, int], Found] = _system_resolver, head_start: float = HEAD_START
    ) -> None:
        """`resolve` blocks; it is called in a thread."""
        self._resolve = resolve
        self._head_start = head_start
        self._lookups: dict[Address, asyncio.Future[Found | OSError]] = {}

    async def dial(self, address: Address | Path) -> tuple[Stream, tuple[str, int]]:
        """A TCP connection, and the IP address and port at its other end; or one to a Unix socket, and its path with
        port 0. Raises OSError."""
        if isinstance(address, Path):
            return await _dial_unix(address), (str(address), 0)
        found = _in_figures(address) or await self._look_up(address)
        if not found:
            raise OSError(errno.EADDRNOTAVAIL, "no address")
        try:
            # Not create_connection: uvloop's has no happy_eyeballs_delay, and a transport is not what is wanted.
            sock = await start_connection(found, happy_eyeballs_delay=self._head_start, interleave=1)
        except RuntimeError as exc:  # uvloop's, now and then, where asyncio raises OSError
            raise OSError(errno.ECONNABORTED, str(exc)) from exc
        try:
            host, port = sock.getpeername()[:2]
            return Stream(sock, must_acknowledge=True), (str(host), int(port))
        except BaseException:
            sock.close()
            raise

    async def _look_up(self, address: Address) -> Found:
        lookup = self._lookups.get(address)
        if lookup is None:
            # Not the loop's getaddrinfo: its threads are few (uvloop's: two), and a silent DNS keeps each for seconds.
            lookup = self._lookups[address] = future_in_thread(lambda: self._resolved(address), "dns")
            lookup.add_done_callback(lambda _: self._lookups.pop(address))
        await asyncio.wait({lookup})  # which, unlike await, does not cancel it for the others
        outcome = lookup.result()
        if isinstance(outcome, OSError):
            raise type(outcome)(*outcome.args)  # each its own: tracebacks grow
        return outcome

    def _resolved(self, address: Address) -> Found | OSError:
        """The error as a value: perhaps nobody waits for it any more."""
        try:
            return self._resolve(address.host, address.port)
        except OSError as exc:
            return exc
        except Exception as exc:  # a UnicodeError, say
            return OSError(errno.EINVAL, f"{type(exc).__name__} in the look-up")


async def _dial_unix(path: Path) -> Stream:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(path))
        return Stream(sock)
    except BaseException:
        sock.close()
        raise


def _in_figures(address: Address) -> Found:
    """The address itself, if it is an IP address and no name."""
    with contextlib.suppress(OSError):
        return socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    return ()
