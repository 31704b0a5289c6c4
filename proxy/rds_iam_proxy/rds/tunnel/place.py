"""Where a tunnel is entered: a Unix socket that only this user can reach, or a port of the loopback. Blocks."""

import errno
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ...config import SSHTunnel, Tunnel
from ...net.address import Address
from ...net.sockets import folder_for, has_unix_sockets
from .command import NearEnd

LOOPBACK = "127.0.0.1"

ANY = Address(LOOPBACK, 0)
"""Where that does not matter."""

_SOCKET = "s"
_NAME = "rds-iam-proxy-tunnel-"


def near_end(tunnel: Tunnel, environ: Mapping[str, str]) -> NearEnd:
    """A new one. A socket is alone in its folder, which the caller removes. Raises OSError."""
    if isinstance(tunnel, SSHTunnel) and has_unix_sockets():
        folder = folder_for(f"{_NAME}12345678/{_SOCKET}", environ)
        if folder is not None:
            return Path(tempfile.mkdtemp(prefix=_NAME, dir=folder)) / _SOCKET
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return Address(LOOPBACK, probe.getsockname()[1])


def accepts(address: Address) -> bool:
    """Whether somebody listens there; who does hears a connection that says nothing."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((address.host, address.port)) in (0, errno.EISCONN)
