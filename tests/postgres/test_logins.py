"""Logins of PostgreSQL clients through the proxy, in every way that a client can open a session."""

import asyncio
import contextlib
import getpass
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native
import psycopg
import psycopg2
import pytest

from e2e.conftest import running
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from postgres.conftest import ACCOUNTS, connect, no_check
from servers.iam_server import make_key
from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer
from servers.trees import cli_command

WHO = "SELECT current_user::text"

Ask = Callable[[RunningProxy, bool], Any]


def ask_psycopg2(proxy: RunningProxy, tls: bool) -> Any:
    mode = "require" if tls else "disable"
    where = f"host={proxy.host} port={proxy.port} user={USER} dbname={DATABASE} sslmode={mode}"
    with contextlib.closing(psycopg2.connect(where, password=PASSWORD)) as connection, connection.cursor() as cursor:
        cursor.execute(WHO)
        return cursor.fetchone()[0]


def ask_asyncpg(proxy: RunningProxy, tls: bool) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(
            host=proxy.host,
            port=proxy.port,
            user=USER,
            password=PASSWORD,
            database=DATABASE,
            ssl=no_check() if tls else False,
        )
        try:
            return await connection.fetchval(WHO)
        finally:
            await connection.close()

    return asyncio.run(ask())


def ask_pg8000(proxy: RunningProxy, tls: bool) -> Any:
    connection = pg8000.native.Connection(
        USER,
        host=proxy.host,
        port=proxy.port,
        password=PASSWORD,
        database=DATABASE,
        ssl_context=no_check() if tls else None,
    )
    try:
        return connection.run(WHO)[0][0]
    finally:
        connection.close()


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
def test_a_client_logs_in_as_the_database_user(postgres_proxy: RunningProxy, sslmode: str) -> None:
    with connect(postgres_proxy, sslmode=sslmode) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("user_batch", "shop")
        assert connection.pgconn.ssl_in_use == (sslmode != "disable")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("ask", [ask_psycopg2, ask_asyncpg, ask_pg8000])
def test_other_drivers_log_in(postgres_proxy: RunningProxy, ask: Ask, tls: bool) -> None:
    assert ask(postgres_proxy, tls) == "user_batch"


@pytest.mark.parametrize("name", ["postgres-15", "postgres-18"])
def test_psql_logs_in(postgres_proxy: RunningProxy, name: str) -> None:
    command = [*cli_command(name), "-X", "-A", "-t", "-c", WHO, f"postgresql://{USER}@127.0.0.1/{DATABASE}"]
    environment = {**os.environ, "PGPORT": str(postgres_proxy.port), "PGPASSWORD": PASSWORD}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("user_batch\n", "", 0)


def test_tls_can_begin_at_once(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy, sslmode="require", sslnegotiation="direct") as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute(WHO).fetchone() == ("user_batch",)


def test_the_certificate_can_be_bound_into_the_password(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy, sslmode="require", channel_binding="require") as connection:
        assert connection.execute(WHO).fetchone() == ("user_batch",)


@pytest.mark.parametrize(("least", "most"), [("3.0", "3.0"), ("3.2", "3.2"), ("3.0", "latest")])
def test_both_versions_of_the_protocol_are_spoken(postgres_proxy: RunningProxy, least: str, most: str) -> None:
    with connect(postgres_proxy, min_protocol_version=least, max_protocol_version=most) as connection:
        assert connection.execute(WHO).fetchone() == ("user_batch",)


def test_startup_parameters_reach_the_server(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy, application_name="böök", options="-c statement_timeout=12345") as connection:
        shown = connection.execute("SELECT current_setting('application_name'), current_setting('statement_timeout')")
        assert shown.fetchone() is not None
        assert connection.info.parameter_status("session_authorization") == "user_batch"
        assert connection.execute("SHOW statement_timeout").fetchone() == ("12345ms",)


def test_process_id_is_the_servers_own(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as connection:
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (connection.info.backend_pid,)


def test_account_has_a_database_for_clients_that_name_none(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy, user="shop_app", dbname="shop_app") as connection:
        assert connection.execute("SELECT current_database(), current_user").fetchone() == ("shop", "user_dev")
    with connect(postgres_proxy, user="shop_app", dbname="postgres") as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("postgres",)


def test_program_is_shown(postgres_proxy: RunningProxy) -> None:
    before = postgres_proxy.log_position()
    connect(postgres_proxy, application_name="report\x1b[31m").close()
    deadline = time.monotonic() + 10
    while not (found := [e for e in postgres_proxy.events("session ended", since=before) if "program" in e]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (ended,) = found
    assert ended["program"].startswith("report")
    assert "\x1b" not in ended["program"]
    assert (ended["account"], ended["db_user"], ended["why"]) == (USER, "user_batch", "quit")


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
def test_a_refused_login_asks_the_server_once(postgres_server: PostgresServer, sslmode: str) -> None:
    """To an error before AuthenticationOk libpq's `prefer` answers with a second login, without TLS."""
    with running(config_text(postgres_server), key=postgres_server.key) as proxy:
        since = postgres_server.log.position()
        connect(proxy, sslmode=sslmode).close()
        proxy.wait_for("session ended")
        assert postgres_server.log.refusals(since) == []
        postgres_server.change(keys=(make_key(),), not_authorized=frozenset({"user_batch"}))
    with running(config_text(postgres_server), key=postgres_server.key) as proxy:
        proxy.wait_for("target down")
        since = postgres_server.log.position()
        with pytest.raises(psycopg.OperationalError, match="rds-db:connect"):
            connect(proxy, sslmode=sslmode)
        assert len(postgres_server.log.verdicts(since)) == 1


def test_unix_socket(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """psql wants a folder. Whom the kernel vouches for needs no password."""
    me = f'peer_user = "{getpass.getuser()}"'
    socket = f"""
[[listeners]]
bind = "unix:{tmp_path}/.s.PGSQL.5432"
target = "shop"
"""
    with running(config_text(postgres_server, extra=me + ACCOUNTS + socket), key=postgres_server.key) as proxy:
        proxy.wait_for("listening", count=2)
        where: dict[str, Any] = {"host": str(tmp_path), "port": 5432}
        for password in (PASSWORD, "nobody asks for it", None):
            with connect(proxy, **where, password=password) as connection:
                assert connection.execute(WHO).fetchone() == ("user_batch",)
        with connect(proxy, **where, user="shop_app") as connection:
            assert connection.execute(WHO).fetchone() == ("user_dev",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(proxy, **where, user="shop_app", password="wrong")


def test_password_in_clear_for_old_clients(postgres_server: PostgresServer) -> None:
    config = config_text(postgres_server).replace('target = "shop"\n', 'target = "shop"\nauth = "password"\n', 1)
    with running(config, key=postgres_server.key) as proxy:
        for sslmode in ("disable", "require"):
            with connect(proxy, sslmode=sslmode, require_auth="password") as connection:
                assert connection.execute(WHO).fetchone() == ("user_batch",)
            with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{USER}"'):
                connect(proxy, sslmode=sslmode, password="wrong")
