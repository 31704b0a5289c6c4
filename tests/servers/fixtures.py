"""pytest fixtures: the real servers, each started when a test first asks for it and stopped at the end of the run.

A test gets a server in its first state: what another test changed of settings or certificate is undone after it.
Where a server cannot be had its tests are skipped with the reason; with CI=true that is an error.
"""

import os
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import pytest

from servers.errors import Broken, Unavailable
from servers.iam_server import IamServer
from servers.postgres_server import PostgresServer, start_postgres
from servers.real_server import RealServer, start_server
from servers.releases import POSTGRES_RELEASES, RELEASES

__all__ = [
    "first_state",
    "mariadb_10_11",
    "mariadb_11_8",
    "mysql_9_7",
    "postgres_15",
    "postgres_18",
    "postgres_pool",
    "postgres_server",
    "real_server",
    "server_pool",
]

Server = TypeVar("Server", bound=IamServer)


class ServerPool(Generic[Server]):
    """Starts each server once."""

    def __init__(self, start: Callable[[str], Server]) -> None:
        self._start = start
        self._running: dict[str, Server] = {}
        self._missing: dict[str, str] = {}
        self._broken: dict[str, Broken] = {}

    def get(self, name: str) -> Server:
        """The running server; skips the test, or fails it in CI, where there is none."""
        if name not in self._running and name not in self._missing:
            if name in self._broken:  # not tried again for every test
                raise self._broken[name]
            try:
                self._running[name] = self._start(name)
            except Unavailable as exc:
                self._missing[name] = str(exc)
            except Broken as exc:
                self._broken[name] = exc
                raise
        if name in self._missing:
            if os.environ.get("CI") == "true":
                pytest.fail(f"in CI every server must run: {self._missing[name]}", pytrace=False)
            pytest.skip(f"{name} cannot be had: {self._missing[name]}")
        return self._running[name]

    def reset(self) -> None:
        for server in self._running.values():
            server.reset()

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool[RealServer]]:
    pool = ServerPool(start_server)
    yield pool
    pool.stop()


@pytest.fixture(scope="session")
def postgres_pool() -> Iterator[ServerPool[PostgresServer]]:
    pool = ServerPool(start_postgres)
    yield pool
    pool.stop()


@pytest.fixture(autouse=True)
def first_state(server_pool: ServerPool[RealServer], postgres_pool: ServerPool[PostgresServer]) -> Iterator[None]:
    yield
    server_pool.reset()
    postgres_pool.reset()


@pytest.fixture(scope="session", params=list(RELEASES))
def real_server(request: pytest.FixtureRequest, server_pool: ServerPool[RealServer]) -> RealServer:
    """Each of the servers in turn."""
    return server_pool.get(request.param)


@pytest.fixture(scope="session")
def mysql_9_7(server_pool: ServerPool[RealServer]) -> RealServer:
    return server_pool.get("mysql-9.7")


@pytest.fixture(scope="session")
def mariadb_10_11(server_pool: ServerPool[RealServer]) -> RealServer:
    return server_pool.get("mariadb-10.11")


@pytest.fixture(scope="session")
def mariadb_11_8(server_pool: ServerPool[RealServer]) -> RealServer:
    return server_pool.get("mariadb-11.8")


@pytest.fixture(scope="session", params=list(POSTGRES_RELEASES))
def postgres_server(request: pytest.FixtureRequest, postgres_pool: ServerPool[PostgresServer]) -> PostgresServer:
    """Each of the PostgreSQL servers in turn."""
    return postgres_pool.get(request.param)


@pytest.fixture(scope="session")
def postgres_15(postgres_pool: ServerPool[PostgresServer]) -> PostgresServer:
    return postgres_pool.get("postgres-15")


@pytest.fixture(scope="session")
def postgres_18(postgres_pool: ServerPool[PostgresServer]) -> PostgresServer:
    return postgres_pool.get("postgres-18")
