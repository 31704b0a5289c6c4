"""`rds-iam-proxy demo --engine postgres` as a process, and what clients can ask its server."""

import asyncio
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native
import psycopg
import pytest

from test_demo import start

DSN = tuple[int, str]


def read_until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    shown = ""
    while "Ctrl-C" not in shown:
        line = process.stdout.readline()
        assert line, shown
        shown += line
    return shown


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DSN]:
    """Port and password of a demo that runs."""
    with start(tmp_path_factory.mktemp("demo"), "--engine", "postgres") as process:
        shown = read_until_ready(process)
        password, port = re.search(r"Password +([A-Za-z0-9]{24}) ", shown), re.search(r"port=(\d+)", shown)
        assert password
        assert port
        yield int(port[1]), password[1]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    own = [line for line in map(json.loads, err.splitlines()) if line.get("program") == "demo's own"]
    assert [line["closed_by"] for line in own if line["event"] == "session ended"] == ["client"]


def connect(demo: DSN, **options: Any) -> "psycopg.Connection[Any]":
    where = {"host": "127.0.0.1", "port": demo[0], "user": "demo", "password": demo[1], "autocommit": True}
    return psycopg.connect(**{**where, **options})


def test_once_proves_the_login_and_ends(tmp_path: Path) -> None:
    with start(tmp_path, "--engine", "postgres", "--once") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert re.search(r"current_user +demo_user\n", out)
    assert "6 rows" in out
    assert "refused: 0" in out


def test_tables_are_asked_by_the_simple_and_the_extended_protocol(demo: DSN) -> None:
    with connect(demo, dbname="shop") as connection:
        rows = connection.execute("SELECT name, city FROM customers WHERE id = %s", [2]).fetchall()
        assert rows == [("Zoë Müller", "Köln")]
        rows = connection.execute("SELECT id FROM products ORDER BY price DESC LIMIT 2").fetchall()
        assert rows == [(4,), (3,)]
        assert connection.execute("SELECT count(*) FROM customers WHERE city IS NULL").fetchone() == (1,)
        cursor = psycopg.ClientCursor(connection)
        assert cursor.execute("SELECT current_user, 1, 'x'").fetchone() == ("demo_user", 1, "x")


def test_transactions_and_errors(demo: DSN) -> None:
    with connect(demo) as connection:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="demo's embedded server"):
            connection.execute("DELETE FROM customers")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nothing")
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("DROP TABLE customers")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        assert connection.execute("SHOW server_version").fetchone() is not None


def test_cancel_reaches_a_sleep(demo: DSN) -> None:
    with connect(demo) as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
        timer.join()


def test_database_that_is_not_there(demo: DSN) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        connect(demo, dbname="nowhere")


def test_other_drivers(demo: DSN) -> None:
    connection = pg8000.native.Connection("demo", host="127.0.0.1", port=demo[0], password=demo[1], database="shop")
    try:
        assert connection.run("SELECT name FROM customers WHERE id = 1") == [["Ada Lovelace"]]
    finally:
        connection.close()

    async def ask() -> Any:
        client = await asyncpg.connect(host="127.0.0.1", port=demo[0], user="demo", password=demo[1], database="shop")
        try:
            return [row["id"] for row in await client.fetch("SELECT id FROM customers ORDER BY id")]
        finally:
            await client.close()

    assert asyncio.run(ask()) == [1, 2, 3, 4, 5, 6]
