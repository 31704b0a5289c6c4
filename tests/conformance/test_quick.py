"""The half of the matrix that CI runs: the most used clients, without the slowest checks."""

import contextlib
import os
import sys
from collections.abc import Iterator

import pytest

from conformance.cells import Run
from conformance.clients import CLIENTS
from conformance.ground import ground
from conformance.matrix import run_all
from conformance.report import Missing, faults
from servers.fixtures import ServerPool
from servers.real_server import RealServer

QUICK = [client for client in CLIENTS.values() if client.quick]
SERVERS = ("mysql-9.7", "mariadb-10.11")
Outcome = tuple[list[Run], list[Missing]]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


@pytest.fixture(scope="module")
def outcome(server_pool: ServerPool[RealServer]) -> Iterator[Outcome]:
    with contextlib.ExitStack() as stack:
        grounds = [stack.enter_context(ground(server_pool.get(name))) for name in SERVERS]
        yield run_all(QUICK, grounds, say=_say, quick=True)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", [client.name for client in QUICK])
def test_a_client_sees_the_same_through_the_proxy_and_directly(outcome: Outcome, client: str, server: str) -> None:
    runs, missing = outcome
    for absent in missing:
        if absent.name == client:
            if os.environ.get("CI") == "true":
                pytest.fail(f"in CI every client must run: {absent.reason}", pytrace=False)
            pytest.skip(f"{client} cannot be had: {absent.reason}")
    wrong = faults(run for run in runs if run.client.name == client and run.server == server)
    assert not wrong, "\n".join(wrong)
