"""The clients: what each is, and how its driver is started."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance import places
from servers.releases import POSTGRES_RELEASES, RELEASES
from servers.trees import cli_command, find_tree, version

DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True, slots=True)
class Client:
    """One client of the table. `command` raises Unavailable where it is not installed."""

    name: str
    title: str
    command: Callable[[], list[str]]
    version: Callable[[], str]
    quick: bool = False  # in the half that CI runs
    tree: str = ""  # the release whose folder the client runs in, if it does
    knows_native_only: bool = False  # it ends at the greeting of a plugin that it does not know


def _python(name: str, title: str, package: str, *, quick: bool = False) -> Client:
    def command() -> list[str]:
        return [str(places.python(quick=quick)), "-m", "conformance.drivers.python", name]

    return Client(name, title, command, lambda: places.pinned_python(package), quick)


def _old_python(name: str, title: str, package: str) -> Client:
    def command() -> list[str]:
        return [str(places.old_python()), "-m", "conformance.drivers.python", name]

    def number() -> str:
        return places.pinned_python(package, places.OLD_REQUIREMENTS)

    return Client(name, title, command, number, quick=True, knows_native_only=True)


def _node(name: str, title: str, package: str, *, quick: bool = False) -> Client:
    def command() -> list[str]:
        return [*places.node(), str(DRIVERS / "node.cjs"), name]

    return Client(name, title, command, lambda: places.pinned_node(package), quick)


def _php(name: str, title: str, *, quick: bool = False) -> Client:
    def command() -> list[str]:
        return [*places.php(), str(DRIVERS / "php.php"), name]

    return Client(name, title, command, lambda: places.debian_version("php-mysql", "php[0-9].[0-9]-mysql"), quick)


def _perl(name: str, title: str) -> Client:
    def command() -> list[str]:
        return [*places.perl(name), str(DRIVERS / "perl.pl"), name]

    return Client(name, title, command, lambda: places.debian_version(f"lib{name}-perl"))


def _cli(release: str, title: str) -> Client:
    def command() -> list[str]:
        cli_command(release)  # raises Unavailable
        return [sys.executable, "-m", "conformance.drivers.cli", release]

    def number() -> str:
        return re.sub(r"-.*", "", version(RELEASES[release], find_tree(RELEASES[release])))

    return Client(f"cli-{release}", title, command, number, quick=True, tree=release)


CLIENTS = {
    client.name: client
    for client in (
        _cli("mysql-9.7", "mysql CLI"),
        _cli("mariadb-10.11", "mariadb CLI"),
        _cli("mariadb-11.8", "mariadb CLI"),
        _python("pymysql", "PyMySQL", "PyMySQL", quick=True),
        _python("aiomysql", "aiomysql", "aiomysql"),
        _python("asyncmy", "asyncmy", "asyncmy"),
        _python("connector-c", "mysql-connector-python (C)", "mysql-connector-python"),
        _python("connector-pure", "mysql-connector-python (pure)", "mysql-connector-python"),
        _python("mysqlclient", "mysqlclient", "mysqlclient", quick=True),
        _old_python("pymysql-0.7", "PyMySQL of 2017", "PyMySQL"),
        _old_python("connector-2.2", "mysql-connector of 2018", "mysql-connector"),
        _node("mysql2", "node mysql2", "mysql2", quick=True),
        _node("mysqljs", "node mysql (mysqljs)", "mysql"),
        _node("node-mariadb", "node mariadb", "mariadb"),
        _php("php-mysqli", "PHP mysqli", quick=True),
        _php("php-pdo", "PHP PDO"),
        _perl("dbd-mysql", "Perl DBD::mysql"),
        _perl("dbd-mariadb", "Perl DBD::MariaDB"),
        Client(
            "connector-j",
            "MariaDB Connector/J",
            lambda: places.java("Jdbc"),
            lambda: places.debian_version("libmariadb-java"),
        ),
        _python("sqlalchemy", "SQLAlchemy, with PyMySQL", "SQLAlchemy"),
        _python("django", "Django, with mysqlclient", "Django"),
        Client(
            "mycli",
            "mycli",
            lambda: [str(places.python()), "-m", "conformance.drivers.cli", "mycli"],
            lambda: places.pinned_python("mycli"),
        ),
    )
}


def _postgres_cli(name: str, title: str, release: str) -> Client:
    def command() -> list[str]:
        cli_command(release)  # raises Unavailable
        return [sys.executable, "-m", "conformance.drivers.postgres_cli", name]

    def number() -> str:
        return version(POSTGRES_RELEASES[release], find_tree(POSTGRES_RELEASES[release]))

    return Client(name, title, command, number, quick=name == "psql-15", tree=release)


def _postgres_python(name: str, title: str, package: str, *, driver: str = "postgres_python") -> Client:
    def command() -> list[str]:
        return [str(places.postgres_python()), "-m", f"conformance.drivers.{driver}", name]

    return Client(name, title, command, lambda: places.pinned_python(package, places.POSTGRES_REQUIREMENTS))


def _postgres_node(name: str, title: str, package: str) -> Client:
    def command() -> list[str]:
        return [*places.node(), str(DRIVERS / "postgres.cjs"), name]

    return Client(name, title, command, lambda: places.pinned_node(package), quick=name == "node-pg")


POSTGRES_CLIENTS = {
    client.name: client
    for client in (
        _postgres_cli("psql-15", "psql", "postgres-15"),
        _postgres_cli("psql-18", "psql", "postgres-18"),
        _postgres_python("pgcli", "pgcli", "pgcli", driver="postgres_cli"),
        _postgres_cli("pgbench", "pgbench", "postgres-15"),
        Client(
            "pgjdbc",
            "pgjdbc",
            lambda: places.java("Postgres"),
            lambda: places.debian_version("libpostgresql-jdbc-java"),
        ),
        _postgres_node("node-pg", "node pg", "pg"),
        _postgres_node("postgres-js", "postgres.js", "postgres"),
        _postgres_python("pg-sqlalchemy", "SQLAlchemy, with psycopg", "SQLAlchemy"),
        _postgres_python("pg-django", "Django, with psycopg", "Django"),
        Client(
            "php-pgsql",
            "PHP PDO (pdo_pgsql)",
            lambda: [*places.php("pdo_pgsql"), str(DRIVERS / "postgres.php")],
            lambda: places.debian_version("php-pgsql", "php[0-9].[0-9]-pgsql"),
        ),
        Client(
            "dbd-pg",
            "Perl DBD::Pg",
            lambda: [*places.perl("dbd-pg"), str(DRIVERS / "postgres.pl")],
            lambda: places.debian_version("libdbd-pg-perl"),
        ),
    )
}
"""Those of PostgreSQL; psycopg 3, psycopg2, asyncpg and pg8000 are in test_postgres.py."""
