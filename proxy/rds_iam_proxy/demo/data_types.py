"""The values, columns and tables that canned answers are made of, and the errors they end in. No SQL, no I/O."""

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

Value = None | int | float | Decimal | str | datetime.datetime
Row = Mapping[str, Value]  # by column name in lower case


class Kind(Enum):
    """The types that the demo has, with the codes of MySQL's enum_field_types."""

    INT = 0x03
    DOUBLE = 0x05
    BIGINT = 0x08
    DATETIME = 0x0C
    DECIMAL = 0xF6
    TEXT = 0xFD


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or of a result."""

    name: str
    kind: Kind = Kind.TEXT
    sql_type: str = "varchar(255)"
    nullable: bool = False
    key: str = ""  # PRI, MUL or nothing
    extra: str = ""
    schema: str = ""
    table: str = ""

    @property
    def data_type(self) -> str:
        return self.sql_type.partition("(")[0].partition(" ")[0]

    @property
    def length(self) -> int:
        """Characters of a varchar; else a width that is wide enough."""
        digits = self.sql_type.partition("(")[2].partition(")")[0]
        return int(digits) if digits.isdigit() else 255


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; also what SHOW and information_schema answer from.

    `rows` is called for each query, so that a table may show what holds now.
    """

    columns: tuple[Column, ...]
    rows: Callable[[], Iterable[tuple[Value, ...]]]
    schema: str = ""
    name: str = ""
    comment: str = ""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def as_rows(self) -> list[Row]:
        names = [column.name.lower() for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows()]


@dataclass(frozen=True, slots=True)
class Result:
    """A result set; without columns it is an OK packet."""

    columns: tuple[Column, ...] = ()
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    sleep: float = 0.0  # seconds that SLEEP() asked for, to wait before this is sent


class SQLError(Exception):
    """An ERR packet: its code, sqlstate and text (MySQL Error Reference)."""

    def __init__(self, code: int, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.sqlstate = sqlstate
        self.text = text


ABOUT = (
    "This is the demo's embedded server, not a database: it answers SHOW, DESCRIBE, SET, USE, SELECT of "
    "variables and functions, and SELECT ... FROM one table [WHERE] [ORDER BY] [LIMIT] of `shop` "
    "(customers, products, orders) or information_schema"
)


def not_in_demo(what: str) -> SQLError:
    """ER_NOT_SUPPORTED_YET, with what the demo can do."""
    return SQLError(1235, "42000", f"{what} is not part of the demo. {ABOUT}.")


def column(name: str, sql_type: str = "varchar(255)", *, nullable: bool = False) -> Column:
    """A column whose kind follows from its SQL type."""
    kinds = {"bigint": Kind.BIGINT, "int": Kind.INT, "decimal": Kind.DECIMAL, "datetime": Kind.DATETIME}
    data_type = sql_type.partition("(")[0].partition(" ")[0]
    return Column(name, kinds.get(data_type, Kind.TEXT), sql_type, nullable)


def text_of(value: Value) -> str:
    """A value as the text protocol and string comparisons show it; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return str(int(value))
    return str(value)
