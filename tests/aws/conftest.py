"""Fixtures: AWS on loopback, a home folder, and the server behind the proxy. One server is enough: all verify alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.aws_home import Home
from kit.local_aws import LocalAWS, local_aws
from servers.fixtures import ServerPool
from servers.real_server import RealServer


@pytest.fixture
def aws() -> Iterator[LocalAWS]:
    with local_aws() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="session")
def rds(server_pool: ServerPool[RealServer]) -> RealServer:
    return server_pool.get("mysql-9.7")
