"""systemd's two protocols: telling it how the service is (man sd_notify), and taking its sockets (man sd_listen_fds).

Where there is no systemd nothing is told to anybody, and there are no sockets to take.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..net.sockets import ListeningSocket, SocketName

FIRST_DESCRIPTOR = 3
UNNAMED = "unknown"

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


@dataclass(frozen=True, slots=True)
class Notifier:
    """What systemd is told. `address`: its socket, None: nobody listens."""

    address: str | None = None
    has_watchdog: bool = False
    monotonic_ns: Callable[[], int] = field(default=time.monotonic_ns)

    def ready(self, status: str) -> None:
        """Started, or reloaded."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """`ready` must follow, whatever comes of it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self, sessions: int) -> None:
        self._send("STOPPING=1", f"STATUS=stopping, {sessions} clients are connected")

    def alive(self) -> None:
        """To be called at least twice per WatchdogSec."""
        if self.has_watchdog:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), name)


class LentSockets:
    """Descriptors of listening sockets, by name. They stay open, here and at systemd, whatever becomes of listeners."""

    def __init__(self, descriptors: Mapping[str, list[int]] | None = None) -> None:
        self._descriptors = dict(descriptors or {})

    def lend(self, name: SocketName) -> ListeningSocket:
        """Raises ValueError that says what is wrong."""
        found = self._descriptors.get(name.name, [])
        if len(found) == 1:
            sock = socket.socket(fileno=os.dup(found[0]))
            sock.setblocking(False)
            return ListeningSocket(sock, is_borrowed=True)
        if found:
            raise ValueError(f"{name}: {len(found)} sockets have this name; give each its own FileDescriptorName=")
        known = ", ".join(sorted(self._descriptors)) or "none at all"
        raise ValueError(f"{name}: systemd handed over no socket of this name, but: {known}; see FileDescriptorName=")


def take_from(environ: MutableMapping[str, str], *, pid: int | None = None) -> tuple[Notifier, LentSockets]:
    """What systemd left in the environment, from which it is removed: it is not for the processes that we start."""
    pid = os.getpid() if pid is None else pid
    given = {name: environ.pop(name) for name in _VARIABLES if name in environ}
    watchdog = "WATCHDOG_USEC" in given and given.get("WATCHDOG_PID", str(pid)) == str(pid)
    descriptors: dict[str, list[int]] = {}
    if given.get("LISTEN_PID") == str(pid) and given.get("LISTEN_FDS", "").isdigit():
        names = [name for name in given.get("LISTEN_FDNAMES", "").split(":") if name]
        for number in range(int(given["LISTEN_FDS"])):
            name = names[number] if number < len(names) else UNNAMED
            if _prepare(FIRST_DESCRIPTOR + number):
                descriptors.setdefault(name, []).append(FIRST_DESCRIPTOR + number)
    return Notifier(given.get("NOTIFY_SOCKET"), watchdog), LentSockets(descriptors)


def _prepare(descriptor: int) -> bool:
    """Whether a listener can use it."""
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        return sock.type == socket.SOCK_STREAM and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    finally:
        sock.detach()
