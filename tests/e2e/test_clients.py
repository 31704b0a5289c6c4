"""Real clients log in with a plain password and work as if they had logged in at the server directly."""

import contextlib
import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from e2e.conftest import running
from kit.admin import eventually
from kit.raw_client import NATIVE, SHA2, RawClient
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from kit.statements import Statement
from servers.real_server import RealServer
from servers.tokens import connect_directly

MB = 1 << 20

Work = Callable[["Connection[Any]"], object]


@pytest.fixture
def table(real_server: RealServer) -> Iterator[str]:
    """The name of a table that does not exist yet, and will not afterwards."""
    name = f"shop.t_{secrets.token_hex(6)}"
    yield name
    with contextlib.closing(real_server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")


def rows(connection: "Connection[Any]", statement: str, values: object = None) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return tuple(cursor.fetchall())


# --- the same work, directly and through the proxy ---


def who_and_where(connection: "Connection[Any]") -> object:
    inner: Any = connection
    greeting = inner.get_server_info(), inner.server_language
    return greeting, rows(connection, "SELECT CURRENT_USER(), USER(), VERSION(), DATABASE(), @@hostname")


def character_sets(connection: "Connection[Any]") -> object:
    found = rows(connection, "SHOW VARIABLES LIKE 'character_set%'"), rows(connection, "SHOW VARIABLES LIKE 'coll%'")
    return found, rows(connection, "SELECT 'Zoë €', HEX('Zoë €'), COLLATION('x')")


def all_types(connection: "Connection[Any]") -> object:
    return rows(
        connection,
        "SELECT 1, -1, 1.50, 1e300, NULL, '', 'x', x'00FF', DATE'2024-02-29', TIMESTAMP'2024-02-29 12:00:00.5',"
        " TIME'-01:02:03', b'101', JSON_OBJECT('a', 1), 18446744073709551615",
    )


def errors_and_warnings(connection: "Connection[Any]") -> object:
    seen: list[object] = []
    for statement in (
        "SELEC 1",
        "SELECT * FROM shop.nothing",
        "SELECT * FROM mysql.user",
        "INSERT INTO shop.customers (id, name) VALUES (1, 'Eve')",
        "SELECT 1 UNION SELECT 1, 2",
        "USE nowhere",
    ):
        with pytest.raises(pymysql.err.MySQLError) as caught:
            rows(connection, statement)
        seen.append(caught.value.args)
    rows(connection, "SELECT CAST('x' AS SIGNED), 1/0")
    return seen, rows(connection, "SHOW WARNINGS"), rows(connection, "SELECT 'still there'")


def several_results(connection: "Connection[Any]") -> object:
    results = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT name FROM shop.customers WHERE id <= 3 ORDER BY id; DO 1; SELECT NULL")
        while True:
            results.append(tuple(cursor.fetchall()))
            if not cursor.nextset():
                return results


def temporary_table(connection: "Connection[Any]") -> object:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE shop.scratch (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))")
        counts = [cursor.executemany("INSERT INTO shop.scratch (v) VALUES (%s)", [("a",), ("b",), (None,)])]
        last = cursor.lastrowid
        counts.append(cursor.execute("UPDATE shop.scratch SET v = 'c' WHERE v = 'b' OR v = 'c'"))
        counts.append(cursor.execute("UPDATE shop.scratch SET v = 'c' WHERE v = 'c'"))
    return counts, last, rows(connection, "SELECT * FROM shop.scratch ORDER BY id")


def prepared_statement(connection: "Connection[Any]") -> object:
    one = Statement(connection, "SELECT id + ?, CONCAT(name, ?), ? FROM shop.customers WHERE id <= ? ORDER BY id")
    two = Statement(connection, "SELECT ?")
    results = [one.execute(10, "-é", None, 2), two.execute("x"), one.execute(-(1 << 40), "", "y", 3)]
    one.close()
    two.send_long_data(0, b"pieces ")
    two.send_long_data(0, b"of one value")
    results.append(two.execute(b"", long_data=True))
    with pytest.raises(pymysql.err.MySQLError) as caught:
        one.execute(1, "", "", 1)
    return results, caught.value.args[0], rows(connection, "SELECT 'still there'")


def file_of_the_client(connection: "Connection[Any]") -> object:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE shop.loaded (v VARCHAR(100))")
        count = cursor.execute(
            f"LOAD DATA LOCAL INFILE '{Path(__file__)}' INTO TABLE shop.loaded LINES STARTING BY 'def '"
        )
    return count, rows(connection, "SELECT v FROM shop.loaded ORDER BY v")


@pytest.mark.parametrize(
    "work",
    [
        who_and_where,
        character_sets,
        all_types,
        errors_and_warnings,
        several_results,
        temporary_table,
        prepared_statement,
        file_of_the_client,
    ],
)
def test_pymysql_gets_what_a_direct_login_gets(real_server: RealServer, proxy: RunningProxy, work: Work) -> None:
    options: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "local_infile": True}
    for database in (None, "shop"):
        with contextlib.closing(connect_directly(real_server, database=database, **options)) as direct:
            expected = work(direct)
        with contextlib.closing(proxy.connect(database=database, **options)) as connection:
            assert work(connection) == expected


@pytest.mark.parametrize("charset", ["latin1", "utf8mb3", "utf8mb4", "cp1251"])
def test_character_set_of_the_client_is_kept(real_server: RealServer, proxy: RunningProxy, charset: str) -> None:
    with contextlib.closing(connect_directly(real_server, charset=charset)) as direct:
        expected = character_sets_of(direct)
    with contextlib.closing(proxy.connect(charset=charset)) as connection:
        assert character_sets_of(connection) == expected


def character_sets_of(connection: "Connection[Any]") -> object:
    return rows(connection, "SELECT @@character_set_client, @@character_set_results, @@collation_connection")


# --- transactions and volume ---


def test_transaction_is_committed_or_rolled_back(proxy: RunningProxy, table: str) -> None:
    with contextlib.closing(proxy.connect()) as writer, contextlib.closing(proxy.connect(autocommit=True)) as reader:
        rows(writer, f"CREATE TABLE {table} (v INT) ENGINE=InnoDB")

        def seen() -> tuple[Any, ...]:
            return rows(reader, f"SELECT v FROM {table} ORDER BY v")

        writer.begin()
        rows(writer, f"INSERT INTO {table} VALUES (1)")
        assert seen() == ()
        writer.commit()
        assert seen() == ((1,),)
        writer.begin()
        rows(writer, f"INSERT INTO {table} VALUES (2)")
        assert rows(writer, f"SELECT COUNT(*) FROM {table}") == ((2,),)
        writer.rollback()
        assert seen() == ((1,),)
        rows(writer, f"INSERT INTO {table} VALUES (3)")
    # Left open by a client that went away: the server rolls it back.
    with contextlib.closing(proxy.connect()) as reader:
        rows(reader, f"SELECT v FROM {table} FOR UPDATE")
        assert rows(reader, f"SELECT v FROM {table}") == ((1,),)


def test_result_of_64_mb_arrives_whole(proxy: RunningProxy) -> None:
    statement = (
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)"
        " SELECT i, REPEAT(SHA2(i, 256), 16384) FROM n"
    )
    with contextlib.closing(proxy.connect(database="shop")) as connection:
        found = rows(connection, statement)
        assert rows(connection, "SELECT 'still there'") == (("still there",),)
    assert [number for number, _ in found] == list(range(64))
    assert sum(len(text) for _, text in found) == 64 * MB
    for number, text in found:
        assert text == hashlib.sha256(str(number).encode()).hexdigest() * 16384


def test_single_value_of_64_mb_arrives_whole(proxy: RunningProxy) -> None:
    with contextlib.closing(proxy.connect()) as connection:
        ((text, digest),) = rows(connection, "SELECT @x := REPEAT('0123456789abcdef', 4194304), SHA2(@x, 256)")
        assert (len(text), hashlib.sha256(text.encode()).hexdigest()) == (64 * MB, digest)
        assert rows(connection, "SELECT 'still there'") == (("still there",),)


def test_insert_of_20_mb_reads_back_equal(proxy: RunningProxy, table: str) -> None:
    data = secrets.token_bytes(20 * MB)
    with contextlib.closing(proxy.connect()) as connection:
        rows(connection, f"CREATE TABLE {table} (v LONGBLOB)")
        rows(connection, f"INSERT INTO {table} VALUES (_binary %s)", (data,))
        ((digest, found),) = rows(connection, f"SELECT SHA2(v, 256), v FROM {table}")
        connection.rollback()
    assert digest == hashlib.sha256(data).hexdigest()
    assert found == data


def test_prepared_insert_of_20_mb_in_pieces(proxy: RunningProxy, table: str) -> None:
    data = secrets.token_bytes(20 * MB)
    with contextlib.closing(proxy.connect(autocommit=True)) as connection:
        rows(connection, f"CREATE TABLE {table} (v LONGBLOB)")
        insert = Statement(connection, f"INSERT INTO {table} VALUES (?)")
        for start in range(0, len(data), 3 * MB):
            insert.send_long_data(0, data[start : start + 3 * MB])
        assert insert.execute(b"", long_data=True) == []
        insert.close()
        assert rows(connection, f"SELECT SHA2(v, 256) FROM {table}") == ((hashlib.sha256(data).hexdigest(),),)


@pytest.mark.parametrize("above", [-1, 0, 1])
def test_command_at_the_packet_limit(proxy: RunningProxy, above: int) -> None:
    """A payload of 16 MiB - 1 bytes is followed by an empty packet."""
    size = (1 << 24) - 1 + above - len("\x03SELECT LENGTH('')")
    with contextlib.closing(proxy.connect()) as connection:
        assert rows(connection, f"SELECT LENGTH('{'x' * size}')") == ((size,),)
        assert rows(connection, "SELECT 'still there'") == (("still there",),)


# --- command-line clients ---


def run_cli(cli: list[str], port: int, statements: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [*cli, "--host=127.0.0.1", f"--port={port}", f"--user={USER}", "--batch", *options]
    return subprocess.run(
        command,
        input=statements,
        capture_output=True,
        text=True,
        env={**os.environ, "MYSQL_PWD": PASSWORD},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("plugin", [None, NATIVE, SHA2])
def test_command_line_client_logs_in(proxy: RunningProxy, cli: list[str], without_tls: str, plugin: str | None) -> None:
    options = ["--skip-column-names", without_tls] + ([f"--default-auth={plugin}"] if plugin else [])
    done = run_cli(cli, proxy.port, "SELECT CURRENT_USER(), name FROM shop.customers WHERE id = 2;", *options)
    assert (done.returncode, done.stdout) == (0, "user_batch@%\tGrace\n"), done.stderr


def test_command_line_client_works(proxy: RunningProxy, cli: list[str], table: str) -> None:
    statements = f"""
        CREATE TABLE {table} (id INT, v VARCHAR(20));
        START TRANSACTION; INSERT INTO {table} VALUES (1, 'kept'); COMMIT;
        START TRANSACTION; INSERT INTO {table} VALUES (2, 'lost'); ROLLBACK;
        PREPARE p FROM 'INSERT INTO {table} VALUES (?, ?)'; SET @id = 3, @v = 'prepared'; EXECUTE p USING @id, @v;
        SELECT * FROM {table} ORDER BY id;
        SELECT 1; SELECT LENGTH(REPEAT('x', 1000000));
    """
    done = run_cli(cli, proxy.port, statements, "--skip-column-names", "--database=shop")
    assert (done.returncode, done.stdout) == (0, "1\tkept\n3\tprepared\n1\n1000000\n"), done.stderr


def test_command_line_client_gets_64_mb(proxy: RunningProxy, cli: list[str]) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)"
    statement = f"{numbers} SELECT REPEAT('x', 1048576) FROM n;"
    done = run_cli(cli, proxy.port, statement, "--skip-column-names", "--quick")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 64 * (MB + 1)


def test_command_line_client_says_what_went_wrong(proxy: RunningProxy, cli: list[str]) -> None:
    done = run_cli(cli, proxy.port, "SELECT 1;", "--database=nowhere")
    assert done.returncode == 1
    assert "ERROR 1044 (42000): Access denied for user 'user_batch'@'%' to database 'nowhere'" in done.stderr


def test_command_line_client_shows_why_rds_cannot_be_reached(mariadb_10_11: RealServer, cli: list[str]) -> None:
    """libmariadb would take the code 2003 for a broken packet: it gets another one."""
    config = config_text(mariadb_10_11).replace(f"{mariadb_10_11.host}:{mariadb_10_11.port}", "127.0.0.1:1")
    with running(config, key=mariadb_10_11.key) as proxy:
        done = run_cli(cli, proxy.port, "SELECT 1;")
    code = 2003 if "mysql" in cli else 1429
    assert f"ERROR {code} (HY000)" in done.stderr
    assert "rds-iam-proxy: cannot connect to " in done.stderr


# --- plugins, by hand ---


@pytest.mark.parametrize("plugin", [NATIVE, SHA2, "sha256_password", "dummy_fallback_auth", "mysql_clear_password"])
def test_any_plugin_of_the_client_ends_in_a_login(proxy: RunningProxy, plugin: str) -> None:
    with RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD, plugin=plugin)
        assert client.query("SELECT CURRENT_USER()") == [("user_batch@%",)]


def test_log_says_how_rds_and_the_client_machine_name_a_session(proxy: RunningProxy) -> None:
    before = proxy.log_position()
    with contextlib.closing(proxy.connect(program_name="nightly")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        ((number,),) = cursor.fetchall()
        (began,) = eventually(
            lambda: [line for line in proxy.events("session began", since=before) if line.get("program") == "nightly"]
        )
        assert began["rds_connection_id"] == number
        assert began["id"] != number
        own_port: int = connection._sock.getsockname()[1]  # type: ignore[attr-defined]
        assert began["port"] == own_port
        assert (began["program"], began["db_user"], began["tls"]) == ("nightly", "user_batch", False)
    ended = proxy.wait_for_session_end(began["id"], since=before)
    assert {name: ended[name] for name in ("id", "rds_connection_id", "port")} == {
        name: began[name] for name in ("id", "rds_connection_id", "port")
    }
