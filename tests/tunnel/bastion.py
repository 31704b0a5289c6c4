"""A host to go through: Debian's sshd on the loopback with keys of its own, and an `ssh` that knows only those.

ssh takes the home folder from the passwd entry and not from HOME, so a configuration reaches it by `-F` alone: a
wrapper that is the first `ssh` in PATH. It also puts the real server's address in the place of the endpoint's name,
which exists in no DNS.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.running_proxy import Target

SSHD = "/usr/sbin/sshd"
START_SECONDS = 10.0

_WRAPPER = """#!{python} -I
import os, sys
words = [word.replace({endpoint!r}, {server!r}) for word in sys.argv[1:]]
os.execv({ssh!r}, ["ssh", "-F", {config!r}, "-o", "ServerAliveInterval=1", *words])
"""

_SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding {forwarding}
"""

_SSH_CONFIG = """
Host bastion other
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    HashKnownHosts no
Host nobody
    HostName 127.0.0.1
    Port 1
"""


@dataclass
class Bastion:
    """A running sshd, and the folder with all that belongs to it."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self.folder)}

    def forget_host_key(self) -> None:
        (self.folder / "known_hosts").write_text("")

    def change_host_key(self) -> None:
        """As a host that was made anew: what is known of it is another key."""
        other = (self.folder / "key.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(other)}\n")

    def accept_no_key(self) -> None:
        (self.folder / "authorized_keys").write_text("")

    def sessions(self) -> list[int]:
        """The processes that serve one client each."""
        return [pid for pid, words in processes() if "sshd: " in words and parent_of(pid) == self.process.pid]

    def signal_sessions(self, number: int) -> None:
        for pid in self.sessions():
            for child in (pid, *(other for other, _ in processes() if parent_of(other) == pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, number)

    def clients(self) -> list[str]:
        """The command lines of tunnels that run."""
        return running(str(self.folder), but=self.process.pid)


@contextlib.contextmanager
def bastion(server: Target, *, forwarding: str = "yes") -> Iterator[Bastion]:
    """Skips where there is no sshd."""
    if not os.access(SSHD, os.X_OK) or os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("sshd needs openssh-server and root")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rip-ssh-"))
    port = free_port()
    try:
        for name in ("key", "host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=20
            )
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        (folder / "sshd_config").write_text(_SSHD_CONFIG.format(port=port, folder=folder, forwarding=forwarding))
        (folder / "ssh_config").write_text(_SSH_CONFIG.format(port=port, folder=folder))
        _write_wrapper(folder, server)
        with (folder / "sshd.log").open("wb") as log:
            process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
        try:
            wait_for_port(port)
            running_bastion = Bastion(folder, port, process)
            yield running_bastion
            running_bastion.signal_sessions(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder)


def _write_wrapper(folder: Path, server: Target) -> None:
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir()
    text = _WRAPPER.format(
        python=sys.executable,
        endpoint=server.endpoint,
        server=f"{server.host}:{server.port}",
        ssh=shutil.which("ssh"),
        config=str(folder / "ssh_config"),
    )
    wrapper.write_text(text)
    wrapper.chmod(0o755)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


def processes() -> Iterator[tuple[int, str]]:
    """Each process of this machine, with its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def parent_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def running(mark: str, *, but: int = 0) -> list[str]:
    """Command lines with `mark` in them."""
    return [words for pid, words in processes() if mark in words and pid not in (but, os.getpid())]


def gone(mark: str, *, but: int = 0, seconds: float = 5.0) -> bool:
    """Whether there are none, or soon will not be."""
    deadline = time.monotonic() + seconds
    while running(mark, but=but):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
