"""Everything that is measured, started and ready: the server, its tables and accounts, and the ways to it."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from rds_iam_proxy.aws.trust import RDS_ROOTS
from servers.accounts import SCHEMA
from servers.real_server import RealServer, start_server
from servers.tokens import server_token

from . import sysbench
from .proxy import credentials, running_proxy
from .router import running_router
from .subjects import Connector, Subject

USER = "bench_app"
MEGABYTE = 1024 * 1024
TABLES = ("--tables=4", "--table-size=10000")
DIRECT, PROXY, PROXY_TLS, ROUTER = "direct", "proxy", "proxy-tls", "router"
PROXY_LENDS, ROUTER_SHARES = "proxy-lends", "router-shares"
TOKEN, TOKEN_BUNDLE, TOKEN_KEPT = "direct-token", "direct-token-bundle", "direct-token-kept"
DIRECT_WAYS = (DIRECT, TOKEN, TOKEN_BUNDLE, TOKEN_KEPT)
TITLES = {
    DIRECT: "direct, TLS",
    TOKEN: "direct by token",
    TOKEN_BUNDLE: "direct by token, RDS's CA bundle",
    TOKEN_KEPT: "direct by token, TLS context kept",
    PROXY: "this proxy",
    PROXY_LENDS: "this proxy, `reuse = true`",
    PROXY_TLS: "this proxy, client with TLS",
    ROUTER: "MySQL Router",
    ROUTER_SHARES: "MySQL Router, `connection_sharing=1`",
}


@dataclass(frozen=True, slots=True)
class Lab:
    """`subjects`: all ways, each with one process that runs all the time."""

    server: RealServer
    folder: Path
    tls_files: Path
    subjects: tuple[Subject, ...]

    def subject(self, name: str) -> Subject:
        return next(subject for subject in self.subjects if subject.name == name)

    def some(self, *names: str) -> tuple[Subject, ...]:
        """Those of these subjects that there are."""
        return tuple(subject for subject in self.subjects if subject.name in names)

    def direct_by_token(self) -> tuple[Subject, ...]:
        """What a client does that knows IAM: TLS and a token of its own, as the DB user that the proxy uses too.

        PyMySQL's `ssl={"ca": file}` reads the file for each connection, be it the test's one certificate or RDS's
        bundle of a hundred. A program that keeps its TLS context is spared that.
        """
        bundle = self.folder / "bundle.pem"
        with resources.as_file(resources.files("rds_iam_proxy.aws") / "roots" / RDS_ROOTS) as roots:
            bundle.write_bytes(roots.read_bytes() + self.server.ca_file.read_bytes())
        token = server_token(self.server, "user_batch")
        kept = replace(self.subject(DIRECT), name=TOKEN_KEPT, user="user_batch", password=token)
        return (
            replace(kept, name=TOKEN, keeps_context=False),
            replace(kept, name=TOKEN_BUNDLE, keeps_context=False, ca_file=str(bundle)),
            kept,
        )


@contextlib.contextmanager
def open_lab() -> Iterator[Lab]:
    """Raises Unavailable, Broken (tests/servers), BrokenRun."""
    server = start_server("mysql-9.7")
    try:
        with tempfile.TemporaryDirectory(prefix="rip-bench-") as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            password = secrets.token_urlsafe(12)
            _furnish(server, password)
            tls_files = _tls_files(server, folder / "tls")
            proxy = stack.enter_context(running_proxy(server, folder / "proxy"))
            router = stack.enter_context(running_router(server))
            user, local_password = credentials()
            plain = Subject(PROXY, proxy.port, user, local_password, proxy.pid)
            subjects = [
                Subject(
                    DIRECT,
                    server.port,
                    USER,
                    password,
                    tls=True,
                    tls_name=server.endpoint_host,
                    ca_file=str(server.ca_file),
                ),
                plain,
                replace(plain, name=PROXY_TLS, tls=True, tls_name="localhost", ca_file=str(server.ca_file)),
                Subject(ROUTER, router.port, USER, password, router.pid),
            ]
            for subject in subjects:  # fills the server's cache of caching_sha2 passwords, and shows that all work
                connection, _ = Connector(subject).connect()
                connection.close()
            yield Lab(server, folder, tls_files, tuple(subjects))
    finally:
        server.stop()


def _furnish(server: RealServer, password: str) -> None:
    digits = ", ".join(f"digits AS digits_{number}" for number in range(5))
    with contextlib.closing(server.admin(database=SCHEMA)) as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL max_connections = 6000")
        cursor.execute(f"CREATE USER {USER}@'%%' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON {SCHEMA}.* TO {USER}@'%'")
        for statement in (
            "CREATE TABLE digits (digit INT PRIMARY KEY)",
            "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
            "CREATE TABLE megabytes (id INT PRIMARY KEY, content LONGBLOB)",
            f"INSERT INTO megabytes SELECT digit, REPEAT('x', {MEGABYTE}) FROM digits",
            "CREATE TABLE hundreds (id INT PRIMARY KEY AUTO_INCREMENT, content VARCHAR(100))",
            f"INSERT INTO hundreds (content) SELECT REPEAT('y', 100) FROM {digits}",
            "CREATE TABLE sink (content LONGBLOB) ENGINE=BLACKHOLE",
        ):
            cursor.execute(statement)
    sysbench.prepare_tables(server.folder / "s", TABLES)


def _tls_files(server: RealServer, folder: Path) -> Path:
    """sysbench takes these three names from its working folder. The CA stands in for a client's certificate."""
    folder.mkdir()
    for name, content in (
        ("cacert.pem", server.ca.certificate_pem),
        ("client-cert.pem", server.ca.certificate_pem),
        ("client-key.pem", server.ca.private_key_pem),
    ):
        (folder / name).write_bytes(content)
        os.chmod(folder / name, 0o600)
    return folder
