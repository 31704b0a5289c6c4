"""PostgreSQL directly and through the proxy, by four drivers: each step gives the same value or the same error."""

import ssl
from typing import Any

import pytest

from conformance.postgres_steps import DRIVERS, PSYCOPG, Place
from postgres.conftest import no_check, postgres_proxy
from running_proxy import PASSWORD, USER, RunningProxy
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


def test_script_looks_at_enough() -> None:
    assert len(PSYCOPG) >= 20
