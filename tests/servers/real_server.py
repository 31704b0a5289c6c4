"""One private MySQL or MariaDB: started in a temporary folder on a free loopback port, stopped with everything gone."""

import contextlib
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from rds_iam_proxy.net.make_certificate import make_ca
from servers.accounts import create_accounts
from servers.iam_server import IamServer, launch, make_key, wait_until_ready, write_certificate
from servers.options import server_options
from servers.plugin import build_plugin
from servers.releases import RELEASES, Release
from servers.server_log import ServerLog
from servers.settings import Settings, write_settings
from servers.templates import as_server_user, copy_folder, find_template, server_ids
from servers.trees import Tree, find_tree

__all__ = ["RealServer", "make_key", "start_server"]


@dataclass(slots=True)
class RealServer(IamServer):
    """A running MySQL or MariaDB that accepts nothing but TLS and IAM tokens."""

    def admin(self, **options: Any) -> "Connection[Any]":
        """A superuser's connection through the Unix socket."""
        return _admin(self.folder / "s", **options)

    def restart(self) -> None:
        """On the same port, with the same data; every session ends."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process = _spawn(RELEASES[self.name], self.tree, self.folder, self.port)
        wait_until_ready(self.process, self.folder, lambda: _answers(self.folder / "s"))

    def _reload_certificate(self) -> None:
        statement = "ALTER INSTANCE RELOAD TLS" if self.family == "mysql" else "FLUSH SSL"
        with contextlib.closing(self.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(statement)


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
        write_certificate(host, ca, folder / "tls", owner=server_ids(tree))
        (folder / "ca.pem").write_bytes(ca.certificate_pem)
        process, port = launch(
            folder, lambda port: _spawn(release, tree, folder, port), lambda port: _answers(folder / "s")
        )
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
        owner=server_ids(tree),
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


def _answers(path: Path) -> bool:
    try:
        _admin(path).close()
    except (OSError, pymysql.err.OperationalError):
        return False
    return True


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
