"""The clients: what each is, and how its driver is started."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance import places
from servers.trees import cli_command

DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True, slots=True)
class Client:
    """One client of the table. `command` raises Unavailable where it is not installed."""

    name: str
    title: str
    command: Callable[[], list[str]]
    quick: bool = False  # in the half that CI runs
    tree: str = ""  # the release whose folder the client runs in, if it does


def _python(name: str, title: str, *, quick: bool = False) -> Client:
    def command() -> list[str]:
        return [str(places.python(quick=quick)), "-m", "conformance.drivers.python", name]

    return Client(name, title, command, quick)


def _node(name: str, title: str, *, quick: bool = False) -> Client:
    return Client(name, title, lambda: [*places.node(), str(DRIVERS / "node.cjs"), name], quick)


def _php(name: str, title: str, *, quick: bool = False) -> Client:
    return Client(name, title, lambda: [*places.php(), str(DRIVERS / "php.php"), name], quick)


def _perl(name: str, title: str, *, quick: bool = False) -> Client:
    return Client(name, title, lambda: [*places.perl(name), str(DRIVERS / "perl.pl"), name], quick)


def _cli(release: str, title: str) -> Client:
    def command() -> list[str]:
        cli_command(release)  # raises Unavailable
        return [sys.executable, "-m", "conformance.drivers.cli", release]

    return Client(f"cli-{release}", title, command, quick=True, tree=release)


CLIENTS = {
    client.name: client
    for client in (
        _cli("mysql-9.7", "mysql CLI 9.7"),
        _cli("mariadb-10.11", "mariadb CLI 10.11"),
        _cli("mariadb-11.8", "mariadb CLI 11.8"),
        _python("pymysql", "PyMySQL", quick=True),
        _python("aiomysql", "aiomysql"),
        _python("asyncmy", "asyncmy"),
        _python("connector-c", "mysql-connector-python (C)"),
        _python("connector-pure", "mysql-connector-python (pure)"),
        _python("mysqlclient", "mysqlclient", quick=True),
        _node("mysql2", "node mysql2", quick=True),
        _node("mysqljs", "node mysql (mysqljs)"),
        _node("node-mariadb", "node mariadb"),
        _php("php-mysqli", "PHP mysqli", quick=True),
        _php("php-pdo", "PHP PDO"),
        _perl("dbd-mysql", "Perl DBD::mysql"),
        _perl("dbd-mariadb", "Perl DBD::MariaDB"),
        Client("connector-j", "MariaDB Connector/J", lambda: [*places.java(), "Jdbc"]),
        _python("sqlalchemy", "SQLAlchemy on PyMySQL"),
        _python("django", "Django on mysqlclient"),
        Client("mycli", "mycli", lambda: [str(places.python()), "-m", "conformance.drivers.cli", "mycli"]),
    )
}
