"""MySQL Router in front of the same server: C++, the product that comes nearest to a relay like this one."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from rds_iam_proxy.net.make_certificate import make_server_certificate
from servers.real_server import RealServer
from servers.templates import as_server_user, server_ids

from .process import free_port, started, wait_until_listening


@dataclass(frozen=True, slots=True)
class RouterProcess:
    """A Router that listens on `port`."""

    pid: int
    port: int


@contextlib.contextmanager
def running_router(server: RealServer) -> Iterator[RouterProcess]:
    """A client may use TLS but need not, the server must; every client has its own connection."""
    folder = server.tree.make_folder()
    try:
        port = free_port()
        certificate = make_server_certificate(("localhost",))
        for name, content in (
            ("cert.pem", certificate.certificate_pem),
            ("key.pem", certificate.private_key_pem),
            ("router.conf", _config(server, server.tree.inside(folder), port).encode()),
        ):
            (folder / name).write_bytes(content)
            os.chown(folder / name, *server_ids(server.tree))
        os.chown(folder, *server_ids(server.tree))
        command = [*as_server_user(server.tree), "mysqlrouter", "-c", f"{server.tree.inside(folder)}/router.conf"]
        log = folder / "router.log"
        with started(command, log, os.environ) as process:
            wait_until_listening(process, port, log)
            yield RouterProcess(process.pid, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def router_version(server: RealServer) -> str:
    command = [*server.tree.enter(), "mysqlrouter", "--version"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()[3]


def _config(server: RealServer, folder: str, port: int) -> str:
    return f"""
[DEFAULT]
logging_folder =
runtime_folder = {folder}
data_folder = {folder}
connect_timeout = 10
max_total_connections = 10000
[logger]
level = warning
[routing:shop]
bind_address = 127.0.0.1
bind_port = {port}
destinations = {server.host}:{server.port}
routing_strategy = first-available
protocol = classic
client_ssl_mode = PREFERRED
client_ssl_cert = {folder}/cert.pem
client_ssl_key = {folder}/key.pem
server_ssl_mode = REQUIRED
connection_sharing = 0
max_connections = 10000
"""
