"""What goes on in a session: everything that PostgreSQL's clients do goes through, and ends are told as they are."""

import io
import time
from typing import Any

import psycopg
import pytest

from e2e.conftest import running
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from postgres.conftest import connect
from postgres.raw_client import PostgresClient, message, query
from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer

ROWS = 200_000


def test_copy_out_and_in(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE numbers (n int, t text)")
        with cursor.copy("COPY numbers FROM STDIN") as copy:
            for number in range(ROWS):
                copy.write_row((number, f"row {number}"))
        assert cursor.execute("SELECT count(*), sum(n) FROM numbers").fetchone() == (ROWS, ROWS * (ROWS - 1) // 2)
        taken = io.BytesIO()
        with cursor.copy("COPY numbers TO STDOUT") as copy:
            for part in copy:
                taken.write(part)
        assert taken.getvalue().count(b"\n") == ROWS


def test_failed_copy_leaves_the_session_usable(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE numbers (n int)")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), cursor.copy("COPY numbers FROM STDIN") as copy:
            copy.write(b"1\nno number\n")
        assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_notifications_come_unasked(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as listening, connect(postgres_proxy) as telling:
        listening.execute("LISTEN news")
        telling.execute("NOTIFY news, 'böö'")
        (note,) = list(listening.notifies(timeout=10, stop_after=1))
        assert (note.channel, note.payload) == ("news", "böö")


def test_pipeline(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [number]) for number in range(500)]
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(500)]


def test_big_result_and_server_side_cursor(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy, autocommit=False) as connection, connection.cursor("c") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT n, repeat('x', 100) FROM generate_series(1, 50000) n")
        assert sum(row[0] for row in cursor) == 50000 * 50001 // 2


def test_the_servers_errors_come_as_they_are(postgres_proxy: RunningProxy) -> None:
    with connect(postgres_proxy) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable) as caught:
            connection.execute("SELECT * FROM nothing")
        assert caught.value.diag.statement_position == "15"
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_session_that_the_server_ends(postgres_proxy: RunningProxy, postgres_server: PostgresServer) -> None:
    with connect(postgres_proxy) as connection:
        pid = connection.info.backend_pid
        with postgres_server.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")


def session_of(client: PostgresClient, proxy: RunningProxy) -> None:
    client.log_in(USER, PASSWORD, database=DATABASE)


def test_silent_session_is_ended_in_words(postgres_server: PostgresServer) -> None:
    """idle_timeout counts between two statements, and never inside a transaction."""
    with (
        running(config_text(postgres_server, target="idle_timeout = 1"), key=postgres_server.key) as proxy,
        connect(proxy) as idle,
        connect(proxy, autocommit=False) as open_transaction,
    ):
        open_transaction.execute("SELECT 1")
        time.sleep(4)
        with pytest.raises(psycopg.errors.IdleSessionTimeout, match="idle_timeout"):
            idle.execute("SELECT 1")
        assert open_transaction.execute("SELECT 2").fetchone() == (2,)


def test_drain_waits_for_statements_and_transactions(postgres_server: PostgresServer) -> None:
    with start_proxy(config_text(postgres_server), key=postgres_server.key) as proxy:
        with connect(proxy) as idle, connect(proxy, autocommit=False) as inside, PostgresClient(proxy.port) as busy:
            inside.execute("SELECT 1")
            session_of(busy, proxy)
            busy.send(message(b"Q", b"SELECT 1\0") + query("SELECT pg_sleep(7)"))  # the first is answered at once
            time.sleep(0.3)
            proxy.process.terminate()
            with pytest.raises(psycopg.errors.AdminShutdown):
                _until_it_ends(idle)
            assert inside.execute("SELECT 2").fetchone() == (2,)
            inside.commit()
            kinds: list[Any] = []
            while kinds.count(b"Z") < 2:
                kinds.append(busy.read_message()[0])
            assert kinds.count(b"C") == 2
        assert proxy.process.wait(15) == 0
        assert proxy.events("stopped")[0]["sessions_cut"] == 0


def _until_it_ends(connection: "psycopg.Connection[Any]") -> None:
    time.sleep(5)
    connection.execute("SELECT 1")
