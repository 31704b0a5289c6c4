"""MySQL Router in front of the same server: C++, the product that comes nearest to a relay like this one."""

import contextlib
import datetime
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from servers.real_server import RealServer
from servers.templates import as_server_user, server_ids

from .process import free_port, started, wait_until_listening


@dataclass(frozen=True, slots=True)
class RouterProcess:
    """A Router that listens on `port`."""

    pid: int
    port: int


@contextlib.contextmanager
def running_router(server: RealServer, *, shares: bool = False) -> Iterator[RouterProcess]:
    """A client may use TLS but need not, the server must. Connections at the server are pooled when a client quits, and
    with `shares` in between too.
    """
    folder = server.tree.make_folder()
    try:
        port = free_port()
        certificate, key = _certificate_and_key()
        for name, content in (
            ("cert.pem", certificate),
            ("key.pem", key),
            ("router.conf", _config(server, server.tree.inside(folder), port, shares=shares).encode()),
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


def _certificate_and_key() -> tuple[bytes, bytes]:
    """RSA: to share connections Router must know the password, and a client without TLS encrypts it with this key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return (
        builder.sign(key, hashes.SHA256()).public_bytes(encoding),
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain),
    )


def _config(server: RealServer, folder: str, port: int, *, shares: bool) -> str:
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
connection_sharing = {int(shares)}
max_connections = 10000
"""
