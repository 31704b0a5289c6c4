"""The commands `check`, `run` and `grants` for PostgreSQL, against servers that check tokens."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

from kit.running_proxy import MODULE, USER, RunningProxy, clean_environment, config_text
from rds_iam_proxy.commands.connect_lines import connect_lines
from rds_iam_proxy.commands.grants import grants
from rds_iam_proxy.net.address import Address
from servers.postgres_accounts import DATABASE
from servers.postgres_login import connect_directly
from servers.postgres_server import PostgresServer
from servers.trees import cli_command


def command(
    server: PostgresServer, home: Path, *arguments: str, extra: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *MODULE, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env=clean_environment(home, server.key, extra),
        check=False,
    )


def flags(server: PostgresServer, *, db_user: str = "user_batch") -> list[str]:
    dial = f"{server.host}:{server.port}"
    return [server.endpoint, "--db-user", db_user, "--dial", dial, "--ca-file", str(server.ca_file)]


def test_check_shows_each_step(postgres_server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "proxy.toml").write_text(config_text(postgres_server))
    done = command(postgres_server, tmp_path, "check", "--config", str(tmp_path / "proxy.toml"), "--json")
    steps = {step["step"]: step for part in _lists(json.loads(done.stdout)) for step in part}
    assert steps["TCP"]["status"] == steps["TLS"]["status"] == steps["token"]["status"] == "ok", done.stdout
    assert f"PostgreSQL, version {postgres_server.name.partition('-')[2]}." in steps["login"]["text"]
    assert steps["query"]["text"].startswith("SELECT current_user says user_batch")
    assert "greeting" not in steps


def _lists(found: object) -> Iterator[list[dict[str, str]]]:
    """The lists of steps, wherever they are."""
    if isinstance(found, dict):
        for value in found.values():
            yield from _lists(value)
    elif isinstance(found, list) and found and "step" in found[0]:
        yield found
    elif isinstance(found, list):
        for value in found:
            yield from _lists(value)


def test_check_says_what_to_do(postgres_server: PostgresServer, tmp_path: Path) -> None:
    password = ["--password-env", "LEGACY_APP_PASSWORD"]
    done = command(postgres_server, tmp_path, "check", *flags(postgres_server, db_user="plain_user"), *password)
    assert done.returncode == 1
    assert "GRANT rds_iam TO" in done.stdout


def test_run_tells_libpq_where_to_connect(postgres_server: PostgresServer, tmp_path: Path) -> None:
    question = [*cli_command("postgres-15"), "-X", "-A", "-t", "-c", "SELECT current_user, current_database()"]
    misleading = {"PGSSLMODE": "verify-full", "PGSERVICE": "elsewhere", "PGHOSTADDR": "192.0.2.1"}
    options = [*flags(postgres_server), "--database", DATABASE]
    done = command(postgres_server, tmp_path, "run", *options, "--", *question, extra=misleading)
    assert (done.stdout, done.returncode) == ("user_batch|shop\n", 0), done.stderr
    done = command(postgres_server, tmp_path, "run", *options, "--", *question[:-1], "SELECT nothing")
    assert done.returncode == 1
    assert 'column "nothing" does not exist' in done.stderr


def test_grants_make_a_user_and_cost_nobody_a_password(postgres_server: PostgresServer) -> None:
    endpoint = Address(postgres_server.endpoint_host, 5432)
    text = grants(endpoint, 'Odd "name"', "postgres", region=None, account=None, resource=None)
    assert 'CREATE USER "Odd ""name""" WITH LOGIN' in text
    text = grants(endpoint, "fresh_user", "postgres", region=None, account=None, resource=None)
    statements = [line for line in text.partition("\n\n")[0].splitlines() if not line.startswith("--")]
    assert statements[-1] == 'GRANT rds_iam TO "fresh_user";'
    with postgres_server.admin() as admin:
        admin.execute("CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'pw'")
        try:
            admin.execute("SET SESSION AUTHORIZATION owner")
            for statement in statements[:-1]:
                admin.execute(statement)
            admin.execute("RESET SESSION AUTHORIZATION")
            admin.execute(statements[-1])  # RDS lets its master user do this
            with connect_directly(postgres_server, user="fresh_user") as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("fresh_user",)
            with connect_directly(postgres_server, user="owner", password="pw", sslmode="require"):
                pass
        finally:
            admin.execute("RESET SESSION AUTHORIZATION")
            admin.execute("DROP ROLE IF EXISTS fresh_user, owner")


def test_lines_to_connect_by_are_right(postgres_proxy: RunningProxy) -> None:
    psql, jdbc, pgadmin = connect_lines(Address("127.0.0.1", postgres_proxy.port), USER, "postgres")
    dsn = psql.partition("psql '")[2].rstrip("'").replace("dbname=DB", f"dbname={DATABASE}")
    with psycopg.connect(dsn, password=postgres_proxy.password) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("user_batch",)
    assert f"jdbc:postgresql://127.0.0.1:{postgres_proxy.port}/DB?user={USER}" in jdbc
    assert "SSL mode: prefer" in pgadmin
    (line,) = connect_lines(Path("/run/proxy/.s.PGSQL.6432"), USER, "postgres")
    assert "host=/run/proxy port=6432" in line
