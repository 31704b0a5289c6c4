"""Listening sockets, TCP and Unix, and who is at the other end of an accepted one."""

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .address import Address

BACKLOG = 65_535
"""Connections that wait to be accepted: as many as the system allows, which cuts this down (`net.core.somaxconn`)."""

MAX_SOCKET_PATH = 103
"""Bytes: what fits into sockaddr_un everywhere."""

_SOCKET_UMASK = 0o117  # the socket gets mode 0660
_AF_UNIX = getattr(socket, "AF_UNIX", None)  # Python has none on Windows
_PEER_CREDENTIALS = struct.Struct("=iII")  # Linux's struct ucred: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Peer:
    """A client: its IP address, or the user and process at the other end of a Unix socket."""

    host: str
    uid: int | None = None
    pid: int | None = None
    port: int | None = field(default=None, compare=False)
    """Its own, of TCP."""

    def __str__(self) -> str:
        if self.uid is not None:
            return f"uid:{self.uid}"
        return self.host


@dataclass(frozen=True, slots=True)
class SocketName:
    """A listening socket that systemd opened, by its FileDescriptorName."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


Bind = Address | Path | SocketName
"""Where to listen. Port 0: any free one. A path: a Unix socket."""


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A listening socket. `is_borrowed`: whoever gave it to this process keeps it, so it outlives the process."""

    sock: socket.socket
    is_borrowed: bool = False

    @property
    def address(self) -> Address | Path:
        """Where it listens, with the real port where 0 was asked for."""
        name = self.sock.getsockname()
        return Path(name) if self.sock.family == _AF_UNIX else Address(*name[:2])

    def close(self) -> None:
        """Remove the file of a Unix socket as well, if it is ours. May be called again."""
        if self.sock.fileno() < 0:
            return
        address = None if self.is_borrowed else self.address
        self.sock.close()
        if isinstance(address, Path):
            address.unlink(missing_ok=True)


def listen(bind: Address | Path) -> ListeningSocket:
    """A listening socket, non-blocking. Raises OSError."""
    sock = _unix_socket(bind) if isinstance(bind, Path) else _tcp_socket(bind)
    try:
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return ListeningSocket(sock)


def folder_for(name: str, environ: Mapping[str, str]) -> str | None:
    """Where a Unix socket of this relative name can be: in the user's own folder in memory, if there is one, and never
    in one that makes the whole name too long. None: nowhere."""
    for folder in (environ.get("XDG_RUNTIME_DIR"), environ.get("TMPDIR"), "/tmp"):  # noqa: S108
        room = MAX_SOCKET_PATH - len(f"/{name}")
        if folder and len(os.fsencode(folder)) <= room and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def peer_of(sock: socket.socket, name: object) -> Peer:
    """`name`: what accept returned beside the socket."""
    if isinstance(name, tuple):
        return Peer(str(name[0]), port=name[1])
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    except (AttributeError, OSError):  # not Linux: nobody is vouched for
        return Peer("localhost")
    pid, uid, _ = _PEER_CREDENTIALS.unpack(raw)
    return Peer("localhost", uid, pid)


def has_unix_sockets() -> bool:
    return _AF_UNIX is not None


def knows_peers() -> bool:
    """Whether the system tells who is at the other end of a Unix socket: Linux does."""
    return hasattr(socket, "SO_PEERCRED")


def _tcp_socket(address: Address) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        _claim(sock)
        sock.bind(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _claim(sock: socket.socket) -> None:
    """The port of a process that has just ended may be taken at once, that of one that runs never."""
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR takes the port from whoever has it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _unix_socket(path: Path) -> socket.socket:
    if _AF_UNIX is None:
        raise OSError(errno.EAFNOSUPPORT, "there are no Unix sockets for Python on this system")
    _remove_stale(path, _AF_UNIX)
    sock = socket.socket(_AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_SOCKET_UMASK)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: Path, family: int) -> None:
    """Remove our own dead socket; anything else stays, and binding then fails."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        return
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink(missing_ok=True)
