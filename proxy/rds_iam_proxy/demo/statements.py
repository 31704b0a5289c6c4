"""Answers one statement: which canned answer it gets. No I/O; what it may change is the session's Facts."""

from collections.abc import Callable

from . import catalog
from .data_types import Result, SQLError, Table, Value, column, not_in_demo, text_of
from .expressions import Parser, Scope
from .functions import Facts
from .operators import like
from .sample_data import SCHEMA, create_table
from .selects import select, show
from .tokens import Cursor, Type
from .variables import status

OK = Result()

_EMPTY_LISTINGS = {
    "WARNINGS": "Level|Code#|Message",
    "ERRORS": "Level|Code#|Message",
    "TRIGGERS": "Trigger|Event|Table|Statement|Timing|Created?|sql_mode|Definer|character_set_client"
    "|collation_connection|Database Collation",
    "EVENTS": "Db|Name|Definer|Time zone|Type|Execute at?|Interval value?|Interval field?|Starts?|Ends?|Status"
    "|Originator#|character_set_client|collation_connection|Database Collation",
}
_ROUTINES = "Db|Name|Type|Definer|Modified|Created|Security_type|Comment|character_set_client|collation_connection"
_INDEX = (
    "Table|Non_unique#|Key_name|Seq_in_index#|Column_name|Collation?|Cardinality#|Sub_part#?|Packed?|Null|Index_type"
    "|Comment|Index_comment|Visible|Expression?"
)


def answer(cursor: Cursor, facts: Facts, cipher: str, tls_version: str) -> Result:
    """The answer to a statement that is not KILL; raises SQLError."""
    first = cursor.next()
    handler = _STATEMENTS.get(first.word)
    if handler is not None:
        return handler(cursor, facts)
    if first.word == "SHOW":
        return _show(cursor, facts, cipher, tls_version)
    if first.word in _REAL_ONLY:
        raise not_in_demo(first.word)
    cursor.position -= 1
    raise cursor.error()


def _select(cursor: Cursor, facts: Facts) -> Result:
    return select(cursor, facts)


def _use(cursor: Cursor, facts: Facts) -> Result:
    name = cursor.name()
    cursor.expect_end()
    facts.database = catalog.check_schema(name)
    return OK


def _ignore(_cursor: Cursor, _facts: Facts) -> Result:
    return OK


def _begin(_cursor: Cursor, facts: Facts) -> Result:
    facts.in_transaction = True
    return OK


def _end(cursor: Cursor, facts: Facts) -> Result:
    if not cursor.accept("TO"):  # ROLLBACK TO SAVEPOINT goes on
        facts.in_transaction = False
    return OK


def _do(cursor: Cursor, facts: Facts) -> Result:
    facts.sleep = 0.0
    Parser(cursor, Scope(facts)).expression().of_row({})
    cursor.expect_end()
    return Result(sleep=facts.sleep)


def _describe(cursor: Cursor, facts: Facts) -> Result:
    if cursor.accept_any("SELECT", "FORMAT", "ANALYZE", "EXTENDED", "INSERT", "UPDATE", "DELETE"):
        raise not_in_demo("EXPLAIN of a statement")
    columns = _columns(catalog.find_table(*cursor.qualified_name(), facts), full=False)
    if cursor.at_end:
        return show(cursor, columns, facts)
    pattern = cursor.next().text  # a column's name or, in quotes, a pattern
    cursor.expect_end()
    return Result(columns.columns, [row for row in columns.rows() if like(text_of(row[0]), pattern)])


def _show(cursor: Cursor, facts: Facts, cipher: str, tls_version: str) -> Result:
    scope = cursor.accept_any("GLOBAL", "SESSION", "LOCAL")
    if cursor.accept("VARIABLES"):
        rows = [(name, _text(value)) for name, value in facts.variables.shown(scope.lower())]
        return show(cursor, catalog.listing("Variable_name|Value", rows), facts)
    if cursor.accept("STATUS"):
        rows = [(name, _text(value)) for name, value in status(cipher, tls_version)]
        return show(cursor, catalog.listing("Variable_name|Value", rows), facts)
    if cursor.accept("COUNT", "(", "*", ")"):
        return Result((column(f"@@session.{cursor.next().text.lower()[:-1]}_count", "bigint"),), [(0,)])
    cursor.accept("EXTENDED")
    full = cursor.accept("FULL")
    for words, handler in _SHOW_FROM.items():
        if cursor.accept(*words):
            return handler(cursor, facts, full)
    for words, names, rows_of in _SHOW_LISTS:
        if cursor.accept(*words):
            return show(cursor, catalog.listing(names, rows_of), facts)
    for word, names in _EMPTY_LISTINGS.items():
        if cursor.accept(word):
            _schema(cursor)
            return show(cursor, catalog.listing(names), facts)
    token = cursor.peek()
    raise not_in_demo(f"SHOW {token.text.upper()[:30]}" if token else "SHOW")


def _text(value: Value) -> Value:
    return None if value is None else str(value)


def _schema(cursor: Cursor) -> str:
    return cursor.name() if cursor.accept_any("FROM", "IN") else ""


def _table(cursor: Cursor, facts: Facts) -> Table:
    """`FROM [schema.]table [FROM schema]`."""
    if not cursor.accept_any("FROM", "IN"):
        raise cursor.error()
    schema, name = cursor.qualified_name()
    return catalog.find_table(_schema(cursor) or schema, name, facts)


def _show_databases(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    return show(cursor, catalog.listing("Database", [(name,) for name in catalog.SCHEMAS]), facts)


def _show_tables(cursor: Cursor, facts: Facts, full: bool) -> Result:
    schema = _schema(cursor)
    tables = catalog.tables_of(schema, facts)
    names = f"Tables_in_{schema or facts.database}" + ("|Table_type" if full else "")
    rows = [(table.name, catalog.table_type(table)) if full else (table.name,) for table in tables]
    return show(cursor, catalog.listing(names, rows), facts)


def _show_columns(cursor: Cursor, facts: Facts, full: bool) -> Result:
    return show(cursor, _columns(_table(cursor, facts), full=full), facts)


def _show_table_status(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    tables = catalog.tables_of(_schema(cursor), facts)
    rows = [catalog.table_status(table) for table in tables if table.schema == SCHEMA]
    return show(cursor, catalog.listing(catalog.TABLE_STATUS, rows), facts)


def _show_index(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    table = _table(cursor, facts)
    count = len(list(table.rows()))
    rows: list[tuple[Value, ...]] = [
        (table.name, loose, key, 1, item.name, "A", count, None, None, "", "BTREE", "", "", "YES", None)
        for loose, key, item in catalog.keys(table)
    ]
    return show(cursor, catalog.listing(_INDEX, rows), facts)


def _show_create_table(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    table = catalog.find_table(*cursor.qualified_name(), facts)
    return show(cursor, catalog.listing("Table|Create Table", [(table.name, create_table(table))]), facts)


def _show_create_schema(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    cursor.accept("IF", "NOT", "EXISTS")
    name = catalog.check_schema(cursor.name())
    text = f"CREATE DATABASE `{name}` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */"
    return show(cursor, catalog.listing("Database|Create Database", [(name, text)]), facts)


def _show_processlist(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    return show(
        cursor, catalog.listing("Id#|User|Host|db?|Command|Time#|State?|Info?", [catalog.process(facts)]), facts
    )


def _show_grants(cursor: Cursor, facts: Facts, _full: bool) -> Result:
    while not cursor.at_end:  # FOR ...: nobody else is known
        cursor.next()
    grant = f"GRANT SELECT ON `{SCHEMA}`.* TO `{facts.user}`@`%`"
    return show(cursor, catalog.listing(f"Grants for {facts.user}@%", [(grant,)]), facts)


def _columns(table: Table, *, full: bool) -> Table:
    rows: list[tuple[Value, ...]] = []
    for item in table.columns:
        null = "YES" if item.nullable else "NO"
        collation = "utf8mb4_0900_ai_ci" if "char" in item.sql_type else None
        if full:
            rows.append((item.name, item.sql_type, collation, null, item.key, None, item.extra, "select", ""))
        else:
            rows.append((item.name, item.sql_type, null, item.key, None, item.extra))
    names = "Field|Type|Collation?|Null|Key|Default?|Extra|Privileges|Comment" if full else ""
    return catalog.listing(names or "Field|Type|Null|Key|Default?|Extra", rows)


def _set(cursor: Cursor, facts: Facts) -> Result:
    if cursor.accept("NAMES"):
        return _set_charset(cursor, facts)
    if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
        return _set_charset(cursor, facts)
    while True:
        _assignment(cursor, facts)
        if not cursor.accept(","):
            cursor.expect_end()
            return OK


def _set_charset(cursor: Cursor, facts: Facts) -> Result:
    name = cursor.next().text.lower()
    if name != "default" and name not in {charset[0] for charset in catalog.CHARACTER_SETS} | {"utf8"}:
        raise SQLError(1115, "42000", f"Unknown character set: '{name}'")
    collation = cursor.next().text.lower() if cursor.accept("COLLATE") else ""
    cursor.expect_end()
    for variable in ("character_set_client", "character_set_connection", "character_set_results"):
        if name == "default":
            facts.variables.set_default(variable)
        else:
            facts.variables.set(variable, name)
    if collation:
        facts.variables.set("collation_connection", collation)
    return OK


def _assignment(cursor: Cursor, facts: Facts) -> None:
    scope = cursor.accept_any("SESSION", "LOCAL", "GLOBAL", "PERSIST")
    if cursor.accept("TRANSACTION"):
        while not cursor.at_end:
            cursor.next()
        return
    target = cursor.next()
    if target.type not in (Type.NAME, Type.QUOTED, Type.SYSTEM, Type.USER) or target.word == "PASSWORD":
        raise not_in_demo(f"SET {target.text[:30]}")
    if not cursor.accept_any("=", ":="):
        raise cursor.error()
    if scope in ("GLOBAL", "PERSIST") or target.scope in ("global", "persist"):
        need = "SUPER or SYSTEM_VARIABLES_ADMIN"
        raise SQLError(
            1227, "42000", f"Access denied; you need (at least one of) the {need} privilege(s) for this operation"
        )
    if target.type is not Type.USER and cursor.accept("DEFAULT"):
        facts.variables.set_default(target.text.lower())
        return
    value = _assigned(cursor, facts)
    if target.type is Type.USER:
        facts.user_variables[target.text] = value
    else:
        facts.variables.set(target.text.lower(), value)


def _assigned(cursor: Cursor, facts: Facts) -> Value:
    """A value; a bare word such as ON or utf8mb4 stands for itself."""
    token, following = cursor.peek(), cursor.peek(1)
    ends = following is None or following.text == ","
    if token is not None and ends and token.word and token.word not in ("NULL", "TRUE", "FALSE"):
        return cursor.next().text
    return Parser(cursor, Scope(facts)).expression().of_row({})


_STATEMENTS: dict[str, Callable[[Cursor, Facts], Result]] = {
    "SELECT": _select,
    "USE": _use,
    "SET": _set,
    "DO": _do,
    "DESCRIBE": _describe,
    "DESC": _describe,
    "EXPLAIN": _describe,
    "START": _begin,
    "BEGIN": _begin,
    "COMMIT": _end,
    "ROLLBACK": _end,
    "SAVEPOINT": _ignore,
    "RELEASE": _ignore,
    "UNLOCK": _ignore,
}
_REAL_ONLY = frozenset(
    {"INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "TRUNCATE", "GRANT", "REVOKE", "CALL", "LOAD"}
    | {"LOCK", "WITH", "PREPARE", "EXECUTE", "FLUSH", "ANALYZE", "OPTIMIZE", "HANDLER", "RENAME", "XA"}
)
_SHOW_FROM: dict[tuple[str, ...], Callable[[Cursor, Facts, bool], Result]] = {
    ("DATABASES",): _show_databases,
    ("SCHEMAS",): _show_databases,
    ("TABLES",): _show_tables,
    ("COLUMNS",): _show_columns,
    ("FIELDS",): _show_columns,
    ("TABLE", "STATUS"): _show_table_status,
    ("INDEX",): _show_index,
    ("INDEXES",): _show_index,
    ("KEYS",): _show_index,
    ("CREATE", "TABLE"): _show_create_table,
    ("CREATE", "DATABASE"): _show_create_schema,
    ("CREATE", "SCHEMA"): _show_create_schema,
    ("PROCESSLIST",): _show_processlist,
    ("GRANTS",): _show_grants,
}
_SHOW_LISTS: tuple[tuple[tuple[str, ...], str, tuple[tuple[Value, ...], ...]], ...] = (
    (("COLLATION",), "Collation|Charset|Id#|Default|Compiled|Sortlen#|Pad_attribute", catalog.COLLATIONS),
    (("CHARACTER", "SET"), "Charset|Description|Default collation|Maxlen#", catalog.CHARACTER_SETS),
    (("CHARSET",), "Charset|Description|Default collation|Maxlen#", catalog.CHARACTER_SETS),
    (("ENGINES",), "Engine|Support|Comment|Transactions?|XA?|Savepoints?", catalog.ENGINES),
    (("STORAGE", "ENGINES"), "Engine|Support|Comment|Transactions?|XA?|Savepoints?", catalog.ENGINES),
    (("PLUGINS",), "Name|Status|Type|Library?|License", catalog.PLUGINS),
    (("PRIVILEGES",), "Privilege|Context|Comment", (("Select", "Tables", "To retrieve rows from table"),)),
    (("PROCEDURE", "STATUS"), _ROUTINES, ()),
    (("FUNCTION", "STATUS"), _ROUTINES, ()),
)
