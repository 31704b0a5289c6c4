"""Private Redis and Valkey servers: found, installed, started and stopped for tests of a fleet's store.

They come from the same Debian as the databases: this machine, or the folder that a database release already has.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servers import debian
from servers.errors import Broken, Unavailable
from servers.trees import INSTALL_COMMAND, Tree, cache_folder

START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class StoreRelease:
    """A store, as one Debian suite has it."""

    name: str
    suite: str
    package: str
    program: str
    version: str  # what its version number begins with


STORES = {
    release.name: release
    for release in (
        StoreRelease("redis-7.0", "bookworm", "redis-server", "redis-server", "7.0."),
        StoreRelease("valkey-8.1", "trixie", "valkey-server", "valkey-server", "8.1."),
    )
}


@dataclass
class RunningStore:
    """One server on a loopback port, with an empty memory."""

    release: StoreRelease
    port: int
    options: tuple[str, ...]
    process: "subprocess.Popen[bytes]" = field(repr=False)
    folder: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def command(self, *words: str) -> str:
        """One command as the default user, in the clear; its whole answer."""
        return command(self.port, *words)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """At once: nothing is written."""
        self.process.kill()
        self.process.wait(10)

    def start_empty(self) -> None:
        """Again, at the same port."""
        self.process = _spawn(self.release, self.port, self.folder, self.options)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.resume()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running_store(name: str, *options: str, port: int | None = None) -> Iterator[RunningStore]:
    """Raises Unavailable, Broken."""
    release = STORES[name]
    folder = Path(tempfile.mkdtemp(prefix="rip-store-", dir=store_tree(release).temporary))
    port = port or free_port()
    store = RunningStore(release, port, options, _spawn(release, port, folder, options), folder)
    try:
        yield store
    finally:
        store.stop()


def _spawn(release: StoreRelease, port: int, folder: Path, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    tree = store_tree(release)
    words = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", tree.inside(folder), *options]
    if "--port" not in options:
        words += ["--port", str(port)]
    log = folder / "log"
    with log.open("ab") as out:
        process = subprocess.Popen([*tree.enter(), release.program, *words], stdout=out, stderr=out)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return process
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise Broken(f"{release.name} does not start:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def command(port: int, *words: str) -> str:
    """As redis-cli would, without one."""
    parts = [word.encode() for word in words]
    request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request)
        connection.settimeout(5)
        answer = connection.recv(65536).decode(errors="replace")
    if answer.startswith("-"):
        raise Broken(f"{words[0]}: {answer}")
    return answer


# --- where it is ---


def store_tree(release: StoreRelease) -> Tree:
    """The tree that has its program; raises Unavailable."""
    host, folder = Tree(Path("/")), Tree(cache_folder() / release.suite)
    if _version(release, host).startswith(release.version):
        return host
    if os.geteuid() == 0 and _version(release, folder).startswith(release.version):
        return folder
    raise Unavailable(f"{release.name} is not installed: run `{INSTALL_COMMAND}` as root on Debian")


def _version(release: StoreRelease, tree: Tree) -> str:
    path = tree.root / "usr/bin" / release.program
    if not path.exists():
        return ""
    command_ = [*tree.enter(), release.program, "--version"]
    words = subprocess.run(command_, capture_output=True, text=True, timeout=30, check=False).stdout
    return next((word.removeprefix("v=") for word in words.split() if word.startswith("v=")), "")


def install_store(release: StoreRelease) -> None:
    """Into this machine, or into the folder of its suite that a database made; raises Unavailable. Needs root."""
    with contextlib.suppress(Unavailable):
        store_tree(release)
        return
    log = cache_folder() / f"install-{release.name}.log"
    log.unlink(missing_ok=True)
    if debian.find_debian().codename == release.suite:
        debian.install_on_host([release.package], log=log)
    else:
        debian.install_in_folder([release.package], cache_folder() / release.suite, log=log)
    store_tree(release)
