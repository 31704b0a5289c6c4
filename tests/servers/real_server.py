"""One private server: started in a temporary folder on a free loopback port, stopped with everything gone."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from rds_iam_proxy.net.make_certificate import Certificate, make_ca, make_server_certificate
from servers.accounts import create_accounts
from servers.errors import Broken
from servers.options import server_options
from servers.plugin import build_plugin
from servers.releases import RELEASES, Family, Release
from servers.server_log import ServerLog
from servers.settings import AccessKey, Settings, write_settings
from servers.templates import as_server_user, copy_folder, find_template, server_ids
from servers.trees import Tree, find_tree

START_TIMEOUT = 90.0  # seconds
PORT_TRIES = 3
MAX_SOCKET_PATH = 107  # bytes, on Linux


@dataclass(slots=True)
class RealServer:
    """A running server that accepts nothing but TLS and IAM tokens signed for `endpoint` with one of the keys."""

    name: str  # mysql-9.7, mariadb-10.11, mariadb-11.8
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
    settings: Settings
    process: "subprocess.Popen[bytes]" = field(repr=False)
    _first_settings: Settings = field(repr=False)
    _swapped: bool = field(default=False, repr=False)

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

    def admin(self, **options: Any) -> "Connection[Any]":
        """A superuser's connection through the Unix socket."""
        return _admin(self.folder / "s", **options)

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
        self.process.kill()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _apply(self, settings: Settings) -> None:
        write_settings(settings, self.folder / "settings", owner=server_ids(self.tree))
        self.settings = settings

    def _show(self, name: str, ca: Certificate) -> None:
        _write_certificate(name, ca, self.folder / "tls", owner=server_ids(self.tree))
        statement = "ALTER INSTANCE RELOAD TLS" if self.family == "mysql" else "FLUSH SSL"
        with contextlib.closing(self.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(statement)


def make_key() -> AccessKey:
    """A random temporary key, with a session token about as long as those of AWS."""
    return AccessKey(
        access_key=f"ASIA{secrets.token_hex(8).upper()}",
        secret_key=secrets.token_urlsafe(30),
        session_token=f"IQoJ/+{secrets.token_urlsafe(600)}==",
    )


def start_server(name: str, *, endpoint_host: str = "", region: str = "eu-central-1") -> RealServer:
    """Starts one of RELEASES with accounts.STATEMENTS in it; raises Unavailable, Broken.

    Call it from a thread that lives as long as the server: the kernel kills the server when that thread ends.
    """
    release = RELEASES[name]
    tree = find_tree(release)
    host = endpoint_host or f"{name.replace('.', '-')}.cweacjg5pv9n.{region}.rds.amazonaws.com"
    settings = Settings(endpoint=f"{host}:3306", region=region, keys=(make_key(),))
    ca = make_ca("Test CA of rds-iam-proxy")
    folder = tree.make_folder()
    try:
        _furnish(folder, release, tree, settings)
        _write_certificate(host, ca, folder / "tls", owner=server_ids(tree))
        (folder / "ca.pem").write_bytes(ca.certificate_pem)
        process, port = _launch(release, tree, folder)
        try:
            with contextlib.closing(_admin(folder / "s")) as admin:
                create_accounts(admin)
        except BaseException:
            process.kill()
            process.wait(timeout=30)
            raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return RealServer(
        name=name,
        family=release.family,
        host="127.0.0.1",
        port=port,
        endpoint_host=host,
        endpoint_port=3306,
        ca_file=folder / "ca.pem",
        ca=ca,
        log=ServerLog(folder / "server.log"),
        folder=folder,
        tree=tree,
        settings=settings,
        process=process,
        _first_settings=settings,
    )


def _furnish(folder: Path, release: Release, tree: Tree, settings: Settings) -> None:
    owner = server_ids(tree)
    os.chown(folder, *owner)
    copy_folder(find_template(release, tree), folder / "data")
    for name in ("tmp", "tls", "plugins"):
        (folder / name).mkdir(mode=0o755)
        os.chown(folder / name, *owner)
    # A server that finds no other plugin of its own there complains in the log.
    for plugin in (tree.root / "usr/lib/mysql/plugin").glob("*.so"):
        (folder / "plugins" / plugin.name).symlink_to(tree.inside(plugin))
    shutil.copyfile(build_plugin(release.family), folder / "plugins/aws_authentication_plugin.so")
    write_settings(settings, folder / "settings", owner=owner)


def _write_certificate(name: str, ca: Certificate, folder: Path, *, owner: tuple[int, int]) -> None:
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


def _launch(release: Release, tree: Tree, folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """Starts the program and waits until it answers."""
    if len(os.fsencode(folder / "s")) > MAX_SOCKET_PATH:
        raise Broken(f"{folder} is too long for a Unix socket: set XDG_CACHE_HOME to a shorter folder")
    for tries_left in reversed(range(PORT_TRIES)):
        port = _free_port()
        process = _spawn(release, tree, folder, port)
        try:
            _wait_until_ready(process, folder)
        except Broken:
            process.kill()
            process.wait(timeout=30)
            if tries_left and "in use" in (folder / "server.log").read_text(errors="replace"):
                continue  # somebody took the port in between
            raise
        return process, port
    raise AssertionError("the loop ends by return or raise")


def _spawn(release: Release, tree: Tree, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [
        *as_server_user(tree),
        "env",
        f"AWS_AUTHENTICATION_PLUGIN_SETTINGS={tree.inside(folder / 'settings')}",
        release.server,
        *server_options(release.family, tree, folder, port=port),
    ]
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            _admin(folder / "s").close()
            return
        except (OSError, pymysql.err.OperationalError) as exc:
            status, late = process.poll(), time.monotonic() > deadline
            if status is not None or late:
                tail = (folder / "server.log").read_text(errors="replace")[-3000:]
                what = f"did not answer within {START_TIMEOUT:.0f} s" if late else f"ended with status {status}"
                raise Broken(f"the server {what}; its log ends:\n{tail}") from exc
            time.sleep(0.05)


def _admin(path: Path, **options: Any) -> "Connection[Any]":
    # PyMySQL forgets to close a socket that cannot be connected, so it is given one that is.
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        sock.settimeout(30)
        sock.connect(str(path))
        connection = pymysql.connect(
            user="root", password="", autocommit=True, ssl_disabled=True, defer_connect=True, **options
        )
        connection.connect(sock)
        stack.pop_all()
        return connection
