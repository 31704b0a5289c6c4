"""Which canned answer a statement gets. No I/O.

Five kinds: SELECT of functions and literals, SELECT from one of two tables, SHOW, what only sets something or is about
transactions, and pg_sleep.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pg_wire.constants import TransactionStatus

from ..sample_data import TABLES
from ..sql import normalise, split_list
from ..tables import Column, SQLError, Table, Value

VERSION = "17.6"
MAX_SQL = 16 * 1024
"""Characters."""

MAX_SLEEP_SECONDS = 3600.0

_FIRST_WORDS = ("SET", "RESET", "DISCARD", "DEALLOCATE", "LISTEN", "UNLISTEN", "NOTIFY")
_SETTINGS = {
    "server_version": VERSION,
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "transaction isolation level": "read committed",
    "transaction_isolation": "read committed",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "search_path": "public",
    "statement_timeout": "0",
}
_CODES = {1054: "42703", 1146: "42P01"}
_ABOUT = (
    "this is the demo's embedded server, not a database: it answers SELECT of functions such as version() and of"
    " literals, SELECT ... FROM customers or products [WHERE] [ORDER BY] [LIMIT], SHOW, SET, BEGIN, COMMIT, ROLLBACK"
    " and SELECT pg_sleep(SECONDS). This statement is not among them"
)


class Refused(Exception):
    """An ErrorResponse: SQLSTATE and text."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Answer:
    """What CommandComplete says, and the rows before it, if there are any; after so many seconds."""

    tag: str
    table: Table | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Facts:
    """What statements ask about, and may change."""

    user: str
    database: str
    process_id: int
    status: TransactionStatus = TransactionStatus.IDLE
    functions: Mapping[str, Callable[[], Value]] = field(init=False)

    def __post_init__(self) -> None:
        self.functions = {
            "version()": lambda: f"PostgreSQL {VERSION} (the demo's embedded server)",
            "current_user": lambda: self.user,
            "session_user": lambda: self.user,
            "current_database()": lambda: self.database,
            "current_schema()": lambda: "public",
            "current_schema": lambda: "public",
            "pg_backend_pid()": lambda: self.process_id,
        }


def answer(text: str, facts: Facts) -> Answer | None:
    """None: there was nothing but comments and semicolons. Raises Refused."""
    if len(text) > MAX_SQL:
        raise Refused("54001", f"a statement may have {MAX_SQL} characters here")
    statement = normalise(text.replace('"', "`"))
    words = statement.text
    if not words:
        return None
    first = words.split(" ", 1)[0].upper()
    if transaction := _transaction(words.upper(), facts):
        return transaction
    if facts.status is TransactionStatus.FAILED_TRANSACTION:
        raise Refused("25P02", "current transaction is aborted, commands ignored until end of transaction block")
    if first in _FIRST_WORDS:
        return Answer(first)
    if first == "SHOW":
        return _show(words[5:].strip())
    if match := re.fullmatch(r"SELECT pg_sleep\((\d{1,4}(?:\.\d{1,6})?)\)", words, re.IGNORECASE):
        seconds = min(float(match[1]), MAX_SLEEP_SECONDS)
        return Answer("SELECT 1", Table((Column("pg_sleep"),), (("",),)), seconds)
    if first == "SELECT":
        try:
            table = _select(words, statement.literals, facts)
        except SQLError as exc:
            code = _CODES.get(exc.packet.code, "0A000")
            raise Refused(code, str(exc) if code != "0A000" else _ABOUT) from None
        return Answer(f"SELECT {len(table.rows)}", table)
    raise Refused("0A000", _ABOUT)


def _transaction(words: str, facts: Facts) -> Answer | None:
    if re.fullmatch(r"(BEGIN|START TRANSACTION)\b.*", words):
        facts.status = TransactionStatus.IN_TRANSACTION
        return Answer("BEGIN")
    if re.fullmatch(r"(COMMIT|END|ROLLBACK|ABORT)(?: (?:WORK|TRANSACTION))?", words):
        failed = facts.status is TransactionStatus.FAILED_TRANSACTION
        facts.status = TransactionStatus.IDLE
        return Answer("ROLLBACK" if failed or words.startswith(("ROLLBACK", "ABORT")) else "COMMIT")
    return None


def _show(name: str) -> Answer:
    value = _SETTINGS.get(name.lower())
    if value is None:
        raise Refused("42704", f'unrecognized configuration parameter "{name}"')
    return Answer("SHOW", Table((Column(name.lower()),), ((value,),)))


def _select(words: str, literals: tuple[str, ...], facts: Facts) -> Table:
    items, *rest = re.split(r" (FROM|WHERE|ORDER BY|LIMIT)(?= )", words[7:], flags=re.IGNORECASE)
    clauses = {keyword.upper(): text[1:] for keyword, text in zip(rest[::2], rest[1::2], strict=True)}

    def value_of(text: str) -> Value:
        return _scalar(text, literals, facts)

    if "FROM" not in clauses:
        return _one_row(items, value_of)
    table = _named(clauses["FROM"])
    if "WHERE" in clauses:
        table = table.where(clauses["WHERE"], value_of)
    if "ORDER BY" in clauses:
        table = table.ordered(clauses["ORDER BY"])
    table = table.chosen(items)
    return table.limited(clauses["LIMIT"]) if "LIMIT" in clauses else table


def _named(name: str) -> Table:
    for table in TABLES:
        if name.lower().removeprefix("public.") == table.name:
            return table
    raise Refused("42P01", f'relation "{name}" does not exist')


def _one_row(items: str, value_of: Callable[[str], Value]) -> Table:
    columns, row = [], []
    for item in split_list(items):
        expression, _, alias = re.sub(" AS ", "\0", item, flags=re.IGNORECASE).partition("\0")
        value = value_of(expression)
        name = alias or (expression.partition("(")[0].lower() if expression[:1].isalpha() else "?column?")
        columns.append(Column(name, "int" if isinstance(value, int) else "text"))
        row.append(value)
    return Table(tuple(columns), (tuple(row),))


def _scalar(text: str, literals: tuple[str, ...], facts: Facts) -> Value:
    text = re.sub(r"::\w+$", "", text.strip())
    if function := facts.functions.get(text.lower()):
        return function()
    if re.fullmatch(r"'\d+'", text):
        return literals[int(text[1:-1])]
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    if text.upper() == "NULL":
        return None
    raise Refused("0A000", _ABOUT)
