"""pytest fixtures: the real servers, each started when a test first asks for it and stopped at the end of the run.

A test gets a server in its first state: what another test changed of settings or certificate is undone after it.
Where a server cannot be had its tests are skipped with the reason; with CI=true that is an error.
"""

import os
from collections.abc import Iterator

import pytest

from servers.errors import Broken, Unavailable
from servers.real_server import RealServer, start_server
from servers.releases import RELEASES

__all__ = ["first_state", "mariadb_10_11", "mariadb_11_8", "mysql_9_7", "real_server", "server_pool"]


class ServerPool:
    """Starts each server once."""

    def __init__(self) -> None:
        self._running: dict[str, RealServer] = {}
        self._missing: dict[str, str] = {}
        self._broken: dict[str, Broken] = {}

    def get(self, name: str) -> RealServer:
        """The running server; skips the test, or fails it in CI, where there is none."""
        if name not in self._running and name not in self._missing:
            if name in self._broken:  # not tried again for every test
                raise self._broken[name]
            try:
                self._running[name] = start_server(name)
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
def server_pool() -> Iterator[ServerPool]:
    pool = ServerPool()
    yield pool
    pool.stop()


@pytest.fixture(autouse=True)
def first_state(server_pool: ServerPool) -> Iterator[None]:
    yield
    server_pool.reset()


@pytest.fixture(scope="session", params=list(RELEASES))
def real_server(request: pytest.FixtureRequest, server_pool: ServerPool) -> RealServer:
    """Each of the servers in turn."""
    return server_pool.get(request.param)


@pytest.fixture(scope="session")
def mysql_9_7(server_pool: ServerPool) -> RealServer:
    return server_pool.get("mysql-9.7")


@pytest.fixture(scope="session")
def mariadb_10_11(server_pool: ServerPool) -> RealServer:
    return server_pool.get("mariadb-10.11")


@pytest.fixture(scope="session")
def mariadb_11_8(server_pool: ServerPool) -> RealServer:
    return server_pool.get("mariadb-11.8")
