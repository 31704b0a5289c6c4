"""What the server knows about itself: information_schema. SHOW reads it too, as MySQL's does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .sample_data import SCHEMA, TABLES
from .tables import Column, Row, SQLError, Table, Value, listing
from .variables import STATUS

INFORMATION_SCHEMA = "information_schema"
SCHEMAS = (INFORMATION_SCHEMA, SCHEMA)
_CHARSET, _COLLATION = "utf8mb4", "utf8mb4_0900_ai_ci"

_HEADERS = {
    "CHARACTER_SETS": "CHARACTER_SET_NAME|DEFAULT_COLLATE_NAME|DESCRIPTION|MAXLEN#",
    "COLLATIONS": "COLLATION_NAME|CHARACTER_SET_NAME|ID#|IS_DEFAULT|IS_COMPILED|SORTLEN#|PAD_ATTRIBUTE",
    "COLUMNS": "TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|COLUMN_NAME|ORDINAL_POSITION#|COLUMN_DEFAULT|IS_NULLABLE"
    "|DATA_TYPE|CHARACTER_MAXIMUM_LENGTH#|NUMERIC_PRECISION#|NUMERIC_SCALE#|CHARACTER_SET_NAME|COLLATION_NAME"
    "|COLUMN_TYPE|COLUMN_KEY|EXTRA|PRIVILEGES|COLUMN_COMMENT",
    "ENGINES": "ENGINE|SUPPORT|COMMENT|TRANSACTIONS|XA|SAVEPOINTS",
    "EVENTS": "EVENT_SCHEMA|EVENT_NAME|DEFINER|EVENT_TYPE|STATUS",
    "KEY_COLUMN_USAGE": "CONSTRAINT_SCHEMA|CONSTRAINT_NAME|TABLE_SCHEMA|TABLE_NAME|COLUMN_NAME|ORDINAL_POSITION#"
    "|REFERENCED_TABLE_SCHEMA|REFERENCED_TABLE_NAME|REFERENCED_COLUMN_NAME",
    "PLUGINS": "PLUGIN_NAME|PLUGIN_STATUS|PLUGIN_TYPE|PLUGIN_LIBRARY|PLUGIN_LICENSE",
    "PROCESSLIST": "ID#|USER|HOST|DB|COMMAND|TIME#|STATE|INFO",
    "ROUTINES": "ROUTINE_SCHEMA|ROUTINE_NAME|ROUTINE_TYPE|DEFINER|ROUTINE_COMMENT",
    "SCHEMATA": "CATALOG_NAME|SCHEMA_NAME|DEFAULT_CHARACTER_SET_NAME|DEFAULT_COLLATION_NAME|SQL_PATH",
    "SESSION_STATUS": "VARIABLE_NAME|VARIABLE_VALUE",
    "SESSION_VARIABLES": "VARIABLE_NAME|VARIABLE_VALUE",
    "STATISTICS": "TABLE_SCHEMA|TABLE_NAME|NON_UNIQUE#|INDEX_NAME|SEQ_IN_INDEX#|COLUMN_NAME|COLLATION|CARDINALITY#"
    "|SUB_PART#|NULLABLE|INDEX_TYPE|COMMENT",
    "TABLES": "TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|TABLE_TYPE|ENGINE|VERSION#|ROW_FORMAT|TABLE_ROWS#|DATA_LENGTH#"
    "|AUTO_INCREMENT#|CREATE_TIME|UPDATE_TIME|TABLE_COLLATION|CREATE_OPTIONS|TABLE_COMMENT",
    "TRIGGERS": "TRIGGER_SCHEMA|TRIGGER_NAME|EVENT_OBJECT_SCHEMA|EVENT_OBJECT_TABLE|ACTION_TIMING",
    "VIEWS": "TABLE_SCHEMA|TABLE_NAME|VIEW_DEFINITION|CHECK_OPTION|IS_UPDATABLE|DEFINER",
}
_CANNED: dict[str, Iterable[Sequence[Value]]] = {
    "CHARACTER_SETS": (
        ("binary", "binary", "Binary pseudo charset", 1),
        ("latin1", "latin1_swedish_ci", "cp1252 West European", 1),
        (_CHARSET, _COLLATION, "UTF-8 Unicode", 4),
    ),
    "COLLATIONS": (
        ("binary", "binary", 63, "Yes", "Yes", 1, "NO PAD"),
        ("latin1_swedish_ci", "latin1", 8, "Yes", "Yes", 1, "PAD SPACE"),
        (_COLLATION, _CHARSET, 255, "Yes", "Yes", 0, "NO PAD"),
        ("utf8mb4_general_ci", _CHARSET, 45, "", "Yes", 1, "PAD SPACE"),
    ),
    "ENGINES": [("InnoDB", "DEFAULT", "Canned answers of the demo", "YES", "NO", "YES")],
    "PLUGINS": [("AWSAuthenticationPlugin", "ACTIVE", "AUTHENTICATION", None, "PROPRIETARY")],
    "SCHEMATA": [("def", name, _CHARSET, _COLLATION, None) for name in SCHEMAS],
}


@dataclass(slots=True)
class Facts:
    """What a session knows of itself."""

    connection_id: int
    user: str
    host: str
    variables: dict[str, str]
    database: str | None
    cipher: str = ""
    in_transaction: bool = False


def check_schema(name: str | None) -> str:
    """The schema's own spelling; raises ER_NO_DB_ERROR or ER_BAD_DB_ERROR."""
    if not name:
        raise SQLError(1046, "3D000", "No database selected")
    found = INFORMATION_SCHEMA if name.lower() == INFORMATION_SCHEMA else name
    if found not in SCHEMAS:
        raise SQLError(1049, "42000", f"Unknown database '{name}'")
    return found


def find_table(schema: str | None, name: str, facts: Facts) -> Table:
    """A table of the schema, or of the current one; raises MySQL's errors for what is not there."""
    schema = check_schema(schema or facts.database)
    if schema == INFORMATION_SCHEMA and name.upper() in _HEADERS:
        return _information_schema(name.upper(), facts)
    for table in TABLES:
        if (schema, name) == (table.schema, table.name):
            return table
    raise SQLError(1146, "42S02", f"Table '{schema}.{name}' doesn't exist")


def create_table(table: Table) -> str:
    """What SHOW CREATE TABLE says."""
    lines = [
        f"`{item.name}` {item.sql_type} {'DEFAULT' if item.nullable else 'NOT'} NULL {_extra(item).upper()}".rstrip()
        for item in table.columns
    ]
    lines += [f"PRIMARY KEY (`{item.name}`)" for item in table.columns if item.key]
    options = f"ENGINE=InnoDB DEFAULT CHARSET={_CHARSET} COLLATE={_COLLATION} COMMENT='{table.comment}'"
    return f"CREATE TABLE `{table.name}` (\n  " + ",\n  ".join(lines) + f"\n) {options}"


def _extra(item: Column) -> str:
    return "auto_increment" if item.key else ""


def _information_schema(name: str, facts: Facts) -> Table:
    keys = [(table, item) for table in TABLES for item in table.columns if item.key]
    rows = _CANNED | {
        "COLUMNS": [_column_row(table, number) for table in TABLES for number in range(len(table.columns))],
        "KEY_COLUMN_USAGE": [
            (SCHEMA, "PRIMARY", SCHEMA, table.name, item.name, 1, None, None, None) for table, item in keys
        ],
        "PROCESSLIST": [(facts.connection_id, facts.user, facts.host, facts.database, "Query", 0, "executing", None)],
        "SESSION_STATUS": sorted({**STATUS, "Ssl_cipher": facts.cipher}.items()),
        "SESSION_VARIABLES": facts.variables.items(),
        "STATISTICS": [
            (SCHEMA, table.name, 0, "PRIMARY", 1, item.name, "A", len(table.rows), None, "", "BTREE", "")
            for table, item in keys
        ],
        "TABLES": [
            *(("def", INFORMATION_SCHEMA, other, "SYSTEM VIEW", *(None,) * 11) for other in _HEADERS),
            *map(_table_row, TABLES),
        ],
    }
    return listing(_HEADERS[name], rows.get(name, ()), INFORMATION_SCHEMA, name)


def _table_row(table: Table) -> Row:
    sizes = ("InnoDB", 10, "Dynamic", len(table.rows), 16384, len(table.rows) + 1)
    return ("def", SCHEMA, table.name, "BASE TABLE", *sizes, None, None, _COLLATION, "", table.comment)


def _column_row(table: Table, number: int) -> Row:
    item = table.columns[number]
    length = int(item.sql_type[8:-1]) if item.data_type == "varchar" else None
    precision, scale = {"int": (10, 0), "decimal": (10, 2)}.get(item.data_type, (None, None))
    text = (_CHARSET, _COLLATION) if length else (None, None)
    placed = ("def", SCHEMA, table.name, item.name, number + 1, None, "YES" if item.nullable else "NO", item.data_type)
    return (*placed, length, precision, scale, *text, item.sql_type, item.key, _extra(item), "select", "")
