"""One private PostgreSQL: started in a temporary folder on a free loopback port, stopped with everything gone."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from pg_wire.messages import SSLRequest
from rds_iam_proxy.net.make_certificate import make_ca
from servers.errors import Broken
from servers.iam_server import IamServer, launch, make_key, write_certificate
from servers.options import POSTGRES_HBA, POSTGRES_SUPERUSER, postgres_options
from servers.plugin import build_plugin
from servers.postgres_accounts import create_accounts
from servers.releases import POSTGRES_RELEASES, Release
from servers.server_log import ServerLog
from servers.settings import Settings, write_settings
from servers.templates import as_server_user, copy_folder, find_template, server_ids
from servers.trees import Tree, find_tree

RELOAD_TIMEOUT = 10.0  # seconds


@dataclass(slots=True)
class PostgresServer(IamServer):
    """A running PostgreSQL that accepts IAM tokens from members of rds_iam, and over TLS only."""

    end_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # SIGKILL would leave its shared memory behind

    def admin(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A superuser's connection through the Unix socket; each statement is a transaction of its own."""
        return _admin(self.folder, self.port, database)

    def certificate(self) -> bytes:
        """The DER of the certificate that a new connection meets."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.host, self.port), timeout=10) as sock:
            sock.sendall(SSLRequest().encode())
            if sock.recv(1) != b"S":
                raise Broken("PostgreSQL offers no TLS")
            with context.wrap_socket(sock) as tls:
                return tls.getpeercert(binary_form=True) or b""

    def _reload_certificate(self) -> None:
        wanted = ssl.PEM_cert_to_DER_cert((self.folder / "tls/cert.pem").read_text())
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_TIMEOUT
        while self.certificate() != wanted:
            if time.monotonic() > deadline:
                raise Broken("PostgreSQL did not take its new certificate")
            time.sleep(0.02)


def start_postgres(name: str, *, endpoint_host: str = "", region: str = "eu-central-1") -> PostgresServer:
    """Starts one of POSTGRES_RELEASES with postgres_accounts.STATEMENTS in it; raises Unavailable, Broken.

    Call it from a thread that lives as long as the server: the kernel ends the server when that thread ends.
    """
    release = POSTGRES_RELEASES[name]
    tree = find_tree(release)
    owner = server_ids(tree, release.user)
    host = endpoint_host or f"{name}.cweacjg5pv9n.{region}.rds.amazonaws.com"
    settings = Settings(endpoint=f"{host}:5432", region=region, keys=(make_key(),))
    ca = make_ca("Test CA of rds-iam-proxy")
    folder = tree.make_folder()
    try:
        _furnish(folder, release, tree, settings)
        write_certificate(host, ca, folder / "tls", owner=owner)
        (folder / "ca.pem").write_bytes(ca.certificate_pem)
        process, port = launch(
            folder, lambda port: _spawn(release, tree, folder, port), lambda port: _answers(folder, port)
        )
        try:
            create_accounts(lambda database: _admin(folder, port, database))
        except BaseException:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)
            raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return PostgresServer(
        name=name,
        family=release.family,
        host="127.0.0.1",
        port=port,
        endpoint_host=host,
        endpoint_port=5432,
        ca_file=folder / "ca.pem",
        ca=ca,
        log=ServerLog(folder / "server.log"),
        folder=folder,
        tree=tree,
        owner=owner,
        settings=settings,
        process=process,
        _first_settings=settings,
    )


def _furnish(folder: Path, release: Release, tree: Tree, settings: Settings) -> None:
    owner = server_ids(tree, release.user)
    os.chown(folder, *owner)
    copy_folder(find_template(release, tree), folder / "data")
    (folder / "tls").mkdir(mode=0o755)
    os.chown(folder / "tls", *owner)
    (folder / "pg_hba.conf").write_text(POSTGRES_HBA)
    shutil.copyfile(build_plugin(release.family), folder / "fake_libpam.so")
    write_settings(settings, folder / "settings", owner=owner)


def _spawn(release: Release, tree: Tree, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [
        *as_server_user(tree, release.user, death="QUIT"),
        "env",
        f"AWS_AUTHENTICATION_PLUGIN_SETTINGS={tree.inside(folder / 'settings')}",
        f"LD_PRELOAD={tree.inside(folder / 'fake_libpam.so')}",
        release.server,
        *postgres_options(tree, folder, port=port),
    ]
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")


def _answers(folder: Path, port: int) -> bool:
    try:
        _admin(folder, port, "postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _admin(folder: Path, port: int, database: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(
        host=str(folder), port=port, user=POSTGRES_SUPERUSER, dbname=database, autocommit=True, connect_timeout=30
    )
