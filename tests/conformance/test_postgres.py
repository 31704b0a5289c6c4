"""PostgreSQL directly and through the proxy, by four drivers: each step gives the same value or the same error."""

import os
import ssl
from typing import Any

import pytest

from conformance.clients import POSTGRES_CLIENTS
from conformance.matrix import run_all
from conformance.postgres_ground import postgres_ground
from conformance.postgres_script import postgres_checks
from conformance.postgres_steps import DRIVERS, PSYCOPG, Place
from conformance.report import faults
from kit.running_proxy import PASSWORD, USER, RunningProxy
from postgres.conftest import no_check, postgres_proxy
from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer
from servers.tokens import server_token

__all__ = ["postgres_proxy"]


def directly(server: PostgresServer) -> Place:
    """With a token, over TLS, which the server insists on."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    context.check_hostname = False  # the name leads nowhere
    return Place(server.host, server.port, "user_batch", server_token(server), DATABASE, context)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_direct_and_proxied_are_the_same(
    postgres_server: PostgresServer, postgres_proxy: RunningProxy, driver: str, tls: bool
) -> None:
    run = DRIVERS[driver]
    proxied = Place("127.0.0.1", postgres_proxy.port, USER, PASSWORD, DATABASE, no_check() if tls else None)
    expected: dict[str, Any] = run(directly(postgres_server))
    found = run(proxied)
    assert found.keys() == expected.keys()
    differences = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    assert differences == {}


QUICK = [client for client in POSTGRES_CLIENTS.values() if client.quick]


@pytest.mark.timeout(200)
def test_the_reports_quick_clients_see_the_same(postgres_server: PostgresServer) -> None:
    """The rest of docs/conformance.md is `make conformance`'s."""
    with postgres_ground(postgres_server) as place:
        runs, missing = run_all(QUICK, [place], postgres_checks, say=lambda _: None, quick=True)
    wrong = faults(runs)
    assert not wrong, "\n".join(wrong)
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"cannot be had: {[absent.reason for absent in missing]}")
    assert not missing


def test_script_looks_at_enough() -> None:
    assert len(PSYCOPG) >= 20
