"""A name server that is the system's own for one process: what its resolv.conf says, whoever reads it."""

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.dns_server import DNSServer, dns_server

PORT = 53
# A mount namespace of the process's own, where other files lie over the system's.
MOUNT = 'mount --bind "$0" /etc/resolv.conf && mount --bind "$1" /etc/nsswitch.conf && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class OwnDNS:
    server: DNSServer
    wrapper: tuple[str, ...]
    """The beginning of a command that sees this DNS only."""


@contextlib.contextmanager
def own_dns(folder: Path) -> Iterator[OwnDNS]:
    """Skips the test where this cannot be had: it needs root on Linux, and the right to mount."""
    resolv, nsswitch = folder / "resolv.conf", folder / "nsswitch.conf"
    nsswitch.write_text("hosts: files dns\n")
    resolv.touch()
    wrapper = ("unshare", "--mount", "sh", "-c", MOUNT, str(resolv), str(nsswitch))
    try:
        works = (
            os.geteuid() == 0 and not subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode
        )
    except OSError:
        works = False
    if not works:
        pytest.skip("a DNS of the process's own needs root, unshare and the right to mount")
    address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    resolv.write_text(f"nameserver {address}\noptions timeout:1 attempts:2\n")
    with dns_server(address, PORT) as server:
        yield OwnDNS(server, wrapper)
