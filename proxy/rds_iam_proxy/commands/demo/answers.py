"""Which canned answer a statement gets: tables of patterns over its canonical form. No I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from re import Match
from typing import TypeVar

from . import catalog, variables
from .catalog import INFORMATION_SCHEMA, Facts
from .sample_data import SCHEMA
from .sql import Statement, split_list
from .tables import Column, SQLError, Table, Value, listing, not_in_demo, parsed

MAX_SQL = 16 * 1024  # characters
MAX_REPEAT = 16_000_000  # bytes, so that the row fits into one packet

_CLAUSES = ("FROM", "WHERE", "ORDER BY", "LIMIT")
_IN_SCHEMA = r"(?: (?:FROM|IN) (?P<schema>\w+))?"
_OF_TABLE = r"(?:FROM|IN) (?:(?P<schema>\w+)\.)?(?P<table>\w+)(?: (?:FROM|IN) (?P<last>\w+))?"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement, and who asks; `facts` are what an answer may change."""

    statement: Statement
    facts: Facts

    def literal(self, text: str) -> str:
        """What stands for a '0', '1' and so on; any other text itself."""
        return self.statement.literals[int(text[1:-1])] if text.startswith("'") else text

    def label(self, text: str) -> str:
        """What a column is called that was selected as this."""
        whole = re.fullmatch(r"'\d+'", text)
        return self.literal(text) if whole else re.sub(r"'\d+'", lambda match: f"'{self.literal(match[0])}'", text)

    def scalar(self, text: str) -> Value:
        """The value of a literal, variable or function. Raises SQLError."""
        match, value_of = _first(_SCALARS, text)
        return value_of(match, self)


def answer(statement: Statement, facts: Facts) -> Table | None:
    """The rows, or None where OK is all there is to say. Raises SQLError."""
    if not statement.text:
        raise SQLError(1065, "42000", "Query was empty")
    if len(statement.text) > MAX_SQL:
        raise not_in_demo()
    match, handler = _first(_STATEMENTS, statement.text)
    return handler(match, _Asked(statement, facts))


def _first(patterns: Mapping[str, T], text: str) -> tuple[Match[str], T]:
    for pattern, found in patterns.items():
        if match := re.fullmatch(pattern, text, re.IGNORECASE):
            return match, found
    raise not_in_demo()


def _select(match: Match[str], asked: _Asked) -> Table:
    items, *rest = re.split(r" (FROM|WHERE|ORDER BY|LIMIT)(?= )", match[1], flags=re.IGNORECASE)
    clauses = {keyword.upper(): text[1:] for keyword, text in zip(rest[::2], rest[1::2], strict=True)}
    if list(clauses) != [keyword for keyword in _CLAUSES if keyword in clauses] or len(clauses) * 2 != len(rest):
        raise not_in_demo()
    schema, name = parsed(r"(?:(\w+)\.)?(\w+)(?: (?:AS )?\w+)?", clauses.get("FROM", "DUAL"))
    if name.upper() == "DUAL":
        return _one_row(items, asked)
    table = catalog.find_table(schema, name, asked.facts)
    if "WHERE" in clauses:
        table = table.where(clauses["WHERE"], asked.scalar)
    if "ORDER BY" in clauses:
        table = table.ordered(clauses["ORDER BY"])
    table = table.chosen(items)
    return table.limited(clauses["LIMIT"]) if "LIMIT" in clauses else table


def _one_row(items: str, asked: _Asked) -> Table:
    """SELECT of variables, functions and literals."""
    columns, row = [], []
    for item in split_list(items):
        expression = label = item
        aliased = re.fullmatch(r"(.+?)(?: AS)? ([\w$]+|'\d+')", item, re.IGNORECASE)
        if aliased and not item.upper().endswith(" NULL"):  # which is never an alias, but the end of an expression
            expression, label = aliased[1], aliased[2]
        value = asked.scalar(expression)
        columns.append(Column(asked.label(label), "bigint" if isinstance(value, int) else "varchar(255)"))
        row.append(value)
    return Table(tuple(columns), (tuple(row),))


def _repeat(match: Match[str], asked: _Asked) -> str | None:
    unit, count = asked.literal(match[1]), int(match[2])
    return unit * count if len(unit.encode()) * count <= MAX_REPEAT else None  # as with max_allowed_packet


def _show(match: Match[str], asked: _Asked) -> Table:
    what, *rest = re.split(r" (LIKE|WHERE) ", match[1], maxsplit=1, flags=re.IGNORECASE)
    found, (name, items) = _first(_SHOWN, what)
    table = catalog.find_table(INFORMATION_SCHEMA, name, asked.facts) if name else listing(items)
    placed = found.groupdict()
    if placed:
        schema = catalog.check_schema(placed.get("last") or placed["schema"] or asked.facts.database)
        table = table.where("TABLE_SCHEMA=schema", lambda _: schema)
        items = items.replace("{schema}", schema)
    if "table" in placed:
        of = catalog.find_table(schema, placed["table"], asked.facts).name
        table = table.where("TABLE_NAME=table", lambda _: of)
    table = table.chosen(items) if name else table
    if not rest:
        return table
    condition = f"{table.columns[0].name} LIKE {rest[1]}" if rest[0].upper() == "LIKE" else rest[1]
    return table.where(condition, asked.scalar)


def _create_table(match: Match[str], asked: _Asked) -> Table:
    table = catalog.find_table(match[1], match[2], asked.facts)
    return listing("Table|Create Table", [(table.name, catalog.create_table(table))])


def _grants(_: Match[str], asked: _Asked) -> Table:
    user = asked.facts.user
    return listing(f"Grants for {user}@%", [(f"GRANT SELECT ON `{SCHEMA}`.* TO `{user}`@`%`",)])


def _use(match: Match[str], asked: _Asked) -> None:
    asked.facts.database = catalog.check_schema(match[1])


def _set(match: Match[str], asked: _Asked) -> None:
    for item in split_list(match[1]):
        # SET NAMES, user variables, expressions: nothing here depends on them.
        pattern = r"(?:SESSION |LOCAL |@@(?:session\.|local\.)?)?(\w+):?=('\d+'|[\w-]+)"
        if found := re.fullmatch(pattern, item, re.IGNORECASE):
            variables.assign(asked.facts.variables, found[1], asked.literal(found[2]))


def _transaction(match: Match[str], asked: _Asked) -> None:
    asked.facts.in_transaction = match[0].upper().startswith(("START", "BEGIN"))


_SCALARS: dict[str, Callable[[Match[str], _Asked], Value]] = {
    r"-?\d{1,18}": lambda match, _: int(match[0]),
    r"'\d+'": lambda match, asked: asked.literal(match[0]),
    r"NULL|@[\w$.]+": lambda _match, _: None,  # SET keeps no user variables
    r"@@(?:(?:global|session|local)\.)?(\w+)": lambda match, asked: variables.selected(asked.facts.variables, match[1]),
    r"(?:DATABASE|SCHEMA)\(\)": lambda _, asked: asked.facts.database,
    r"(?:SESSION_|SYSTEM_)?USER\(\)": lambda _, asked: f"{asked.facts.user}@{asked.facts.host}",
    r"CURRENT_USER(?:\(\))?": lambda _, asked: f"{asked.facts.user}@%",
    r"VERSION\(\)": lambda _, asked: asked.facts.variables["version"],
    r"CONNECTION_ID\(\)": lambda _, asked: asked.facts.connection_id,
    r"(?:LAST_INSERT_ID|ROW_COUNT|FOUND_ROWS)\(\)": lambda _match, _: 0,
    r"CONVERT_TZ\('\d+','\d+','\d+'\) IS NOT NULL": lambda _match, _: 1,  # Django: are time zones loaded?
    r"REPEAT\(('\d+'),(\d{1,9})\)": _repeat,
}
_STATEMENTS: dict[str, Callable[[Match[str], _Asked], Table | None]] = {
    r"SELECT (.+)": _select,
    r"SHOW CREATE TABLE (?:(\w+)\.)?(\w+)": _create_table,
    r"SHOW GRANTS(?: FOR .+)?": _grants,
    r"SHOW (.+)": _show,
    r"((?:DESCRIBE|DESC|EXPLAIN) .+)": _show,
    r"USE (\w+)": _use,
    r"SET (?!GLOBAL |PERSIST|@@global|@@persist|PASSWORD|ROLE|DEFAULT)(.+)": _set,
    r"START TRANSACTION.*|BEGIN(?: WORK)?|COMMIT(?: WORK)?|ROLLBACK(?: WORK)?": _transaction,
    r"SAVEPOINT \w+|RELEASE SAVEPOINT \w+|ROLLBACK TO .+|UNLOCK TABLES": lambda _match, _: None,
}
_PAIR = "VARIABLE_NAME Variable_name,VARIABLE_VALUE Value"
_FIELDS = "COLUMN_NAME Field,COLUMN_TYPE Type,{}IS_NULLABLE Null,COLUMN_KEY Key,COLUMN_DEFAULT Default,EXTRA Extra"
# What SHOW calls it: the table of information_schema, and its columns under the names that SHOW gives them.
_SHOWN: dict[str, tuple[str, str]] = {
    r"(?:GLOBAL |SESSION )?VARIABLES": ("SESSION_VARIABLES", _PAIR),
    r"(?:GLOBAL |SESSION )?STATUS": ("SESSION_STATUS", _PAIR),
    r"DATABASES|SCHEMAS": ("SCHEMATA", "SCHEMA_NAME Database"),
    rf"TABLES{_IN_SCHEMA}": ("TABLES", "TABLE_NAME Tables_in_{schema}"),
    rf"FULL TABLES{_IN_SCHEMA}": ("TABLES", "TABLE_NAME Tables_in_{schema},TABLE_TYPE Table_type"),
    rf"TABLE STATUS{_IN_SCHEMA}": (
        "TABLES",
        "TABLE_NAME Name,ENGINE Engine,VERSION Version,ROW_FORMAT Row_format,TABLE_ROWS Rows,DATA_LENGTH Data_length,"
        "AUTO_INCREMENT Auto_increment,CREATE_TIME Create_time,UPDATE_TIME Update_time,TABLE_COLLATION Collation,"
        "CREATE_OPTIONS Create_options,TABLE_COMMENT Comment",
    ),
    rf"(?:COLUMNS|FIELDS) {_OF_TABLE}": ("COLUMNS", _FIELDS.format("")),
    r"(?:DESCRIBE|DESC|EXPLAIN) (?:(?P<schema>\w+)\.)?(?P<table>\w+)": ("COLUMNS", _FIELDS.format("")),
    rf"FULL (?:COLUMNS|FIELDS) {_OF_TABLE}": (
        "COLUMNS",
        _FIELDS.format("COLLATION_NAME Collation,") + ",PRIVILEGES Privileges,COLUMN_COMMENT Comment",
    ),
    rf"(?:INDEX|INDEXES|KEYS) {_OF_TABLE}": (
        "STATISTICS",
        "TABLE_NAME Table,NON_UNIQUE Non_unique,INDEX_NAME Key_name,SEQ_IN_INDEX Seq_in_index,COLUMN_NAME Column_name,"
        "COLLATION Collation,CARDINALITY Cardinality,SUB_PART Sub_part,NULLABLE Null,INDEX_TYPE Index_type,COMMENT",
    ),
    r"(?:STORAGE )?ENGINES": ("ENGINES", "ENGINE Engine,SUPPORT Support,COMMENT Comment,TRANSACTIONS Transactions,XA"),
    r"COLLATION": ("COLLATIONS", "COLLATION_NAME Collation,CHARACTER_SET_NAME Charset,ID Id,IS_DEFAULT Default"),
    r"CHARACTER SET|CHARSET": ("CHARACTER_SETS", "CHARACTER_SET_NAME Charset,DESCRIPTION Description,MAXLEN Maxlen"),
    r"PLUGINS": ("PLUGINS", "PLUGIN_NAME Name,PLUGIN_STATUS Status,PLUGIN_TYPE Type,PLUGIN_LICENSE License"),
    r"(?:FULL )?PROCESSLIST": ("PROCESSLIST", "ID Id,USER User,HOST Host,DB db,COMMAND Command,TIME Time,INFO Info"),
    # Empty ones, of which the columns are all there is.
    r"(?:WARNINGS|ERRORS)(?: LIMIT \d+)?": ("", "Level|Code#|Message"),
    r"(?:PROCEDURE|FUNCTION) STATUS": ("", "Db|Name|Type|Definer|Modified|Created|Security_type|Comment"),
    r"TRIGGERS(?: (?:FROM|IN) \w+)?": ("", "Trigger|Event|Table|Statement|Timing|Created"),
    r"EVENTS(?: (?:FROM|IN) \w+)?": ("", "Db|Name|Definer|Type|Status"),
}
