"""Answers SELECT over at most one table: filter, order, limit, and aggregates without groups."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from .catalog import find_table
from .data_types import Column, Result, Row, SQLError, Table, Value, not_in_demo
from .expressions import Evaluate, Expression, Parser, Scope, label
from .functions import Facts
from .operators import is_true, like_operator, order
from .tokens import Cursor, Type

_MODIFIERS = ("SQL_NO_CACHE", "SQL_CALC_FOUND_ROWS", "SQL_CACHE", "HIGH_PRIORITY", "ALL")
_NOT_AN_ALIAS = frozenset(
    {"WHERE", "ORDER", "LIMIT", "GROUP", "HAVING", "FOR", "LOCK", "UNION", "JOIN", "INNER", "LEFT", "RIGHT", "CROSS"}
    | {"NATURAL", "STRAIGHT_JOIN", "USE", "FORCE", "IGNORE", "FROM", "INTO", "PROCEDURE", "WINDOW", "EXCEPT"}
)


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    expression: Expression


def select(cursor: Cursor, facts: Facts) -> Result:
    """Answer what follows the word SELECT. Raises SQLError."""
    while cursor.accept_any(*_MODIFIERS):
        pass
    distinct = bool(cursor.accept_any("DISTINCT", "DISTINCTROW"))
    scope = _scope(cursor, facts)
    items = _items(cursor, scope)
    if cursor.accept("FROM"):  # read by _scope already
        _from(cursor, facts)
    rows = scope.table.as_rows() if scope.table else [{}]
    if cursor.accept("WHERE"):
        rows = filtered(cursor, scope, rows)
    if cursor.accept("ORDER", "BY"):
        rows = _ordered(cursor, scope, items, rows)
    offset, count = _limit(cursor)
    _ignore_locks(cursor)
    if not cursor.at_end:
        raise _unsupported(cursor)
    facts.sleep = 0.0
    values = _evaluate(items, rows)
    if distinct:
        values = list(dict.fromkeys(values))
    values = values[offset : None if count is None else offset + count]
    first = values[0] if values else (None,) * len(items)
    columns = tuple(label(item.expression.column, item.name, value) for item, value in zip(items, first, strict=True))
    return Result(columns, values, facts.sleep)


def show(cursor: Cursor, table: Table, facts: Facts, *, like_column: int = 0) -> Result:
    """Answer the end of a SHOW, `[LIKE 'pattern' | WHERE expression]`, from a table."""
    scope = Scope(facts, table)
    rows = table.as_rows()
    if cursor.accept("LIKE"):
        key = table.columns[like_column].name.lower()
        pattern = cursor.next()
        if pattern.type is not Type.VALUE:
            raise cursor.error()
        rows = [row for row in rows if row[key] is not None and is_true(like_operator(row[key], pattern.value))]
    elif cursor.accept("WHERE"):
        rows = filtered(cursor, scope, rows)
    _limit(cursor)
    cursor.expect_end()
    return Result(table.columns, [tuple(row.values()) for row in rows])


def filtered(cursor: Cursor, scope: Scope, rows: list[Row]) -> list[Row]:
    """The rows that the expression coming next lets through."""
    condition = _of_row(Parser(cursor, scope).expression())
    return [row for row in rows if is_true(condition(row))]


def _of_row(expression: Expression) -> Evaluate:
    if expression.of_rows is not None:
        raise SQLError(1111, "HY000", "Invalid use of group function")
    return expression.of_row


def _scope(cursor: Cursor, facts: Facts) -> Scope:
    """Look ahead to FROM, because it says what the names before it mean."""
    start, depth = cursor.position, 0
    try:
        while not cursor.at_end:
            if depth == 0 and cursor.accept("FROM"):
                return _from(cursor, facts)
            depth += {"(": 1, ")": -1}.get(_operator(cursor), 0)
            cursor.position += 1
        return Scope(facts)
    finally:
        cursor.position = start


def _operator(cursor: Cursor) -> str:
    token = cursor.peek()
    return token.text if token is not None and token.type is Type.OPERATOR else ""


def _from(cursor: Cursor, facts: Facts) -> Scope:
    if cursor.accept("DUAL"):
        return Scope(facts)
    if _operator(cursor) == "(":
        raise not_in_demo("A subquery")
    table = find_table(*cursor.qualified_name(), facts)
    return Scope(facts, table, _alias(cursor) or table.name)


def _alias(cursor: Cursor) -> str:
    told = cursor.accept("AS")
    token = cursor.peek()
    if token is not None and token.type in (Type.NAME, Type.QUOTED, Type.VALUE):
        if told or token.word not in _NOT_AN_ALIAS:
            return cursor.next().text
    elif told:
        raise cursor.error()
    return ""


def _items(cursor: Cursor, scope: Scope) -> list[_Item]:
    items: list[_Item] = []
    while True:
        items += _item(cursor, scope)
        if not cursor.accept(","):
            return items


def _item(cursor: Cursor, scope: Scope) -> list[_Item]:
    start = cursor.position
    literal, following = cursor.peek(), cursor.peek(2)
    if _operator(cursor) == "*" or (following is not None and following.text == "*" and _dot(cursor)):
        cursor.position += 1 if _operator(cursor) == "*" else 3
        if scope.table is None:
            raise SQLError(1096, "HY000", "No tables used")
        return [_Item(column.name, _column(column)) for column in scope.table.columns]
    expression = Parser(cursor, scope).expression()
    name = expression.column.name if expression.column else cursor.text_since(start)
    if literal is not None and literal.type is Type.VALUE and cursor.position == start + 1:
        name = literal.text  # MySQL names the column of 'x' after the text without its quotes
    return [_Item(_alias(cursor) or name, expression)]


def _dot(cursor: Cursor) -> bool:
    token = cursor.peek(1)
    return token is not None and token.text == "." and token.type is Type.OPERATOR


def _column(column: Column) -> Expression:
    key = column.name.lower()
    return Expression(lambda row: row[key], column)


def _ordered(cursor: Cursor, scope: Scope, items: list[_Item], rows: list[Row]) -> list[Row]:
    keys: list[tuple[Evaluate, int]] = []
    while True:
        key = _order_key(cursor, scope, items)
        direction = -1 if cursor.accept_any("ASC", "DESC") == "DESC" else 1
        keys.append((key, direction))
        if not cursor.accept(","):
            break
    for key, direction in reversed(keys):
        rows = sorted(rows, key=functools.cmp_to_key(_by(key, direction)))
    return rows


def _by(key: Evaluate, direction: int) -> Callable[[Row, Row], int]:
    def compare(left: Row, right: Row) -> int:
        a, b = key(left), key(right)
        if a is None or b is None:  # NULL comes first
            return direction * ((b is None) - (a is None)) * -1
        return direction * order(a, b)

    return compare


def _order_key(cursor: Cursor, scope: Scope, items: list[_Item]) -> Evaluate:
    """A position, an alias or an expression."""
    token = cursor.peek()
    if token is not None and isinstance(token.value, int) and 1 <= token.value <= len(items):
        cursor.position += 1
        return _of_row(items[token.value - 1].expression)
    if token is not None and token.type in (Type.NAME, Type.QUOTED):
        for item in items:
            if item.name == token.text:
                cursor.position += 1
                return item.expression.of_row
    return _of_row(Parser(cursor, scope).expression())


def _limit(cursor: Cursor) -> tuple[int, int | None]:
    """(offset, count); without LIMIT the count is None."""
    if not cursor.accept("LIMIT"):
        return 0, None
    first = _count(cursor)
    if cursor.accept(","):
        return first, _count(cursor)
    if cursor.accept("OFFSET"):
        return _count(cursor), first
    return 0, first


def _count(cursor: Cursor) -> int:
    token = cursor.next()
    value = cursor.parameter() if token.type is Type.PARAMETER else token.value
    if not isinstance(value, int) or value < 0:
        cursor.position -= 1
        raise cursor.error()
    return value


def _ignore_locks(cursor: Cursor) -> None:
    """`FOR UPDATE` and its like: nothing here can change."""
    if cursor.accept("FOR", "UPDATE") or cursor.accept("FOR", "SHARE"):
        if not cursor.accept("SKIP", "LOCKED"):
            cursor.accept("NOWAIT")
    else:
        cursor.accept("LOCK", "IN", "SHARE", "MODE")


def _unsupported(cursor: Cursor) -> SQLError:
    token = cursor.peek()
    if token is not None and (token.word in _NOT_AN_ALIAS or token.text == ","):
        return not_in_demo(f"SELECT with {token.text}")
    return cursor.error()


def _evaluate(items: list[_Item], rows: list[Row]) -> list[tuple[Value, ...]]:
    if not any(item.expression.of_rows for item in items):
        return [tuple(item.expression.of_row(row) for item in items) for row in rows]
    if any(item.expression.column for item in items):
        raise not_in_demo("A column next to an aggregate")
    return [
        tuple(
            item.expression.of_rows(rows) if item.expression.of_rows else item.expression.of_row({}) for item in items
        )
    ]
