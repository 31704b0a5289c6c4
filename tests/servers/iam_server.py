"""What test servers of all kinds have in common: their endpoint, keys and certificate, how they start and stop."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rds_iam_proxy.net.make_certificate import Certificate, make_server_certificate
from servers.errors import Broken
from servers.releases import Family
from servers.server_log import ServerLog
from servers.settings import AccessKey, Settings, write_settings
from servers.trees import Tree

START_TIMEOUT = 90.0  # seconds
PORT_TRIES = 3
MAX_SOCKET_PATH = 107  # bytes, on Linux
LONGEST_SOCKET_NAME = ".s.PGSQL.65535"


@dataclass(slots=True)
class IamServer(ABC):
    """A running server that accepts IAM tokens signed for `endpoint` with one of the keys, over TLS."""

    name: str  # mysql-9.7, postgres-18, ...
    family: Family
    host: str  # 127.0.0.1
    port: int
    endpoint_host: str  # what the tokens are signed for, and the certificate's name
    endpoint_port: int
    ca_file: Path  # the test CA that signed the server's certificate
    ca: Certificate
    log: ServerLog
    folder: Path  # everything of this server, under the tree's root
    tree: Tree
    owner: tuple[int, int]  # user and group of the server
    settings: Settings
    process: "subprocess.Popen[bytes]" = field(repr=False)
    _first_settings: Settings = field(repr=False)
    _swapped: bool = field(default=False, repr=False)

    end_signal: ClassVar[signal.Signals] = signal.SIGKILL

    @property
    def endpoint(self) -> str:
        """host:port, as a user would name it."""
        return f"{self.endpoint_host}:{self.endpoint_port}"

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def key(self) -> AccessKey:
        """The first of the keys that the server accepts."""
        return self.settings.keys[0]

    def change(self, **changes: Any) -> None:
        """Changes fields of `settings`, for logins from now on."""
        self._apply(replace(self.settings, **changes))

    def rotate_key(self) -> AccessKey:
        """The server accepts a new temporary key only; the old one becomes unknown."""
        key = make_key()
        self.change(keys=(key,))
        return key

    def reset(self) -> None:
        """Back to the settings and the certificate of the start."""
        if self.settings != self._first_settings:
            self._apply(self._first_settings)
        if self._swapped:
            self._show(self.endpoint_host, self.ca)
            self._swapped = False

    @contextlib.contextmanager
    def showing(self, *, name: str = "", ca: Certificate | None = None) -> Iterator[None]:
        """New connections meet a certificate with another name, or of another CA, until the context ends."""
        self._swapped = True
        self._show(name or self.endpoint_host, ca or self.ca)
        try:
            yield
        finally:
            self._show(self.endpoint_host, self.ca)
            self._swapped = False

    def stop(self) -> None:
        """Ends the server at once and removes its folder: nothing in it is worth a clean shutdown."""
        self.process.send_signal(self.end_signal)
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _apply(self, settings: Settings) -> None:
        write_settings(settings, self.folder / "settings", owner=self.owner)
        self.settings = settings

    def _show(self, name: str, ca: Certificate) -> None:
        write_certificate(name, ca, self.folder / "tls", owner=self.owner)
        self._reload_certificate()

    @abstractmethod
    def _reload_certificate(self) -> None:
        """New connections meet what is in `tls` now."""


def make_key() -> AccessKey:
    """A random temporary key, with a session token about as long as those of AWS."""
    return AccessKey(
        access_key=f"ASIA{secrets.token_hex(8).upper()}",
        secret_key=secrets.token_urlsafe(30),
        session_token=f"IQoJ/+{secrets.token_urlsafe(600)}==",
    )


def write_certificate(name: str, ca: Certificate, folder: Path, *, owner: tuple[int, int]) -> None:
    certificate = make_server_certificate((name,), issuer=ca)
    for file, pem in (
        ("cert.pem", certificate.certificate_pem),
        ("key.pem", certificate.private_key_pem),
        ("ca.pem", ca.certificate_pem),
    ):
        unfinished = folder / f"{file}.new"
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(pem)
        os.chown(unfinished, *owner)
        unfinished.rename(folder / file)


def launch(
    folder: Path, spawn: Callable[[int], "subprocess.Popen[bytes]"], answers: Callable[[int], bool]
) -> tuple["subprocess.Popen[bytes]", int]:
    """Starts the program on a free port and waits until it answers; raises Broken."""
    if len(os.fsencode(folder / LONGEST_SOCKET_NAME)) > MAX_SOCKET_PATH:
        raise Broken(f"{folder} is too long for a Unix socket: set XDG_CACHE_HOME to a shorter folder")
    for tries_left in reversed(range(PORT_TRIES)):
        port = _free_port()
        process = spawn(port)
        try:
            wait_until_ready(process, folder, partial(answers, port))
        except Broken:
            process.kill()
            process.wait(timeout=30)
            if tries_left and "in use" in (folder / "server.log").read_text(errors="replace"):
                continue  # somebody took the port in between
            raise
        return process, port
    raise AssertionError("the loop ends by return or raise")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_ready(process: "subprocess.Popen[bytes]", folder: Path, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not answers():
        status, late = process.poll(), time.monotonic() > deadline
        if status is not None or late:
            tail = (folder / "server.log").read_text(errors="replace")[-3000:]
            what = f"did not answer within {START_TIMEOUT:.0f} s" if late else f"ended with status {status}"
            raise Broken(f"the server {what}; its log ends:\n{tail}")
        time.sleep(0.05)
