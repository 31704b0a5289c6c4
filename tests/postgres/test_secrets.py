"""A whole run at debug level in front of PostgreSQL, logins good and bad: nothing secret comes out of the process."""

import contextlib
import time
from dataclasses import replace

import psycopg
import pytest

from e2e.test_secrets import WRONG, assert_nothing_secret
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from postgres.conftest import ACCOUNTS, connect
from postgres.raw_client import PostgresClient, cancel_request, message, startup
from rds_iam_proxy.net.make_certificate import make_ca
from servers.postgres_server import PostgresServer


def refused(proxy: RunningProxy, **options: str) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(proxy, **options)
    for secret in (PASSWORD, WRONG, "X-Amz"):
        assert secret not in str(caught.value)


def exercise(proxy: RunningProxy) -> None:
    """Logins that work, and all sorts that do not."""
    for sslmode in ("disable", "require"):
        with connect(proxy, sslmode=sslmode) as connection:
            connection.cancel_safe()
        refused(proxy, sslmode=sslmode, password=WRONG)
        refused(proxy, sslmode=sslmode, user="nobody")
    refused(proxy, dbname="nowhere")
    refused(proxy, user="plain_app")
    with PostgresClient(proxy.port) as client:
        client.send(startup(USER) + message(b"p", PASSWORD.encode() + b"\0"))  # no SCRAM
        client.read_error()
    with PostgresClient(proxy.port) as client:
        client.send(startup(PASSWORD[:7]) + message(b"Q", f"ALTER ROLE x PASSWORD '{PASSWORD}'\0".encode()))
        client.read_error()
    with contextlib.suppress(OSError), PostgresClient(proxy.port) as client:
        client.send(cancel_request(1, PASSWORD.encode()))
        assert client.is_closed()


def test_nothing_secret_comes_out(postgres_18: PostgresServer) -> None:
    key = postgres_18.key
    with start_proxy(config_text(postgres_18, extra=ACCOUNTS), key=key) as proxy:
        exercise(proxy)
        with postgres_18.showing(ca=make_ca("Another CA")):
            refused(proxy)
        postgres_18.change(keys=(replace(key, expires=int(time.time()) - 1),))
        refused(proxy)
        assert_nothing_secret(proxy, key)


def test_nothing_secret_comes_out_with_passwords_in_clear(postgres_15: PostgresServer) -> None:
    config = config_text(postgres_15).replace('target = "shop"\n', 'target = "shop"\nauth = "password"\n', 1)
    with start_proxy(config, key=postgres_15.key) as proxy:
        connect(proxy).close()
        refused(proxy, password=WRONG)
        assert_nothing_secret(proxy, postgres_15.key)
