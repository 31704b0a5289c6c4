"""Where PostgreSQL's half of the matrix runs: a server that takes tokens only, and one proxy in front of it."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.postgres_script import COPY_LINE, COPY_LINES
from conformance.script import Side
from kit.running_proxy import RunningProxy, start_serve
from servers.postgres_accounts import IAM_USERS
from servers.postgres_server import PostgresServer
from servers.tokens import server_token

PASSWORD = "a password that only this machine knows"
USER = IAM_USERS[0]  # on both sides, so that no name has to be replaced in results

CONFIG = """
[targets.rds]
endpoint = "{server.endpoint}"
dial = "{server.host}:{server.port}"
ca_file = "{server.ca_file}"
logins_per_second = 1000
login_burst = 1000
[[listeners]]
bind = "127.0.0.1:0"
target = "rds"
[[listeners]]
bind = "unix:{folder}/.s.PGSQL.5432"
target = "rds"
[[accounts]]
user = "{user}"
password_file = "{folder}/password"
db_user = "{user}"
[log]
format = "json"
level = "debug"
"""


@dataclass
class PostgresGround:
    """One server with its proxy."""

    server: PostgresServer
    proxy: RunningProxy
    folder: Path

    def version(self) -> str:
        with self.server.admin() as admin:
            found = admin.execute("SHOW server_version").fetchone()
        return str(found[0]) if found else ""

    def login(self, side: Side, database: str, **changes: Any) -> dict[str, Any]:
        """What a client is told to connect with: directly a token over TLS, at the proxy a password in clear."""
        place = {
            "proxy": {"host": self.proxy.host, "port": self.proxy.port, "password": PASSWORD, "tls": False},
            "direct": {
                "host": self.server.host,
                "port": self.server.port,
                "password": server_token(self.server),
                "tls": True,
            },
        }[side]
        return {"user": USER, "database": database, "socket_folder": str(self.folder), **place, **changes}

    @property
    def ports(self) -> tuple[int, ...]:
        """Those that clients may show."""
        return self.proxy.port, self.server.port

    def logins(self, side: Side, database: str, *, native: bool = False) -> dict[str, dict[str, Any]]:
        """`native` is MySQL's."""
        return {"login": self.login(side, database), "other": {}}

    def prepare(self, database: str) -> None:
        """A fresh database that belongs to the client's user."""
        self.drop(database)
        with self.server.admin() as admin:
            admin.execute(f"CREATE DATABASE {database} OWNER {USER}")

    def drop(self, database: str) -> None:
        with self.server.admin() as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def write_infile(self, path: Path) -> None:
        """100 MB of lines for COPY."""
        lines = f"{COPY_LINE}\n".encode() * 1000
        with path.open("wb") as file:
            for _ in range(COPY_LINES // 1000):
                file.write(lines)


@contextlib.contextmanager
def postgres_ground(server: PostgresServer) -> Iterator[PostgresGround]:
    with tempfile.TemporaryDirectory(prefix="rip-") as name:
        folder = Path(name)
        (folder / "password").touch(mode=0o600)
        (folder / "password").write_text(PASSWORD)
        config = folder / "proxy.toml"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(server=server, folder=folder, user=USER))
        with start_serve(["--config", str(config)], key=server.key, dev_mode=False) as proxy:
            yield PostgresGround(server, proxy, folder)
            proxy.stop()
