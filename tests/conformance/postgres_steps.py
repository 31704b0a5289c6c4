"""What a PostgreSQL client does, in steps that give a value: the same directly and through the proxy.

A step that fails gives the error's SQLSTATE. What differs from one session to the next by nature (process ids, times)
is not in a value.
"""

import asyncio
import contextlib
import datetime
import decimal
import hashlib
import io
import ssl
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pg8000.dbapi
import psycopg
import psycopg2
from psycopg.types.json import Jsonb

COPY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client logs in, and how: directly with a token, or at the proxy with a password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None: in clear."""

    @property
    def libpq(self) -> dict[str, Any]:
        mode = "disable" if self.tls is None else "require"
        where = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return {**where, "dbname": self.database, "sslmode": mode}


Steps = Mapping[str, Callable[[Any], Any]]


def psycopg_connection(place: Place, **options: Any) -> "psycopg.Connection[Any]":
    return psycopg.connect(**place.libpq, autocommit=True, **options)


def _one(connection: Any, text: str, *values: Any) -> Any:
    return connection.execute(text, values or None).fetchone()


def _types(connection: Any) -> Any:
    values = [
        *(1, -(2**63), 1.5, decimal.Decimal("12345.678900"), "Zoë 김민준 😀", b"\0\xff\x01", True, None),
        *(datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, datetime.UTC)),
        *(datetime.timedelta(days=1, seconds=2), uuid.UUID(int=7), [1, 2, 3], ["a", None], Jsonb({"a": [1, None]})),
    ]
    return repr(_one(connection, "SELECT " + ", ".join(["%s"] * len(values)), *values))


def _binary(connection: Any) -> Any:
    cursor = connection.cursor(binary=True)
    return repr(cursor.execute("SELECT 1::int8, 1.25::float8, now() > '2020-01-01', '\\x00ff'::bytea").fetchone())


def _prepared(connection: Any) -> Any:
    rows = [connection.execute("SELECT %s::int * 2", [number], prepare=True).fetchone() for number in range(20)]
    return rows, _one(connection, "SELECT count(*) > 0 FROM pg_prepared_statements")


def _server_cursor(connection: Any) -> Any:
    with connection.transaction(), connection.cursor("rows") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT generate_series(1, 5000)")
        return sum(row[0] for row in cursor)


def _copy_in(connection: Any) -> Any:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS copied (n int, t text)")
    with connection.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
        for number in range(20_000):
            copy.write_row((number, f"row {number}\t\\"))
    return _one(connection, "SELECT count(*), sum(n), md5(string_agg(t, '' ORDER BY n)) FROM copied")


def _copy_out(connection: Any) -> Any:
    digest, length = hashlib.sha256(), 0
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 8000)) TO STDOUT") as copy,
    ):
        for part in copy:
            digest.update(part)
            length += len(part)
    return length, digest.hexdigest()


def _copy_fails(connection: Any) -> Any:
    with connection.cursor() as cursor, cursor.copy("COPY copied (n) FROM STDIN") as copy:
        copy.write(b"no number\n")


def _after_failed_copy(connection: Any) -> Any:
    with contextlib.suppress(psycopg.Error):
        _copy_fails(connection)
    return _one(connection, "SELECT 1")


def _notify(connection: Any) -> Any:
    connection.execute("LISTEN news")
    connection.execute("NOTIFY news, 'told'")
    return [(note.channel, note.payload) for note in connection.notifies(timeout=10, stop_after=1)]


def _pipeline(connection: Any) -> Any:
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [number]) for number in range(200)]
        return sum(cursor.fetchone()[0] for cursor in cursors)


def _failed_pipeline(connection: Any) -> Any:
    with connection.pipeline():
        connection.execute("SELECT 1")
        connection.execute("SELECT nothing")


def _cancel(connection: Any) -> Any:
    timer = threading.Timer(0.3, connection.cancel_safe)
    timer.start()
    try:
        connection.execute("SELECT pg_sleep(20)")
    finally:
        timer.join()


def _notices(connection: Any) -> Any:
    told: list[str] = []
    connection.add_notice_handler(lambda diagnostic: told.append(diagnostic.message_primary))
    connection.execute("DO $$ BEGIN RAISE NOTICE 'böö'; END $$")
    return told


def _transaction(connection: Any) -> Any:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (n int)")
    with contextlib.suppress(ZeroDivisionError), connection.transaction():
        connection.execute("INSERT INTO kept VALUES (1)")
        raise ZeroDivisionError
    with connection.transaction():
        connection.execute("INSERT INTO kept VALUES (2)")
        with contextlib.suppress(psycopg.Error), connection.transaction():
            connection.execute("INSERT INTO kept VALUES (3)")
            connection.execute("SELECT nothing")
    return connection.execute("SELECT n FROM kept").fetchall(), connection.info.transaction_status.name


def _failed_transaction(connection: Any) -> Any:
    connection.execute("BEGIN")
    with contextlib.suppress(psycopg.Error):
        connection.execute("SELECT nothing")
    status = connection.info.transaction_status.name
    connection.execute("ROLLBACK")
    return status, connection.info.transaction_status.name


def _diagnostics(connection: Any) -> Any:
    try:
        connection.execute("SELECT 1 FROM customers WHERE nothing = 1")
    except psycopg.Error as error:
        diag = error.diag
        return (
            diag.sqlstate,
            diag.severity_nonlocalized,
            diag.message_primary,
            diag.statement_position,
            diag.source_function,
        )
    return "no error"


def _parameters(connection: Any) -> Any:
    names = ("server_version", "client_encoding", "DateStyle", "session_authorization", "standard_conforming_strings")
    return [connection.info.parameter_status(name) for name in (*names, "is_superuser", "in_hot_standby")]


def _process_id(connection: Any) -> Any:
    return _one(connection, "SELECT pg_backend_pid()") == (connection.info.backend_pid,)


def _large(connection: Any) -> Any:
    text = "ä" * COPY_BYTES
    return len(_one(connection, "SELECT %s::text || 'x'", text)[0])


PSYCOPG: Steps = {
    "who": lambda c: _one(c, "SELECT current_user, session_user, current_database()"),
    "TLS or not does not show in results": lambda c: _one(c, "SELECT 'x'"),
    "types": _types,
    "binary results": _binary,
    "prepared statements": _prepared,
    "cursor at the server": _server_cursor,
    "COPY in": _copy_in,
    "COPY out, 8 MB": _copy_out,
    "COPY that fails": _copy_fails,
    "after a COPY that failed": _after_failed_copy,
    "LISTEN and NOTIFY": _notify,
    "pipeline": _pipeline,
    "pipeline that fails": _failed_pipeline,
    "cancel": _cancel,
    "after it": lambda c: _one(c, "SELECT 1"),
    "notices": _notices,
    "transactions and savepoints": _transaction,
    "failed transaction": _failed_transaction,
    "diagnostics": _diagnostics,
    "unique violation": lambda c: c.execute("INSERT INTO customers (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'x')"),
    "no right": lambda c: c.execute("CREATE DATABASE x"),
    "statement_timeout": lambda c: c.execute("SET statement_timeout = 200; SELECT pg_sleep(5)"),
    "several statements at once": lambda c: [c.execute("RESET statement_timeout; SELECT 1; SELECT 2").nextset()],
    "empty statement": lambda c: c.execute("").statusmessage,
    "parameters of the session": _parameters,
    "process id": _process_id,
    "8 M characters both ways": _large,
    "no row, no column": lambda c: (c.execute("SELECT").fetchall(), c.execute("SELECT 1 WHERE false").fetchall()),
    "application_name": lambda c: [
        c.execute("SET application_name = 'böö'").statusmessage,
        _one(c, "SHOW application_name"),
    ],
    "ended by the server": lambda c: c.execute("SELECT pg_terminate_backend(pg_backend_pid())"),
}


def run_psycopg(place: Place) -> dict[str, Any]:
    with contextlib.closing(psycopg_connection(place)) as connection:
        return {name: _outcome(step, connection) for name, step in PSYCOPG.items()}


def _outcome(step: Callable[[Any], Any], connection: Any) -> Any:
    try:
        return step(connection)
    except (psycopg.Error, psycopg2.Error) as error:
        return type(error).__name__, getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


STATEMENTS = (
    "SELECT current_user::text, 1::int, 2.5::numeric, 'Zoë'::text, NULL::text, true",
    "SELECT n FROM generate_series(1, 1000) n ORDER BY n DESC",
    "SELECT name FROM customers ORDER BY id",
    "SELECT nothing",
    "SELECT 1/0",
    "SELECT repeat('x', 1000000)",
    "SELECT decode('00ff', 'hex')",
    "SELECT ARRAY[1, 2, NULL]",
    "SELECT '2024-02-29'::date, '12:00'::time",
    "SELECT count(*) FROM pg_class WHERE relname = 'customers'",
)
"""For drivers that have no more in common than this."""


def run_psycopg2(place: Place) -> dict[str, Any]:
    with contextlib.closing(psycopg2.connect(**place.libpq)) as connection:
        connection.autocommit = True

        def ask(text: str) -> Any:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return repr(
                    [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]
                )

        found = {text: _outcome(lambda _, text=text: ask(text), None) for text in STATEMENTS}  # type: ignore[misc]
        with connection.cursor() as cursor:
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT n FROM generate_series(1, 100000) n) TO STDOUT", out)
            found["COPY out"] = hashlib.sha256(out.getvalue().encode()).hexdigest()
        return found


def run_pg8000(place: Place) -> dict[str, Any]:
    connection = pg8000.dbapi.connect(
        user=place.user, host=place.host, port=place.port, database=place.database, password=place.password,
        ssl_context=place.tls,
    )  # fmt: skip
    found: dict[str, Any] = {}
    try:
        connection.autocommit = True
        for text in STATEMENTS:
            cursor = connection.cursor()
            try:
                cursor.execute(text)
                found[text] = repr(cursor.fetchall())
            except pg8000.dbapi.Error as error:
                found[text] = (error.args[0]["C"], error.args[0]["M"])
    finally:
        connection.close()
    return found


def run_asyncpg(place: Place) -> dict[str, Any]:
    return asyncio.run(_asyncpg(place))


async def _asyncpg(place: Place) -> dict[str, Any]:
    connection = await asyncpg.connect(
        host=place.host, port=place.port, user=place.user, password=place.password, database=place.database,
        ssl=place.tls or False,
    )  # fmt: skip
    found: dict[str, Any] = {}
    try:
        for text in STATEMENTS:
            found[text] = await _asyncpg_outcome(lambda text=text: connection.fetch(text))  # type: ignore[misc]
        found["executemany"] = await _asyncpg_outcome(lambda: _many(connection))
        found["timeout"] = await _asyncpg_outcome(lambda: connection.execute("SELECT pg_sleep(20)", timeout=0.3))
        found["after it"] = await _asyncpg_outcome(lambda: connection.fetchval("SELECT 1"))
    finally:
        await connection.close()
    return found


async def _many(connection: Any) -> Any:
    await connection.execute("CREATE TEMP TABLE many (n int)")
    await connection.executemany("INSERT INTO many VALUES ($1)", [(number,) for number in range(5000)])
    return await connection.fetchval("SELECT sum(n) FROM many")


async def _asyncpg_outcome(ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return repr(await ask())
    except asyncpg.PostgresError as error:
        return type(error).__name__, error.sqlstate
    except TimeoutError:
        return "TimeoutError"


DRIVERS: Mapping[str, Callable[[Place], dict[str, Any]]] = {
    "psycopg": run_psycopg,
    "psycopg2": run_psycopg2,
    "asyncpg": run_asyncpg,
    "pg8000": run_pg8000,
}
