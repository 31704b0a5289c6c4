"""Fixtures: a Redis and a Valkey server, each started once, emptied before each test."""

import os
from collections.abc import Iterator

import pytest

from servers.errors import Unavailable
from servers.stores import STORES, RunningStore, running_store


@pytest.fixture(scope="session", params=list(STORES))
def running(request: pytest.FixtureRequest) -> Iterator[RunningStore]:
    """Each of the stores in turn."""
    try:
        with running_store(request.param) as store:
            yield store
    except Unavailable as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI every store must run: {exc}", pytrace=False)
        pytest.skip(str(exc))


@pytest.fixture
def store(running: RunningStore) -> RunningStore:
    running.command("FLUSHALL")
    return running
