"""What a PostgreSQL client reads when it is not let in: SQLSTATE and text, and a log line that tells the same."""

import re
import subprocess
import time
from dataclasses import replace
from typing import Any

import pytest

from e2e.conftest import MAX_TEXT, running
from kit.admin import eventually
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from postgres.conftest import connect
from postgres.raw_client import PostgresClient, startup
from rds_iam_proxy.net.make_certificate import make_ca
from servers.postgres_server import PostgresServer
from servers.trees import cli_command


def refused(proxy: RunningProxy, user: str = USER, password: str = PASSWORD, **options: str) -> tuple[str, str]:
    """SQLSTATE and text of a refused login, which the one log line of it has, too."""
    before = proxy.log_position()
    with PostgresClient(proxy.port) as client:
        error = client.refusal(user, password, **options)
    line = proxy.wait_for("login refused", since=before)
    assert proxy.events("login refused", since=before) == [line]
    assert (line["event"], line["code"], line["text"]) == ("login refused", error.sqlstate, error.text)
    assert error.severity == "FATAL"
    assert len(error.text.encode()) <= MAX_TEXT
    return error.sqlstate, error.text


@pytest.mark.parametrize(
    ("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD), ("", PASSWORD)], ids=["password", "user", "no user"]
)
def test_who_is_not_known_is_told_as_little_as_by_a_server(
    postgres_proxy: RunningProxy, user: str, password: str
) -> None:
    if not user:
        told = refused(postgres_proxy, user, password)
        assert told == ("28000", "no PostgreSQL user name specified in startup packet")
        return
    assert refused(postgres_proxy, user, password) == ("28P01", f'password authentication failed for user "{user}"')


def test_salt_of_a_name_stays_the_same(postgres_proxy: RunningProxy) -> None:
    def salt(user: str) -> bytes:
        with PostgresClient(postgres_proxy.port) as client:
            return client.salt(user)

    assert salt("nobody") == salt("nobody")
    assert salt("nobody") != salt("somebody")
    assert salt(USER) == salt(USER)
    assert len(salt(USER)) == len(salt("nobody")) == 16


@pytest.mark.parametrize("user", ["plain_app", "nobody_app"])
def test_role_without_rds_iam_is_sent_no_token(
    postgres_proxy: RunningProxy, postgres_server: PostgresServer, user: str
) -> None:
    since = postgres_server.log.position()
    sqlstate, text = refused(postgres_proxy, user)
    assert sqlstate == "28000"
    assert "GRANT rds_iam TO" in text
    assert postgres_server.log.verdicts(since) == []


def test_role_that_may_not_log_in(postgres_proxy: RunningProxy) -> None:
    sqlstate, text = refused(postgres_proxy, "nologin_app")
    assert sqlstate == "28000"
    assert 'ALTER ROLE "user_nologin" LOGIN' in text


def test_database_of_the_users_name(postgres_proxy: RunningProxy) -> None:
    sqlstate, text = refused(postgres_proxy, database=USER)
    assert sqlstate == "3D000"
    assert f"no database {USER}" in text
    assert "psql: -d NAME" in text


def test_database_that_does_not_exist_is_the_servers_to_refuse(postgres_proxy: RunningProxy) -> None:
    told = refused(postgres_proxy, database="nowhere")
    assert told == ("3D000", 'database "nowhere" does not exist')


def test_replication_needs_the_accounts_leave(postgres_proxy: RunningProxy, postgres_server: PostgresServer) -> None:
    since = postgres_server.log.position()
    sqlstate, text = refused(postgres_proxy, replication="database")
    assert sqlstate == "42501"
    assert "allow_replication" in text
    assert postgres_server.log.verdicts(since) == []
    with connect(postgres_proxy, user="repl_app", replication="database") as connection:
        assert connection.execute("IDENTIFY_SYSTEM").fetchone() is not None


def test_refused_token(postgres_server: PostgresServer) -> None:
    key = replace(postgres_server.key, secret_key="wrong")
    with running(config_text(postgres_server), key=key) as proxy:
        sqlstate, text = refused(proxy)
        assert sqlstate == "28000"
        assert "has its identity rds-db:connect on arn:aws:rds-db:" in text


def test_expired_session(postgres_server: PostgresServer) -> None:
    postgres_server.change(keys=(replace(postgres_server.key, expires=int(time.time()) - 1),))
    with running(config_text(postgres_server), key=postgres_server.key) as proxy:
        assert refused(proxy)[0] == "28000"


def test_throttled_logins_are_said_to_be(postgres_server: PostgresServer) -> None:
    start = postgres_server.log.position()
    with running(config_text(postgres_server), key=postgres_server.key) as proxy:
        connect(proxy).close()
        eventually(lambda: len(postgres_server.log.accepted(start)) == 2)  # the probe's own login is over, too
        postgres_server.change(not_authorized=frozenset({"user_batch"}))
        since = postgres_server.log.position()
        sqlstate, text = refused(proxy)
        # Nobody got in meanwhile, so it is the permission; it was tried thrice before that was said.
        assert (sqlstate, "rds-db:connect" in text) == ("28000", True)
        assert len(postgres_server.log.refusals(since)) == 3


def test_certificate_of_another_ca(postgres_server: PostgresServer) -> None:
    with running(config_text(postgres_server), key=postgres_server.key) as proxy:
        connect(proxy).close()
        with postgres_server.showing(ca=make_ca("Another CA")):
            sqlstate, text = refused(proxy)
        assert sqlstate == "08001"
        assert "certificate" in text
        with postgres_server.showing(name="other.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"):
            sqlstate, text = refused(proxy)
        assert sqlstate == "08001"


def test_nobody_listens(postgres_server: PostgresServer) -> None:
    config = re.sub(r'dial = "[^"]*"', 'dial = "127.0.0.1:1"', config_text(postgres_server))
    with running(config, key=postgres_server.key) as proxy:
        sqlstate, text = refused(proxy)
        assert sqlstate == "08001"
        assert "Connection refused" in text


def test_all_sessions_in_use(postgres_server: PostgresServer) -> None:
    with running(config_text(postgres_server, target="max_sessions = 1"), key=postgres_server.key) as proxy:
        with connect(proxy):
            sqlstate, text = refused(proxy)
        assert sqlstate == "53300"
        assert "max_sessions" in text


def test_listener_that_requires_tls(postgres_server: PostgresServer) -> None:
    config = config_text(postgres_server).replace('target = "shop"\n', 'target = "shop"\ntls = "required"\n', 1)
    with running(config, key=postgres_server.key) as proxy:
        with PostgresClient(proxy.port) as client:
            client.send(startup(USER))
            error = client.read_error()
        assert error.sqlstate == "28000"
        assert error.text == "rds-iam-proxy: this listener requires TLS; set sslmode=require in the client"
        connect(proxy, sslmode="require").close()


def test_mysql_behind_the_port_is_told_as_such(postgres_server: PostgresServer, mariadb_10_11: Any) -> None:
    config = re.sub(
        r'dial = "[^"]*"', f'dial = "{mariadb_10_11.host}:{mariadb_10_11.port}"', config_text(postgres_server)
    )
    with running(config, key=postgres_server.key) as proxy:
        sqlstate, text = refused(proxy)
        assert sqlstate == "08001"
        assert "does not speak PostgreSQL" in text


def test_older_protocol_is_refused_in_words(postgres_proxy: RunningProxy) -> None:
    with PostgresClient(postgres_proxy.port) as client:
        client.send((8).to_bytes(4, "big") + (2 << 16).to_bytes(4, "big"))
        error = client.read_error()
    assert error.sqlstate == "0A000"
    assert "unsupported frontend protocol 2.0" in error.text


def test_stopping_proxy_refuses_in_words(postgres_server: PostgresServer) -> None:
    with (
        start_proxy(config_text(postgres_server), key=postgres_server.key) as proxy,
        connect(proxy),
        PostgresClient(proxy.port) as client,
    ):
        client.send(startup(USER))
        client.read_message()  # it is asked for its password
        proxy.process.terminate()
        error = client.read_error()
        assert error.sqlstate == "57P03"
        assert "being stopped" in error.text


@pytest.mark.parametrize("name", ["postgres-15", "postgres-18"])
def test_psql_shows_the_reason(postgres_proxy: RunningProxy, name: str) -> None:
    where = f"host=127.0.0.1 port={postgres_proxy.port} user=plain_app password='{PASSWORD}' dbname=shop"
    done = subprocess.run(
        [*cli_command(name), "-X", "-c", "SELECT 1", where], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "GRANT rds_iam TO" in done.stderr
