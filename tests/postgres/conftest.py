"""Fixtures: one proxy in front of each PostgreSQL server for all tests that leave it as it was."""

import ssl
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from e2e.conftest import running
from kit.admin import eventually
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer

ACCOUNTS = "".join(
    f"""
[[accounts]]
user = "{user}"
password_env = "LEGACY_APP_PASSWORD"
db_user = "{db_user}"
{more}
"""
    for user, db_user, more in (
        ("plain_app", "plain_user", ""),
        ("nologin_app", "user_nologin", ""),
        ("nobody_app", "user_nobody", ""),
        ("repl_app", "user_repl", "allow_replication = true"),
        ("shop_app", "user_dev", 'database = "shop"'),
    )
)


def connect(proxy: RunningProxy, **options: Any) -> "psycopg.Connection[Any]":
    """A login by psycopg as an ordinary client makes it; raises psycopg.OperationalError."""
    given = {
        "host": proxy.host,
        "port": proxy.port,
        "user": USER,
        "password": PASSWORD,
        "dbname": DATABASE,
        "connect_timeout": 15,
        "autocommit": True,
    }
    return psycopg.connect(**{**given, **options})


def no_check() -> ssl.SSLContext:
    """Towards the proxy on this machine, whose certificate is its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="session")
def postgres_proxy(postgres_server: PostgresServer) -> Iterator[RunningProxy]:
    """One proxy for each server. Its probe is over, which tests that count logins must not see."""
    start = postgres_server.log.position()
    with running(config_text(postgres_server, extra=ACCOUNTS), key=postgres_server.key) as proxy:
        connect(proxy).close()
        eventually(lambda: len(postgres_server.log.accepted(start)) == 2)
        yield proxy
