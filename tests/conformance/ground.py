"""Where the matrix runs: a server, one proxy in front of it, and accounts that mean the same on both sides."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from conformance.script import INFILE_TEXT, SCHEMA, Side
from kit.running_proxy import RunningProxy, start_serve
from mysql_wire.passwords import Verifier
from servers.accounts import IAM_USERS
from servers.real_server import RealServer

PASSWORD = "a password that only this machine knows"
OTHER_PASSWORD = "another password"
USER, OTHER_USER = "conf_app", "conf_other"
NATIVE_USER, SHA2_USER = "conf_native", "conf_sha2"
ACCOUNTS = (
    (USER, PASSWORD, IAM_USERS[0]),
    (OTHER_USER, OTHER_PASSWORD, IAM_USERS[1]),
    (NATIVE_USER, PASSWORD, IAM_USERS[0]),
    (SHA2_USER, PASSWORD, IAM_USERS[0]),
)
"""User, password and DB user. Directly all of them are ordinary accounts with the server's own method."""

DIRECT_PLUGIN = {"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}

CONFIG = """
[targets.rds]
endpoint = "{server.endpoint}"
dial = "{server.host}:{server.port}"
ca_file = "{server.ca_file}"
logins_per_second = 1000
login_burst = 1000
reuse = {reuse}
[[listeners]]
bind = "127.0.0.1:0"
target = "rds"
[[listeners]]
bind = "127.0.0.1:0"
target = "rds"
auth = "native"
{accounts}
[log]
format = "json"
level = "debug"
"""
ACCOUNT = """
[[accounts]]
user = "{user}"
password_hash = "{verifier}"
db_user = "{db_user}"
"""


def _accounts() -> str:
    both, other = Verifier.of(PASSWORD.encode()), Verifier.of(OTHER_PASSWORD.encode())
    verifiers = {
        USER: both,
        OTHER_USER: other,
        NATIVE_USER: dataclasses.replace(both, sha2=None),
        SHA2_USER: dataclasses.replace(both, native=None),
    }
    return "".join(
        ACCOUNT.format(user=user, verifier=verifiers[user].format(), db_user=db_user) for user, _, db_user in ACCOUNTS
    )


@dataclass
class Ground:
    """One server with its proxy."""

    server: RealServer
    proxy: RunningProxy
    native_port: int
    """The proxy's, for clients that know no other plugin."""

    @property
    def method(self) -> str:
        """How an ordinary account logs in directly."""
        return DIRECT_PLUGIN[self.server.family]

    def version(self) -> str:
        with contextlib.closing(self.server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            return str(cursor.fetchone()[0])

    def login(self, side: Side, database: str, *, native: bool = False, **changes: Any) -> dict[str, Any]:
        """What a client is told to connect with."""
        place = {
            "proxy": {"host": self.proxy.host, "port": self.native_port if native else self.proxy.port},
            "direct": {"host": self.server.host, "port": self.server.port},
        }[side]
        usual = {"user": USER, "password": PASSWORD, "database": database, "tls": False, "charset": "utf8mb4"}
        return {**place, **usual, **changes}

    def logins(self, side: Side, database: str, *, native: bool) -> dict[str, dict[str, Any]]:
        """The usual login, and one to change to."""
        other = self.login(side, database, native=native, user=OTHER_USER, password=OTHER_PASSWORD)
        return {"login": self.login(side, database, native=native), "other": other}

    @property
    def ports(self) -> tuple[int, ...]:
        """Those that clients may show."""
        return self.proxy.port, self.native_port, self.server.port

    def write_infile(self, path: Path) -> None:
        """What LOCAL INFILE loads."""
        path.write_text(INFILE_TEXT)

    def prepare(self, database: str) -> None:
        """A fresh database that all the accounts may use."""
        with contextlib.closing(self.server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")
            cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
            cursor.execute(f"USE {database}")
            for statement in SCHEMA:
                cursor.execute(statement)

    def drop(self, database: str) -> None:
        with contextlib.closing(self.server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")


@contextlib.contextmanager
def ground(server: RealServer, *, reuse: bool = False) -> Iterator[Ground]:
    """Starts the proxy; until the end the server has ordinary accounts too, and takes connections without TLS.

    `reuse`: sessions are lent again.
    """
    with _ordinary_accounts(server), tempfile.TemporaryDirectory(prefix="rip-") as folder:
        config = Path(folder) / "proxy.toml"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(server=server, accounts=_accounts(), reuse=str(reuse).lower()))
        with start_serve(["--config", str(config)], key=server.key, dev_mode=False) as proxy:
            # Who comes before the first login has ended is greeted with a guess.
            pymysql.connect(host=proxy.host, port=proxy.port, user=USER, password=PASSWORD, ssl_disabled=True).close()
            native_port = int(proxy.wait_for("listening", count=2)["address"].rpartition(":")[2])
            yield Ground(server, proxy, native_port)
            proxy.stop()


@contextlib.contextmanager
def _ordinary_accounts(server: RealServer) -> Iterator[None]:
    plugin = DIRECT_PLUGIN[server.family]
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL require_secure_transport = OFF")
        for user, password, twin in ACCOUNTS:
            cursor.execute(f"DROP USER IF EXISTS {user}@'%'")
            if server.family == "mysql":
                cursor.execute(f"CREATE USER {user}@'%%' IDENTIFIED WITH {plugin} BY %s", (password,))
            else:
                cursor.execute(f"CREATE USER {user}@'%%' IDENTIFIED VIA {plugin} USING PASSWORD(%s)", (password,))
            for account in (user, twin):
                cursor.execute(f"GRANT ALL ON `conf\\_%`.* TO {account}@'%'")
            cursor.execute(f"GRANT {'ALL' if twin == IAM_USERS[0] else 'SELECT'} ON shop.* TO {user}@'%'")
        try:
            _warm_up(server)
            yield
        finally:
            for name, *_ in ACCOUNTS:
                cursor.execute(f"DROP USER IF EXISTS {name}@'%'")
            for name in IAM_USERS:
                cursor.execute(f"REVOKE ALL ON `conf\\_%`.* FROM {name}@'%'")
            cursor.execute("SET GLOBAL require_secure_transport = ON")


def _warm_up(server: RealServer) -> None:
    """caching_sha2_password lets clients without TLS in once it has seen the password over TLS."""
    for user, password, _ in ACCOUNTS:
        pymysql.connect(
            host=server.host, port=server.port, user=user, password=password, ssl={"ca": str(server.ca_file),
            "check_hostname": False},
        ).close()  # fmt: skip
