"""What a client may leave behind, and how the next one would find it. Both databases, as far as they have it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from reuse.ground import Ground, rows, value

Where = Literal["both", "mysql", "mariadb"]


@dataclass(frozen=True)
class State:
    """`left` is done by the first client; `seen` is asked by the next one, and by one with a new session."""

    name: str
    left: tuple[str, ...] | Callable[["Connection[Any]"], object]
    seen: str | Callable[[Ground, "Connection[Any]"], object]
    where: Where = "both"
    options: dict[str, Any] = field(default_factory=dict)
    is_unfit: bool = False
    """The session is never lent again."""

    def leave(self, client: "Connection[Any]") -> None:
        if callable(self.left):
            self.left(client)
            return
        for statement in self.left:
            value(client, statement)

    def look(self, ground: Ground, client: "Connection[Any]") -> object:
        return value(client, self.seen) if isinstance(self.seen, str) else self.seen(ground, client)


def _others(statement: str) -> Callable[[Ground, "Connection[Any]"], object]:
    """Whether another session is held up."""

    def look(ground: Ground, _: "Connection[Any]") -> object:
        with ground.server.admin() as admin:
            value(admin, "SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
            found = value(admin, statement)
            value(admin, "ROLLBACK")
            return found

    return look


def _command(number: int, data: bytes = b"") -> Callable[["Connection[Any]"], object]:
    def leave(client: "Connection[Any]") -> None:
        raw: Any = client
        raw._execute_command(number, data)
        raw._read_packet()

    return leave


def _count(statement: str) -> Callable[[Ground, "Connection[Any]"], object]:
    return lambda _, client: len(rows(client, statement))


def _in_transaction(statement: str) -> Callable[[Ground, "Connection[Any]"], object]:
    def look(_: Ground, client: "Connection[Any]") -> object:
        value(client, "BEGIN")
        found = value(client, statement)
        value(client, "ROLLBACK")
        return found

    return look


def _affected(_: Ground, client: "Connection[Any]") -> object:
    with client.cursor() as cursor:
        return cursor.execute("UPDATE stock SET v = 5 WHERE id = 5")


def _two_statements(_: Ground, client: "Connection[Any]") -> object:
    try:
        client.query("SELECT 1; SELECT 2")
        while client.next_result():
            pass
    except pymysql.MySQLError as exc:
        return exc.args[0]
    return "two results"


def _inserted_id(_: Ground, client: "Connection[Any]") -> object:
    value(client, "INSERT INTO stock (v) VALUES (4)")
    found = value(client, "SELECT LAST_INSERT_ID() = 888777")
    value(client, "DELETE FROM stock WHERE id NOT IN (5, 7)")
    return found


def _isolation(_: Ground, client: "Connection[Any]") -> object:
    value(client, "BEGIN")
    value(client, "INSERT INTO stock (v) VALUES (1)")
    found = value(client, _TRX_ISOLATION)
    while found is None:  # the table is renewed when nobody has asked for a tenth of a second
        time.sleep(0.15)
        found = value(client, _TRX_ISOLATION)
    value(client, "ROLLBACK")
    return found


_TRX_ISOLATION = (
    "SELECT trx_isolation_level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
)
_MULTI = {"client_flag": CLIENT.MULTI_STATEMENTS}
_TRX = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
_CHARSETS = "SELECT CONCAT_WS('/', @@character_set_client, @@character_set_results, @@collation_connection)"
_STATUS = "SELECT variable_value > 15 FROM {}.session_status WHERE variable_name = 'Com_select'"

STATES = (
    State("nothing", (), "SELECT DATABASE()"),
    State("database", ("USE mysql",), "SELECT DATABASE()"),
    State("database, none at login", ("USE mysql",), "SELECT DATABASE()", options={"database": None}, is_unfit=True),
    State("collation_database", ("USE mysql",), "SELECT @@collation_database"),
    State(
        "database in the process list",
        ("USE mysql",),
        "SELECT db FROM information_schema.processlist WHERE id = CONNECTION_ID()",
    ),
    State("SET NAMES latin1", ("SET NAMES latin1",), _CHARSETS),
    State("SET NAMES with a collation", ("SET NAMES utf8mb4 COLLATE utf8mb4_bin",), _CHARSETS),
    State("character set of the login, latin1", (), _CHARSETS, options={"charset": "latin1"}),
    State("character set of the login, gbk", (), _CHARSETS, options={"charset": "gbk"}),
    State("character set of the login, utf8mb3", (), _CHARSETS, options={"charset": "utf8mb3"}),
    State("SET NAMES over a login's latin1", ("SET NAMES utf8mb4",), _CHARSETS, options={"charset": "latin1"}),
    State("user variable", ("SET @a = 5",), "SELECT @a"),
    State("temporary table", ("CREATE TEMPORARY TABLE tt (i INT)",), "SELECT COUNT(*) FROM tt"),
    State("temporary table over a real one", ("CREATE TEMPORARY TABLE stock (i INT)",), "SELECT COUNT(*) FROM stock"),
    State("PREPARE", ("PREPARE s FROM 'SELECT 7'",), "EXECUTE s"),
    State("COM_STMT_PREPARE", _command(0x16, b"SELECT 7"), "SHOW SESSION STATUS LIKE 'nothing'"),
    State("GET_LOCK", ("DO GET_LOCK('l', 0)",), "SELECT IS_USED_LOCK('l') IS NOT NULL"),
    State("LOCK TABLES", ("LOCK TABLES stock WRITE",), _others("SELECT COUNT(*) FROM shop.stock")),
    State("FLUSH TABLES WITH READ LOCK", ("FLUSH TABLES WITH READ LOCK",), _others("UPDATE shop.stock SET v = v + 0")),
    State(
        "LOCK INSTANCE FOR BACKUP",
        ("LOCK INSTANCE FOR BACKUP",),
        _others("ALTER TABLE shop.stock COMMENT = 'x'"),
        "mysql",
    ),
    State("BACKUP LOCK", ("BACKUP LOCK shop.stock",), _others("ALTER TABLE shop.stock COMMENT = 'x'"), "mariadb"),
    State("BACKUP STAGE", ("BACKUP STAGE START",), _others("ALTER TABLE shop.stock COMMENT = 'y'"), "mariadb"),
    State(
        "row lock",
        ("BEGIN", "UPDATE stock SET v = 8 WHERE id = 7"),
        _others("UPDATE shop.stock SET v = 7 WHERE id = 7"),
    ),
    State("open transaction", ("BEGIN", "INSERT INTO stock (v) VALUES (1)"), _TRX),
    State("uncommitted row", ("BEGIN", "INSERT INTO stock (v) VALUES (1)"), "SELECT COUNT(*) FROM stock"),
    State("autocommit", ("SET autocommit = 0",), "SELECT @@autocommit"),
    State("XA, active", ("XA START 'x1'", "INSERT INTO stock (v) VALUES (5)"), _TRX),
    State("XA, idle", ("XA START 'x2'", "INSERT INTO stock (v) VALUES (5)", "XA END 'x2'"), _TRX),
    State("XA, and then BEGIN", ("XA START 'x3'", "INSERT INTO stock (v) VALUES (5)", "XA END 'x3'"), "BEGIN"),
    State("sql_mode", ("SET sql_mode = ''",), "SELECT @@sql_mode"),
    State("sql_mode ANSI_QUOTES", ("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",), "SELECT @@sql_mode"),
    State("time_zone", ("SET time_zone = '+05:00'",), "SELECT @@time_zone"),
    State("isolation", ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",), _isolation),
    State("isolation of the next transaction", ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",), _isolation),
    State("read only", ("SET SESSION TRANSACTION READ ONLY",), _in_transaction("INSERT INTO stock (v) VALUES (1)")),
    State(
        "read only, the next transaction",
        ("SET TRANSACTION READ ONLY",),
        _in_transaction("INSERT INTO stock (v) VALUES (1)"),
    ),
    State("sql_log_bin", ("SET sql_log_bin = 0",), "SELECT @@sql_log_bin"),
    State(
        "checks", ("SET foreign_key_checks = 0, unique_checks = 0",), "SELECT @@foreign_key_checks + @@unique_checks"
    ),
    State("max_execution_time", ("SET max_execution_time = 1234",), "SELECT @@max_execution_time", "mysql"),
    State("max_statement_time", ("SET max_statement_time = 1234",), "SELECT @@max_statement_time", "mariadb"),
    State("wait_timeout", ("SET wait_timeout = 77",), "SELECT @@wait_timeout"),
    State(
        "wait_timeout of an interactive client",
        (),
        "SELECT @@wait_timeout",
        options={"client_flag": CLIENT.INTERACTIVE},
    ),
    State("net_read_timeout", ("SET net_read_timeout = 99",), "SELECT @@net_read_timeout"),
    State("sql_select_limit", ("SET sql_select_limit = 0",), "SELECT @@sql_select_limit"),
    State("sql_safe_updates", ("SET sql_safe_updates = 1",), "SELECT @@sql_safe_updates"),
    State("IGNORE_SPACE", (), "SELECT @@sql_mode", options={"client_flag": CLIENT.IGNORE_SPACE}),
    State("FOUND_ROWS", (), _affected, options={"client_flag": CLIENT.FOUND_ROWS}),
    State("several statements", (), _two_statements, options=_MULTI),
    State("COM_SET_OPTION", _command(0x1B, b"\1\0"), _two_statements, options=_MULTI, is_unfit=True),
    State("SET ROLE", ("SET ROLE clerk",), "SELECT CURRENT_ROLE()", is_unfit=True),
    State(
        "SET ROLE in a prepared statement",
        ("PREPARE r FROM 'SET ROLE auditor'", "EXECUTE r"),
        "SELECT CURRENT_ROLE()",
        is_unfit=True,
    ),
    State("SET ROLE, and back", ("SET ROLE clerk", "SET ROLE NONE"), "SELECT CURRENT_ROLE()"),
    State("LAST_INSERT_ID", ("DO LAST_INSERT_ID(4242)",), "SELECT LAST_INSERT_ID()"),
    State(
        "LAST_INSERT_ID of a row",
        ("INSERT INTO stock (v) VALUES (9)", "DELETE FROM stock WHERE v = 9"),
        "SELECT LAST_INSERT_ID()",
    ),
    State("warnings", ("SELECT 1/0, CAST('x' AS SIGNED)",), _count("SHOW WARNINGS")),
    State("error_count", ("SELECT * FROM nowhere",), "SELECT @@error_count"),
    State("diagnostics", ("SELECT * FROM nowhere",), _count("SHOW ERRORS")),
    State("profiling", ("SET profiling = 1",), "SELECT @@profiling"),
    State("profiles", ("SET profiling = 1", "SELECT 'secret'"), _count("SHOW PROFILES")),
    State("insert_id", ("SET insert_id = 888777",), _inserted_id),
    State("timestamp", ("SET timestamp = 1000",), "SELECT YEAR(NOW()) > 2000"),
    State("rand_seed", ("SET rand_seed1 = 1, rand_seed2 = 1",), "SELECT RAND() < 0.000001"),
    State("pseudo_thread_id", ("SET pseudo_thread_id = 5",), "SELECT @@pseudo_thread_id = CONNECTION_ID()"),
    State("session_track_schema", ("SET session_track_schema = 0",), "SELECT @@session_track_schema"),
    State("HANDLER", ("HANDLER stock OPEN",), "HANDLER stock READ FIRST"),
    State("storage engine", ("SET default_storage_engine = MEMORY",), "SELECT @@default_storage_engine"),
    State("group_concat_max_len", ("SET group_concat_max_len = 99999",), "SELECT @@group_concat_max_len"),
    State("lc_time_names", ("SET lc_time_names = 'de_DE'",), "SELECT @@lc_time_names"),
    State("lc_messages", ("SET lc_messages = 'de_DE'",), "SELECT @@lc_messages"),
    State("long_query_time", ("SET long_query_time = 0.5",), "SELECT @@long_query_time"),
    State("optimizer_switch", ("SET optimizer_switch = 'index_merge=off'",), "SELECT @@optimizer_switch"),
    State("status counters", ("SELECT 1",) * 20, _STATUS.format("performance_schema"), "mysql"),
    State("status counters ", ("SELECT 1",) * 20, _STATUS.format("information_schema"), "mariadb"),
    State("max_allowed_packet", (), "SELECT @@max_allowed_packet"),
    State("gtid_next", ("SET gtid_next = 'AUTOMATIC'",), "SELECT @@gtid_next", "mysql"),
    State("require_primary_key", ("SET sql_require_primary_key = 1",), "SELECT @@sql_require_primary_key", "mysql"),
    State(
        "show_create_table_verbosity",
        ("SET show_create_table_verbosity = 1",),
        "SELECT @@show_create_table_verbosity",
        "mysql",
    ),
    State(
        "stats expiry",
        ("SET information_schema_stats_expiry = 0",),
        "SELECT @@information_schema_stats_expiry",
        "mysql",
    ),
    State("rbr_exec_mode", ("SET rbr_exec_mode = IDEMPOTENT",), "SELECT @@rbr_exec_mode", "mysql"),
    State("pseudo_replica_mode", ("SET pseudo_replica_mode = 1",), "SELECT @@pseudo_replica_mode", "mysql"),
    State("resultset_metadata", ("SET resultset_metadata = NONE",), "SELECT @@resultset_metadata", "mysql"),
    State("gtid_domain_id", ("SET gtid_domain_id = 9",), "SELECT @@gtid_domain_id", "mariadb"),
    State("server_id", ("SET server_id = 99",), "SELECT @@server_id", "mariadb"),
    State(
        "system_versioning_asof",
        ("SET system_versioning_asof = '2020-01-01 00:00:00'",),
        "SELECT @@system_versioning_asof",
        "mariadb",
    ),
    State("last_gtid", ("INSERT INTO stock (id, v) VALUES (5, 5)",), "SELECT @@last_gtid", "mariadb"),
    State("in_transaction", ("BEGIN", "INSERT INTO stock (v) VALUES (3)"), "SELECT @@in_transaction", "mariadb"),
    State("skip_replication", ("SET skip_replication = 1",), "SELECT @@skip_replication", "mariadb"),
    State("check_constraints", ("SET check_constraint_checks = 0",), "SELECT @@check_constraint_checks", "mariadb"),
    State("Oracle's mode", ("SET sql_mode = ORACLE",), "SELECT @@sql_mode", "mariadb"),
    State(
        "default_master_connection",
        ("SET default_master_connection = 'zz'",),
        "SELECT @@default_master_connection",
        "mariadb",
    ),
)

LEFT_BEHIND = {
    "FOUND_ROWS()": ("SELECT SQL_CALC_FOUND_ROWS 1 UNION SELECT 2 LIMIT 1",),
    "ROW_COUNT()": ("UPDATE stock SET v = v + 0",),
}
"""What a new session says 0 of, and a used one what the proof's own query made of it, whatever the client did."""
