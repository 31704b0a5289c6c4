"""What every PostgreSQL client runs, as data; and the other ways to log in at the proxy.

Parameters stand as `$1`, each once and in order, and are passed as text.
"""

from typing import Any

from conformance.script import SIDES, Action, Check, Rows, Side, act, connect, multi, query

COPY_LINES = 1_000_000
COPY_LINE = "x" * 99
LOGINS_IN_A_ROW = 50
LARGE = 2_000_000  # characters
ONE = query("SELECT 1", rows=(("1",),))

TYPES = (
    "SELECT 1::int2, '-9223372036854775808'::int8, 1.5::float4, 0.1::float8, 12345.678900::numeric, 'NaN'::numeric,"
    " 'Zoë 김민준 😀'::text, 'c'::char(3), '\\x00ff01'::bytea, true, NULL::int, '2024-02-29'::date, '23:59:59.5'::time,"
    " '2024-02-29 12:00:00.123456'::timestamp, '2024-02-29 12:00:00+00'::timestamptz, '1 day 02:03:04'::interval,"
    " '00000000-0000-0000-0000-000000000007'::uuid, '{1,2,NULL}'::int[], '{\"a\": [1, null]}'::jsonb,"
    " '10.0.0.1/8'::inet, '[1,5)'::int4range, '(1,2)'::point, B'1010'::bit(4)"
)


def fails(sql: str, sqlstate: str) -> Action:
    return Action("query", {"sql": sql, "args": [], "sqlstate": sqlstate}, fails="yes")


def _rows(*values: Any) -> Rows:
    return (tuple(values),)


CHECKS: tuple[Check, ...] = (
    Check(
        "who and where",
        (query("SELECT (current_user = 'user_batch' AND session_user = current_user)::text", rows=_rows("true")),),
    ),
    Check("version", (query("SHOW server_version"), query("SHOW client_encoding"), query("SHOW DateStyle"))),
    Check("types", (query(TYPES),)),
    Check("unicode", (query("SELECT 'Zoë 김민준 😀'::text", rows=_rows("Zoë 김민준 😀")),)),
    Check(
        "parameters",
        (
            query(
                "SELECT ($1::int + 1)::text, $2::text || 'é', ($3::numeric * 2)::text, $4::text",
                ("text", "41"), ("text", "x"), ("text", "1.50"), ("null", None),
                rows=_rows("42", "xé", "3.00", None),
            ),
        ),
    ),
    Check(
        "prepared statement, 20 times",
        (act("prepared", sql="SELECT ($1::int * 2)::text", args=[[["text", str(n)]] for n in range(20)]),),
    ),
    Check("no rows, no columns", (query("SELECT 1 WHERE false", rows=()), query("CREATE TEMP TABLE t (n int)"))),
    Check("5,000 rows", (query("SELECT n, repeat('x', mod(n, 50)) FROM generate_series(1, 5000) n"),)),
    Check(
        "2 MB in a value, both ways",
        (
            query("SELECT repeat('0123456789abcdef', 125000)"),
            query("SELECT length($1::text)::text", ("text", "ä" * (LARGE // 100)), rows=_rows(str(LARGE // 100))),
        ),
    ),
    Check(
        "transactions",
        (
            query("CREATE TEMP TABLE t (n int)"),
            act("begin"), query("INSERT INTO t VALUES (1)"), act("rollback"),
            act("begin"), query("INSERT INTO t VALUES (2)"), act("commit"),
            query("SELECT n::text FROM t", rows=_rows("2")),
        ),
    ),
    Check(
        "savepoints and failed transactions",
        (
            act("begin"), query("SAVEPOINT s"), fails("SELECT nothing", "42703"), fails("SELECT 1", "25P02"),
            query("ROLLBACK TO SAVEPOINT s"), ONE, act("commit"), ONE,
        ),
    ),
    Check(
        "errors",
        (
            fails("SELECT 1/0", "22012"), fails("SELECT * FROM nowhere", "42P01"), fails("SELEC 1", "42601"),
            fails("SELECT 'x'::int", "22P02"), fails("CREATE ROLE somebody", "42501"),
            query("CREATE TEMP TABLE t (n int PRIMARY KEY)"), query("INSERT INTO t VALUES (1)"),
            fails("INSERT INTO t VALUES (1)", "23505"), fails("INSERT INTO t VALUES (NULL)", "23502"), ONE,
        ),
    ),
    Check("several statements at once", (multi("CREATE TEMP TABLE t (n int); INSERT INTO t VALUES (7)"), ONE)),
    Check(
        "cursor, by statements",
        (
            act("begin"), query("DECLARE c CURSOR FOR SELECT n::text FROM generate_series(1, 100) n"),
            query("FETCH 2 FROM c", rows=(("1",), ("2",))),
            query("FETCH LAST FROM c", rows=_rows("100")), act("commit"),
        ),
    ),
    Check(
        "row by row, 100,000",
        (act("stream", sql="SELECT n::text, repeat('x', 100) FROM generate_series(1, 100000) n",
             rows=_rows("10000000")),),
    ),
    Check(
        "functions",
        (
            query("CREATE FUNCTION pg_temp.twice(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2 * n; END'"),
            query("SELECT pg_temp.twice(21)::text", rows=_rows("42")),
        ),
    ),
    Check(
        "settings",
        (
            query("SET application_name = 'böö'"), query("SET search_path = pg_catalog"),
            query("SET TimeZone = 'Asia/Seoul'"),
            query("SELECT '2024-02-29 12:00:00+00'::timestamptz::text", rows=_rows("2024-02-29 21:00:00+09")),
            query("SHOW search_path", rows=_rows("pg_catalog")),
        ),
    ),
    Check("notices", (act("notices", sql="DO $$ BEGIN RAISE NOTICE 'böö'; RAISE WARNING 'two'; END $$"), ONE)),
    Check("LISTEN and NOTIFY", (act("notify", channel="news", payload="told"), ONE)),
    Check(
        "pipeline",
        (act("pipeline", sql="SELECT $1::int * 3", count=100), ONE),
    ),
    Check(
        "COPY in, 100 MB",
        (
            query("CREATE TEMP TABLE copied (t text)"), act("copy in", table="copied"),
            query("SELECT count(*)::text, sum(length(t))::text FROM copied",
                  rows=_rows(str(COPY_LINES), str(COPY_LINES * 99))),
        ),
    ),
    Check(
        "COPY out, 100 MB",
        (act("copy out", sql=f"SELECT repeat('x', 99) FROM generate_series(1, {COPY_LINES})"), ONE),
    ),
    Check(
        "COPY that fails",
        (query("CREATE TEMP TABLE numbers (n int)"), act("copy in", table="numbers", fails="yes"), ONE),
    ),
    Check("cancel", (act("cancel", sql="SELECT pg_sleep(30)", fails="may"),)),
    Check("statement_timeout", (query("SET statement_timeout = 200"), fails("SELECT pg_sleep(5)", "57014"), ONE)),
    Check(
        "ended by the server, and again",
        (fails("SELECT pg_terminate_backend(pg_backend_pid())", "57P01"), act("reconnect"), ONE),
    ),
    Check(
        "database that is not there",
        (Action("connect", {"changes": {"database": "nowhere"}, "sqlstate": "3D000"}, fails="yes"),),
    ),
    Check("object mapper", (act("mapper"),), only=frozenset({"pg-sqlalchemy", "pg-django"})),
    Check(f"{LOGINS_IN_A_ROW} logins in a row", (act("logins", count=LOGINS_IN_A_ROW),)),
)  # fmt: skip

PROXY: tuple[Side, ...] = ("proxy",)
LOGIN_CHECKS = (
    Check("login: in clear", (ONE,), sides=PROXY),
    Check("login: TLS", (connect(tls=True), ONE), sides=PROXY),
    Check("login: TLS at once", (connect(tls="direct"), ONE), sides=PROXY),
    Check("login: Unix socket", (connect(socket=True), ONE), sides=PROXY),
    Check(
        "login: wrong password",
        (Action("connect", {"changes": {"password": "wrong"}, "sqlstate": "28P01"}, fails="yes"),),
        sides=PROXY,
    ),
    Check(
        "login: nobody's name",
        (Action("connect", {"changes": {"user": "nobody"}, "sqlstate": "28P01"}, fails="yes"),),
        sides=PROXY,
    ),
)

PGBENCH_CHECKS = tuple(
    Check(f"pgbench, {protocol}, {name}", (act("pgbench", protocol=protocol, options=options),), sides=SIDES)
    for protocol in ("simple", "extended", "prepared")
    for name, options in (
        ("select, 1 client", ["-S", "-c", "1", "-t", "300"]),
        ("select, 8 clients", ["-S", "-c", "8", "-t", "100"]),
        ("TPC-B, 1 client", ["-c", "1", "-t", "50"]),
        ("TPC-B, 8 clients", ["-c", "8", "-t", "20"]),
        ("simple update, 4 clients", ["-N", "-c", "4", "-t", "20"]),
        ("a login each, 4 clients", ["-S", "-C", "-c", "4", "-t", "10"]),
        ("initialise", ["-i", "-s", "2"]),
    )
)
"""The last of each fills the tables anew, with COPY in."""


def postgres_checks(_ground: Any, client: str) -> tuple[Check, ...]:
    """What one client runs."""
    if client == "pgbench":
        return (
            Check("pgbench, tables", (act("pgbench", protocol="simple", options=["-i", "-s", "2"]),)),
            *PGBENCH_CHECKS,
        )
    if client == "pgcli":  # ends at the first error
        script = [check for check in CHECKS if all(action.fails == "no" for action in check.actions)]
    else:
        script = list(CHECKS)
    return (*(check for check in script if not check.only or client in check.only), *LOGIN_CHECKS)
