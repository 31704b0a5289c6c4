"""What the server knows about itself, as tables: information_schema, and what SHOW lists."""

from collections.abc import Iterable

from .data_types import Column, Kind, SQLError, Table, Value, column
from .functions import Facts
from .sample_data import SCHEMA, TABLES

INFORMATION_SCHEMA = "information_schema"
SCHEMAS = (INFORMATION_SCHEMA, SCHEMA)
_CHARSET = "utf8mb4"
_COLLATION = "utf8mb4_0900_ai_ci"
_CREATED = "2025-01-07 09:30:00"

CHARACTER_SETS = (
    ("ascii", "US ASCII", "ascii_general_ci", 1),
    ("binary", "Binary pseudo charset", "binary", 1),
    ("latin1", "cp1252 West European", "latin1_swedish_ci", 1),
    ("utf8mb3", "UTF-8 Unicode", "utf8mb3_general_ci", 3),
    ("utf8mb4", "UTF-8 Unicode", _COLLATION, 4),
)
COLLATIONS = (
    ("ascii_general_ci", "ascii", 11, "Yes", "Yes", 1, "PAD SPACE"),
    ("binary", "binary", 63, "Yes", "Yes", 1, "NO PAD"),
    ("latin1_swedish_ci", "latin1", 8, "Yes", "Yes", 1, "PAD SPACE"),
    ("utf8mb3_general_ci", "utf8mb3", 33, "Yes", "Yes", 1, "PAD SPACE"),
    (_COLLATION, "utf8mb4", 255, "Yes", "Yes", 0, "NO PAD"),
    ("utf8mb4_bin", "utf8mb4", 46, "", "Yes", 1, "PAD SPACE"),
    ("utf8mb4_general_ci", "utf8mb4", 45, "", "Yes", 1, "PAD SPACE"),
    ("utf8mb4_unicode_ci", "utf8mb4", 224, "", "Yes", 8, "PAD SPACE"),
)
ENGINES = (("InnoDB", "DEFAULT", "Canned answers of the demo", "YES", "NO", "YES"),)
PLUGINS = (
    ("InnoDB", "ACTIVE", "STORAGE ENGINE", None, "GPL"),
    ("AWSAuthenticationPlugin", "ACTIVE", "AUTHENTICATION", None, "PROPRIETARY"),
)


def listing(names: str, rows: Iterable[tuple[Value, ...]] = ()) -> Table:
    """A table from column names, `|` between them; a name that ends in # is a number, in ? may be NULL."""
    columns = tuple(
        column(name.rstrip("#?"), "bigint" if "#" in name else "varchar(255)", nullable="?" in name)
        for name in names.split("|")
    )
    kept = list(rows)
    return Table(columns, lambda: kept)


def find_table(schema: str, name: str, facts: Facts) -> Table:
    """The table of a FROM clause or DESCRIBE; raises MySQL's errors for what is not there."""
    schema = schema or facts.database or ""
    if not schema:
        raise SQLError(1046, "3D000", "No database selected")
    if schema.lower() == INFORMATION_SCHEMA:
        found = _information_schema(facts).get(name.upper())
    else:
        check_schema(schema)
        found = next((table for table in TABLES if table.name == name), None)
    if found is None:
        raise SQLError(1146, "42S02", f"Table '{schema}.{name}' doesn't exist")
    return found


def check_schema(name: str) -> str:
    """The schema's own spelling; raises ER_BAD_DB_ERROR."""
    if name.lower() == INFORMATION_SCHEMA:
        return INFORMATION_SCHEMA
    if name not in SCHEMAS:
        raise SQLError(1049, "42000", f"Unknown database '{name}'")
    return name


def tables_of(schema: str, facts: Facts) -> list[Table]:
    """All tables of a schema; raises ER_BAD_DB_ERROR or, without any schema, ER_NO_DB_ERROR."""
    schema = schema or facts.database or ""
    if not schema:
        raise SQLError(1046, "3D000", "No database selected")
    if check_schema(schema) == INFORMATION_SCHEMA:
        return list(_information_schema(facts).values())
    return list(TABLES)


def table_type(table: Table) -> str:
    return "BASE TABLE" if table.schema == SCHEMA else "SYSTEM VIEW"


def process(facts: Facts) -> tuple[Value, ...]:
    """This session's row in the process list."""
    return (facts.connection_id, facts.user, facts.host, facts.database, "Query", 0, "executing", None)


def keys(table: Table) -> list[tuple[int, str, Column]]:
    """(1 if not unique, index name, column) of each index."""
    return [
        (int(item.key != "PRI"), "PRIMARY" if item.key == "PRI" else item.name, item)
        for item in table.columns
        if item.key
    ]


def table_status(table: Table) -> tuple[Value, ...]:
    """A row of SHOW TABLE STATUS."""
    count = len(list(table.rows()))
    row = (table.name, "InnoDB", 10, "Dynamic", count, 2730, 16384, 0, 0, 0, count + 1)
    return (*row, _CREATED, None, None, _COLLATION, None, "", table.comment)


TABLE_STATUS = (
    "Name|Engine?|Version#?|Row_format?|Rows#?|Avg_row_length#?|Data_length#?|Max_data_length#?|Index_length#?"
    "|Data_free#?|Auto_increment#?|Create_time?|Update_time?|Check_time?|Collation?|Checksum#?"
    "|Create_options?|Comment?"
)


def _information_schema(facts: Facts) -> dict[str, Table]:
    tables = _about_server(facts) | _about_tables() | _always_empty()
    placed = {name: _placed(name, table) for name, table in tables.items()}
    # These two list the others as well, so they come last and read what is there when they are asked.
    everything = [*TABLES, *placed.values()]
    for name, names, rows in (
        ("TABLES", _TABLES_COLUMNS, [_tables_row(table) for table in everything]),
        ("COLUMNS", _COLUMNS_COLUMNS, [_columns_row(t, n) for t in everything for n in range(len(t.columns))]),
    ):
        placed[name] = _placed(name, listing(names, rows))
    return dict(sorted(placed.items()))


def _placed(name: str, table: Table) -> Table:
    return Table(table.columns, table.rows, INFORMATION_SCHEMA, name)


def _about_server(facts: Facts) -> dict[str, Table]:
    schemata = "CATALOG_NAME|SCHEMA_NAME|DEFAULT_CHARACTER_SET_NAME|DEFAULT_COLLATION_NAME|SQL_PATH?|DEFAULT_ENCRYPTION"
    collations = "COLLATION_NAME|CHARACTER_SET_NAME|ID#|IS_DEFAULT|IS_COMPILED|SORTLEN#|PAD_ATTRIBUTE"
    privileges = "GRANTEE|TABLE_CATALOG|PRIVILEGE_TYPE|IS_GRANTABLE"
    return {
        "SCHEMATA": listing(schemata, [("def", name, _CHARSET, _COLLATION, None, "NO") for name in SCHEMAS]),
        "CHARACTER_SETS": listing(
            "CHARACTER_SET_NAME|DEFAULT_COLLATE_NAME|DESCRIPTION|MAXLEN#",
            [(name, collation, text, length) for name, text, collation, length in CHARACTER_SETS],
        ),
        "COLLATIONS": listing(collations, COLLATIONS),
        "ENGINES": listing("ENGINE|SUPPORT|COMMENT|TRANSACTIONS?|XA?|SAVEPOINTS?", ENGINES),
        "PLUGINS": listing("PLUGIN_NAME|PLUGIN_STATUS|PLUGIN_TYPE|PLUGIN_LIBRARY?|PLUGIN_LICENSE", PLUGINS),
        "PROCESSLIST": listing("ID#|USER|HOST|DB?|COMMAND|TIME#|STATE?|INFO?", [process(facts)]),
        "USER_PRIVILEGES": listing(privileges, [(f"'{facts.user}'@'%'", "def", "SELECT", "NO")]),
    }


def _about_tables() -> dict[str, Table]:
    indexes = [(table, index) for table in TABLES for index in keys(table)]
    statistics = [
        ("def", SCHEMA, t.name, not_unique, SCHEMA, name, 1, item.name, "A", 6, None, None, "", "BTREE", "", "", "YES")
        for t, (not_unique, name, item) in indexes
    ]
    primary = [(table, item) for table, (not_unique, _, item) in indexes if not not_unique]
    key_usage = [
        ("def", SCHEMA, "PRIMARY", "def", SCHEMA, t.name, item.name, 1, None, None, None, None) for t, item in primary
    ]
    constraints = [("def", SCHEMA, "PRIMARY", SCHEMA, t.name, "PRIMARY KEY", "YES") for t, _ in primary]
    return {
        "STATISTICS": listing(
            "TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|NON_UNIQUE#|INDEX_SCHEMA|INDEX_NAME|SEQ_IN_INDEX#|COLUMN_NAME"
            "|COLLATION?|CARDINALITY#?|SUB_PART#?|PACKED?|NULLABLE|INDEX_TYPE|COMMENT|INDEX_COMMENT|IS_VISIBLE",
            statistics,
        ),
        "KEY_COLUMN_USAGE": listing(
            "CONSTRAINT_CATALOG|CONSTRAINT_SCHEMA|CONSTRAINT_NAME|TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|COLUMN_NAME"
            "|ORDINAL_POSITION#|POSITION_IN_UNIQUE_CONSTRAINT#?|REFERENCED_TABLE_SCHEMA?|REFERENCED_TABLE_NAME?"
            "|REFERENCED_COLUMN_NAME?",
            key_usage,
        ),
        "TABLE_CONSTRAINTS": listing(
            "CONSTRAINT_CATALOG|CONSTRAINT_SCHEMA|CONSTRAINT_NAME|TABLE_SCHEMA|TABLE_NAME|CONSTRAINT_TYPE|ENFORCED",
            constraints,
        ),
    }


def _always_empty() -> dict[str, Table]:
    return {
        "EVENTS": listing("EVENT_CATALOG|EVENT_SCHEMA|EVENT_NAME|DEFINER|EVENT_TYPE|STATUS"),
        "PARAMETERS": listing("SPECIFIC_CATALOG|SPECIFIC_SCHEMA|SPECIFIC_NAME|ORDINAL_POSITION#|PARAMETER_NAME?"),
        "PARTITIONS": listing("TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|PARTITION_NAME?|PARTITION_METHOD?"),
        "REFERENTIAL_CONSTRAINTS": listing(
            "CONSTRAINT_CATALOG|CONSTRAINT_SCHEMA|CONSTRAINT_NAME|UPDATE_RULE|DELETE_RULE|TABLE_NAME"
            "|REFERENCED_TABLE_NAME"
        ),
        "ROUTINES": listing("SPECIFIC_NAME|ROUTINE_CATALOG|ROUTINE_SCHEMA|ROUTINE_NAME|ROUTINE_TYPE|DTD_IDENTIFIER?"),
        "TRIGGERS": listing("TRIGGER_CATALOG|TRIGGER_SCHEMA|TRIGGER_NAME|EVENT_OBJECT_SCHEMA|EVENT_OBJECT_TABLE"),
        "VIEWS": listing("TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|VIEW_DEFINITION|CHECK_OPTION|IS_UPDATABLE|DEFINER"),
    }


_TABLES_COLUMNS = (
    "TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|TABLE_TYPE|ENGINE?|VERSION#?|ROW_FORMAT?|TABLE_ROWS#?|AVG_ROW_LENGTH#?"
    "|DATA_LENGTH#?|MAX_DATA_LENGTH#?|INDEX_LENGTH#?|DATA_FREE#?|AUTO_INCREMENT#?|CREATE_TIME?|UPDATE_TIME?"
    "|CHECK_TIME?|TABLE_COLLATION?|CHECKSUM#?|CREATE_OPTIONS?|TABLE_COMMENT"
)
_COLUMNS_COLUMNS = (
    "TABLE_CATALOG|TABLE_SCHEMA|TABLE_NAME|COLUMN_NAME|ORDINAL_POSITION#|COLUMN_DEFAULT?|IS_NULLABLE|DATA_TYPE"
    "|CHARACTER_MAXIMUM_LENGTH#?|CHARACTER_OCTET_LENGTH#?|NUMERIC_PRECISION#?|NUMERIC_SCALE#?|DATETIME_PRECISION#?"
    "|CHARACTER_SET_NAME?|COLLATION_NAME?|COLUMN_TYPE|COLUMN_KEY|EXTRA|PRIVILEGES|COLUMN_COMMENT"
    "|GENERATION_EXPRESSION|SRS_ID#?"
)


def _tables_row(table: Table) -> tuple[Value, ...]:
    if table.schema != SCHEMA:
        return ("def", table.schema, table.name, "SYSTEM VIEW", *(None,) * 16, "")
    name, *facts = table_status(table)
    return ("def", SCHEMA, name, "BASE TABLE", *facts)


def _columns_row(table: Table, number: int) -> tuple[Value, ...]:
    item = table.columns[number]
    is_text = item.kind is Kind.TEXT
    precision = {Kind.INT: 10, Kind.BIGINT: 20, Kind.DECIMAL: 10}.get(item.kind)
    scale = {Kind.INT: 0, Kind.BIGINT: 0, Kind.DECIMAL: 2}.get(item.kind)
    return (
        *("def", table.schema, table.name, item.name, number + 1, None, "YES" if item.nullable else "NO"),
        *(item.data_type, item.length if is_text else None, item.length * 4 if is_text else None),
        *(precision, scale, 0 if item.kind is Kind.DATETIME else None),
        *(_CHARSET if is_text else None, _COLLATION if is_text else None, item.sql_type, item.key, item.extra),
        *("select", "", "", None),
    )
