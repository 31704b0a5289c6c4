"""Tables of canned rows, and the plain questions that can be asked of one: WHERE, ORDER BY, LIMIT. No I/O."""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mysql_wire.reply import ERRPacket

from .sql import split_list

Value = None | int | Decimal | str
Row = tuple[Value, ...]

MAX_PATTERN = 1000  # characters; no text here is as long

_ABOUT = (
    "This is the demo's embedded server, not a database: it answers SHOW, DESCRIBE, SET, USE, SELECT of variables and "
    "of functions such as VERSION(), and SELECT ... FROM one table [WHERE] [ORDER BY] [LIMIT] of `shop` (customers, "
    "products) or information_schema. This statement is not among them"
)
_NAME = r"(?:\w+\.)?(\w+)"  # the table's alias before the point says nothing: there is one table
_CONDITION = rf"{_NAME}(?:(=|<>|!=)| (LIKE|NOT LIKE|IN|NOT IN|IS NOT|IS) ?)(.+)"
_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


class SQLError(Exception):
    """An ERR packet: its code, sqlstate and text (MySQL Error Reference)."""

    def __init__(self, code: int, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.packet = ERRPacket(code, sqlstate, text.encode())


def not_in_demo() -> SQLError:
    """ER_NOT_SUPPORTED_YET, with what the demo can do."""
    return SQLError(1235, "42000", _ABOUT)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or of a result."""

    name: str
    sql_type: str = "varchar(255)"
    nullable: bool = False
    key: str = ""  # PRI or nothing

    @property
    def data_type(self) -> str:
        return re.split(r"\W", self.sql_type)[0]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = ()
    schema: str = ""
    name: str = ""
    comment: str = ""

    def where(self, condition: str, value_of: Callable[[str], Value]) -> "Table":
        """The rows for which all ANDs between two ORs hold. `value_of` gives the value of a literal or function."""
        ways = [[self._test(part, value_of) for part in _split(" AND ", way)] for way in _split(" OR ", condition)]
        return replace(self, rows=tuple(row for row in self.rows if any(all(t(row) for t in way) for way in ways)))

    def ordered(self, order: str) -> "Table":
        rows = list(self.rows)
        for part in reversed(order.split(",")):
            name, descending = parsed(rf"{_NAME}(?: (?:ASC|(DESC)))?", part)
            index = self._index(name)
            rows.sort(key=lambda row, i=index: (row[i] is not None, row[i]), reverse=bool(descending))  # type: ignore[misc]
        return replace(self, rows=tuple(rows))

    def limited(self, limit: str) -> "Table":
        first, count, offset = parsed(r"(?:(\d{1,18}),)?(\d{1,18})(?: OFFSET (\d{1,18}))?", limit)
        start = int(first or offset or 0)
        return replace(self, rows=self.rows[start : start + int(count)])

    def chosen(self, items: str) -> "Table":
        """What stands between SELECT and FROM: names, `*` or COUNT(*)."""
        if re.fullmatch(r"COUNT\((?:\*|1)\)(?: .+)?", items, re.IGNORECASE):
            return Table((Column(items.rpartition(" ")[2], "bigint"),), ((len(self.rows),),))
        chosen: list[tuple[int, Column]] = []
        for item in split_list(items):
            if re.fullmatch(r"(?:\w+\.)?\*", item):
                chosen += enumerate(self.columns)
                continue
            name, alias = parsed(rf"{_NAME}(?: (?:AS )?(\w+))?", item)
            index = self._index(name)
            chosen.append((index, replace(self.columns[index], name=alias or self.columns[index].name)))
        rows = tuple(tuple(row[index] for index, _ in chosen) for row in self.rows)
        return Table(tuple(column for _, column in chosen), rows)

    def _index(self, name: str) -> int:
        names = [column.name.lower() for column in self.columns]
        if name.lower() not in names:
            raise SQLError(1054, "42S22", f"Unknown column '{name}'")
        return names.index(name.lower())

    def _test(self, condition: str, value_of: Callable[[str], Value]) -> Callable[[Row], bool]:
        name, sign, word, right = parsed(_CONDITION, condition)
        index, operator = self._index(name), (sign or word).upper()
        negative = operator in ("<>", "!=") or "NOT" in operator
        compare = _like if "LIKE" in operator else _same if "IS" in operator else _equal
        wanted = [value_of(part) for part in (right.strip("()").split(",") if "IN" in operator else [right])]
        return lambda row: any(compare(row[index], value) for value in wanted) is not negative


def listing(header: str, rows: Iterable[Sequence[Value]] = (), schema: str = "", name: str = "") -> Table:
    """A table from its column names, `|` between them; a name that ends in # is a number. All may be NULL."""
    columns = tuple(
        Column(title.rstrip("#"), "bigint" if title.endswith("#") else "varchar(255)", nullable=True)
        for title in header.split("|")
    )
    return Table(columns, tuple(map(tuple, rows)), schema, name)


def parsed(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern; raises SQLError where the text is none of it."""
    match = re.fullmatch(pattern, text, re.IGNORECASE)
    if match is None:
        raise not_in_demo()
    return match.groups()


def _split(separator: str, text: str) -> list[str]:
    return re.split(separator, text, flags=re.IGNORECASE)


def _same(left: Value, right: Value) -> bool:
    return left is right


def _equal(left: Value, right: Value) -> bool:
    return left is not None and right is not None and str(left).casefold() == str(right).casefold()


def _like(text: Value, pattern: Value) -> bool:
    if text is None or not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        return False
    glob = re.sub(r"\\(.)|(.)", lambda match: match[1] or _GLOB.get(match[2], match[2]), pattern, flags=re.DOTALL)
    return fnmatch.fnmatchcase(str(text).lower(), glob.lower())
