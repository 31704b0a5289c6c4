"""The script that every client runs, as data: checks made of a few kinds of action, which each driver knows.

An action's `rows` are what it must give, whoever asks: all result sets' rows in order, each value as text. The rest of
what it gives (columns, counts, warnings, errors) only has to be the same on both sides.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["proxy", "direct"]
SIDES: tuple[Side, ...] = ("proxy", "direct")
Rows = tuple[tuple[str | None, ...], ...]
Argument = tuple[str, str | None]  # a type's name and the value as text; bytes in hex
SERVER_FAMILIES = ("mysql", "mariadb")

BIG_LENGTH = 20 * 1024 * 1024
BIG_UNIT = "0123456789abcdef"
BIG_DIGEST = hashlib.sha256(BIG_UNIT.encode() * (BIG_LENGTH // len(BIG_UNIT))).hexdigest()
LOGINS = 200

# Lines that begin as COM_QUIT does, enough of them for the packets' sequence ids to wrap.
INFILE_LINES = 8000
INFILE_TEXT = "".join(f"\x01line {number} {'x' * (number % 601 + 280)}\n" for number in range(INFILE_LINES))
INFILE_SUMS = (
    str(INFILE_LINES),
    str(len(INFILE_TEXT) - INFILE_LINES),
    str(sum(zlib.crc32(line.encode()) for line in INFILE_TEXT.splitlines())),
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a driver does; `what` names it."""

    what: str
    options: dict[str, Any]
    rows: Rows | None = None
    fails: Literal["no", "yes", "may"] = "no"

    def plain(self) -> dict[str, Any]:
        """What goes to the driver, as JSON."""
        return {"do": self.what, "may fail": self.fails != "no", **self.options}


@dataclass(frozen=True, slots=True)
class Check:
    """A named part of the script, with a connection of its own."""

    name: str
    actions: tuple[Action, ...]
    families: tuple[str, ...] = SERVER_FAMILIES
    only: frozenset[str] = frozenset()  # clients; empty: all
    sides: tuple[Side, ...] = SIDES


def query(sql: str, *args: Argument, rows: Rows | None = None, fails: Literal["no", "yes", "may"] = "no") -> Action:
    return Action("query", {"sql": sql, "args": list(args)}, rows, fails)


def prepared(sql: str, *args: Argument, rows: Rows | None = None) -> Action:
    """Over the binary protocol."""
    return Action("prepared", {"sql": sql, "args": list(args)}, rows)


def multi(sql: str, *, rows: Rows | None = None, fails: Literal["no", "yes"] = "no") -> Action:
    """Several statements in one command."""
    return Action("multi", {"sql": sql}, rows, fails)


def act(what: str, *, rows: Rows | None = None, fails: Literal["no", "yes", "may"] = "no", **options: Any) -> Action:
    return Action(what, options, rows, fails)


def connect(*, fails: Literal["no", "yes", "may"] = "no", **changes: Any) -> Action:
    """Log in anew, with changes to the usual login: charset, database, user, password, tls."""
    return Action("connect", {"changes": changes}, None, fails)


WORDS = "Żółć 日本語 🎉 'quoted' \"back\\slash\""
LATIN1 = "Zoë cañón ÿ"

# column, its type, the argument, how the server shows that it got exactly that
KINDS: tuple[tuple[str, str, Argument, str, str], ...] = (
    ("a_tiny", "TINYINT", ("int", "-128"), "a_tiny", "-128"),
    ("a_small", "SMALLINT UNSIGNED", ("int", "65535"), "a_small", "65535"),
    ("a_medium", "MEDIUMINT", ("int", "-8388608"), "a_medium", "-8388608"),
    ("an_int", "INT", ("int", "2147483647"), "an_int", "2147483647"),
    ("a_big", "BIGINT", ("int", "-9223372036854775808"), "a_big", "-9223372036854775808"),
    ("a_huge", "BIGINT UNSIGNED", ("int", "18446744073709551615"), "a_huge", "18446744073709551615"),
    ("a_decimal", "DECIMAL(30,10)", ("decimal", "12345678901234567890.0123456789"), "a_decimal",
     "12345678901234567890.0123456789"),
    ("a_float", "FLOAT", ("float", "1.5"), "a_float", "1.5"),
    ("a_double", "DOUBLE", ("float", "-2.25"), "a_double", "-2.25"),
    ("a_bit", "BIT(12)", ("int", "2730"), "HEX(a_bit)", "AAA"),
    ("a_date", "DATE", ("date", "2024-02-29"), "a_date", "2024-02-29"),
    ("a_time", "TIME(3)", ("time", "23:59:58.125"), "a_time", "23:59:58.125"),
    ("a_datetime", "DATETIME(3)", ("datetime", "2024-02-29 12:34:56.789"), "a_datetime", "2024-02-29 12:34:56.789"),
    ("a_year", "YEAR", ("int", "2155"), "a_year", "2155"),
    ("a_char", "CHAR(10)", ("text", "ąę"), "HEX(a_char)", "C485C499"),
    ("a_text", "VARCHAR(50)", ("text", "🎉"), "HEX(a_text)", "F09F8E89"),
    ("a_binary", "BINARY(4)", ("bytes", "00ff01fe"), "HEX(a_binary)", "00FF01FE"),
    ("a_blob", "BLOB", ("bytes", "fffe00275c22"), "HEX(a_blob)", "FFFE00275C22"),
    ("a_json", "JSON", ("text", '{"a": [1, null]}'), "a_json", '{"a": [1, null]}'),
    ("an_enum", "ENUM('one','two')", ("text", "two"), "an_enum", "two"),
    ("a_set", "SET('x','y','z')", ("text", "x,z"), "a_set", "x,z"),
    ("a_null", "INT", ("null", None), "COALESCE(a_null, 'NULL')", "NULL"),
)  # fmt: skip
KIND_NAMES = ", ".join(kind[0] for kind in KINDS)
KIND_MARKS = ", ".join("?" for _ in KINDS)
INSERT_KINDS = f"INSERT INTO kinds (id, {KIND_NAMES}) VALUES (?, {KIND_MARKS})"
SHOW_KINDS = (
    f"SELECT CONVERT(CONCAT_WS('|', {', '.join(kind[3] for kind in KINDS)}) USING utf8mb4) AS shown"
    " FROM kinds WHERE id = ?"
)
SHOWN: Rows = (("|".join(kind[4] for kind in KINDS),),)
KIND_ARGUMENTS = tuple(kind[2] for kind in KINDS)
NULLS: tuple[Argument, ...] = tuple(("null", None) for _ in KINDS)

SCHEMA = (
    "CREATE TABLE words (id INT PRIMARY KEY, word VARCHAR(100) CHARACTER SET utf8mb4)",
    "CREATE TABLE old_words (id INT PRIMARY KEY, word VARCHAR(100) CHARACTER SET latin1)",
    "CREATE TABLE accounts (id INT PRIMARY KEY AUTO_INCREMENT, amount INT NOT NULL)",
    f"CREATE TABLE kinds (id INT PRIMARY KEY, {', '.join(f'{name} {kind}' for name, kind, *_ in KINDS)})",
    "CREATE TABLE big (id INT PRIMARY KEY, content LONGTEXT CHARACTER SET ascii)",
    "CREATE TABLE input_lines (line VARCHAR(1000) CHARACTER SET ascii)",
    "CREATE TABLE digits (d INT)",
    "INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    "CREATE TABLE goods (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), price DECIMAL(8,2), made DATETIME)",
    "CREATE PROCEDURE two_results (IN n INT) BEGIN SELECT n AS first; SELECT n + 1 AS second, 'two' AS word; END",
)

# What differs between any two sessions.
PASSING_VARIABLES = (
    "pseudo_thread_id", "timestamp", "rand_seed1", "rand_seed2", "error_count", "warning_count", "last_insert_id",
    "identity", "insert_id", "in_transaction", "external_user", "proxy_user", "last_gtid", "gtid_seq_no",
    "transaction_allow_batching", "gtid_purged", "gtid_executed", "statement_id",
)  # fmt: skip
SESSION_VARIABLES = "SHOW SESSION VARIABLES WHERE Variable_name NOT IN ({}) AND Variable_name NOT LIKE 'gtid%'".format(
    ", ".join(f"'{name}'" for name in PASSING_VARIABLES)
)
ATTRIBUTES = (
    "SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_account_connect_attrs"
    " WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME NOT LIKE '%pid' AND ATTR_NAME NOT LIKE '%thread'"
    " ORDER BY ORDINAL_POSITION"
)
MANY_ROWS = (
    "SELECT a.d * 100 + b.d * 10 + c.d AS n, REPEAT('x', a.d * 100 + b.d) AS filling"
    " FROM digits a, digits b, digits c ORDER BY 1"
)
MANY_COLUMNS = "SELECT {}".format(", ".join(f"{i} AS c{i}" for i in range(300)))

CHECKS: tuple[Check, ...] = (
    Check("version", (query("SELECT VERSION(), @@version_comment"), act("info"))),
    Check("current user", (query("SELECT USER(), CURRENT_USER(), DATABASE()"),)),
    Check("session state", (query(SESSION_VARIABLES), query("SHOW WARNINGS"))),
    Check("connection attributes", (query(ATTRIBUTES),), families=("mysql",)),
    Check(
        "unicode",
        (
            query("INSERT INTO words VALUES (1, ?)", ("text", WORDS)),
            query("SELECT word, CHAR_LENGTH(word) FROM words WHERE word = ?", ("text", WORDS),
                  rows=((WORDS, str(len(WORDS))),)),
            query("SELECT HEX(word) FROM words", rows=((WORDS.encode().hex().upper(),),)),
        ),
    ),
    Check(
        "latin1",
        (
            connect(charset="latin1"),
            query("SELECT @@character_set_client, @@character_set_results", rows=(("latin1", "latin1"),)),
            query("INSERT INTO old_words VALUES (1, ?)", ("text", LATIN1)),
            query("SELECT word FROM old_words", rows=((LATIN1,),)),
            query("SELECT HEX(word) FROM old_words", rows=((LATIN1.encode("latin1").hex().upper(),),)),
        ),
    ),
    Check(
        "transaction",
        (
            act("begin"),
            query("INSERT INTO accounts (amount) VALUES (100)"),
            act("rollback"),
            query("SELECT COUNT(*) FROM accounts", rows=(("0",),)),
            act("begin"),
            query("INSERT INTO accounts (amount) VALUES (100), (200)"),
            query("UPDATE accounts SET amount = amount + 1 WHERE amount > 100"),
            act("commit"),
            act("reconnect"),
            query("SELECT amount FROM accounts ORDER BY amount", rows=(("100",), ("201",))),
        ),
    ),
    Check(
        "all types",
        (
            query(INSERT_KINDS, ("int", "1"), *KIND_ARGUMENTS),
            query(SHOW_KINDS, ("int", "1"), rows=SHOWN),
            query(f"SELECT {KIND_NAMES} FROM kinds WHERE id = ?", ("int", "1")),
        ),
    ),
    Check(
        "prepared statements",
        (
            prepared(INSERT_KINDS, ("int", "2"), *KIND_ARGUMENTS),
            prepared(INSERT_KINDS, ("int", "3"), *NULLS),
            prepared(SHOW_KINDS, ("int", "2"), rows=SHOWN),
            prepared(f"SELECT {KIND_NAMES} FROM kinds WHERE id = ?", ("int", "2")),
            prepared("SELECT word FROM words WHERE id = ?", ("int", "-1"), rows=()),
            prepared(f"SELECT {KIND_NAMES} FROM kinds WHERE id IN (?, ?) ORDER BY id", ("int", "2"), ("int", "3")),
        ),
    ),
    Check(
        "20 MB",
        (
            query("INSERT INTO big VALUES (1, ?)", ("big", str(BIG_LENGTH))),
            query("SELECT LENGTH(content), SHA2(content, 256) FROM big WHERE id = 1",
                  rows=((str(BIG_LENGTH), BIG_DIGEST),)),
            query("SELECT content FROM big WHERE id = 1", rows=((f"{BIG_LENGTH} characters, sha256 {BIG_DIGEST}",),)),
        ),
    ),
    Check(
        "20 MB, prepared",
        (
            prepared("INSERT INTO big VALUES (2, ?)", ("big", str(BIG_LENGTH))),
            query("SELECT LENGTH(content), SHA2(content, 256) FROM big WHERE id = 2",
                  rows=((str(BIG_LENGTH), BIG_DIGEST),)),
            prepared("SELECT content FROM big WHERE id = ?", ("int", "2"),
                     rows=((f"{BIG_LENGTH} characters, sha256 {BIG_DIGEST}",),)),
        ),
    ),
    Check(
        "LOCAL INFILE",
        (
            act("infile", table="input_lines"),
            query("SELECT COUNT(*), SUM(LENGTH(line)), SUM(CRC32(line)) FROM input_lines", rows=(INFILE_SUMS,)),
            query("SELECT COUNT(*) FROM input_lines WHERE line LIKE '_line %'", rows=((str(INFILE_LINES),),)),
            act("infile", table="input_lines", missing=True, fails="yes"),
        ),
    ),
    Check(
        "multi-statement",
        (
            multi("SELECT 1 AS a; SELECT 'two' AS b, 3 AS c; DO 0; SELECT 4 AS d",
                  rows=(("1",), ("two", "3"), ("4",))),
            query("SELECT 5", rows=(("5",),)),
            multi("SELECT 1 AS a; SELECT * FROM nowhere; SELECT 2", fails="yes"),
        ),
    ),
    Check(
        "stored procedure",
        (
            act("call", procedure="two_results", args=[("int", "5")], rows=(("5",), ("6", "two"))),
            query("SELECT 7", rows=(("7",),)),
        ),
    ),
    Check(
        "warnings",
        (
            query("SELECT CAST('12x' AS SIGNED)", rows=(("12",),)),
            query("SHOW WARNINGS", rows=(("Warning", "1292", "Truncated incorrect INTEGER value: '12x'"),)),
            query("INSERT IGNORE INTO accounts (id, amount) VALUES (1000, NULL)"),
            act("warnings"),
        ),
    ),
    Check(
        "error codes",
        (
            query("SELEC 1", fails="yes"),
            query("SELECT * FROM nowhere", fails="yes"),
            query("INSERT INTO words VALUES (900, 'x'), (900, 'y')", fails="yes"),
            query("SELECT nothing FROM words", fails="yes"),
            query("USE mysql", fails="yes"),
            query("DROP USER nobody@nowhere", fails="yes"),
            query("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'żółty', MYSQL_ERRNO = 5005", fails="yes"),
            query("SELECT 8", rows=(("8",),)),
        ),
    ),
    Check(
        "refused logins",
        (
            # With TLS, since caching_sha2_password without it gets no further than asking for TLS.
            connect(password="not the password", tls=True, fails="yes"),
            connect(user="nobody_knows", tls=True, fails="yes"),
        ),
    ),
    Check(
        "results of every shape",
        (
            act("stream", sql=MANY_ROWS),
            query(MANY_COLUMNS),
            query("SELECT * FROM words WHERE id < 0", rows=()),
            query("SELECT REPEAT('a', 250), REPEAT('b', 251), REPEAT('c', 65536), '', NULL"),
            query("DO 0"),
        ),
    ),
    Check("cancel", (act("cancel", sql="SELECT SLEEP(60)", fails="may"), query("SELECT 9", rows=(("9",),)))),
    Check(
        "change user",
        (
            query("SET @kept = 1"),
            act("change user"),
            query("SELECT USER(), CURRENT_USER(), DATABASE(), @kept"),
            act("change user"),
            query("SELECT @@character_set_client, @@character_set_results, @@collation_connection"),
        ),
    ),
    Check(
        "refused change of user",
        (connect(tls=True), act("change user", password="not the password", fails="yes")),
    ),
    Check(
        "reset connection",
        (
            query("SET @kept = 1, autocommit = 0, time_zone = '+03:00'"),
            act("reset"),
            query("SELECT @kept, DATABASE(), @@autocommit, @@time_zone"),
        ),
    ),
    Check(
        "closed by the server",
        (query("SET SESSION wait_timeout = 1"), act("sleep", seconds=2.2), query("SELECT 10", fails="may")),
    ),
    Check("persistent connections", (act("persistent"),), only=frozenset({"php-mysqli", "php-pdo"})),
    Check("object mapper", (act("mapper"),), only=frozenset({"sqlalchemy", "django"})),
)  # fmt: skip
