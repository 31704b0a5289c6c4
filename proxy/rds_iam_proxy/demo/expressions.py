"""Parses and evaluates expressions over one row: literals, variables, columns, comparisons, a few functions."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from .data_types import Column, Kind, Row, SQLError, Table, Value, not_in_demo, text_of
from .functions import AGGREGATES, Facts, call, call_without_parentheses
from .operators import COMPARISONS, and_, arithmetic, equal, like_operator, not_, number, or_
from .tokens import Cursor, Type

MAX_DEPTH = 40  # of parentheses and calls: what the parser recurses into; well below Python's own limit
MAX_OPERATORS = 200  # on the way from the whole to its deepest part: what evaluation recurses into

Evaluate = Callable[[Row], Value]


@dataclass(frozen=True, slots=True)
class Expression:
    """`of_row` gives the value for one row; an aggregate has `of_rows` instead and looks at all of them."""

    of_row: Evaluate
    column: Column | None = None
    of_rows: Callable[[list[Row]], Value] | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean: the session's facts, and the table of the FROM clause with its alias."""

    facts: Facts
    table: Table | None = None
    alias: str = ""

    def column(self, qualifiers: list[str], name: str) -> Column:
        found = self.table.column(name) if self.table else None
        if found is None or (qualifiers and qualifiers[-1].lower() not in self._table_names()):
            shown = ".".join([*qualifiers, name])
            raise SQLError(1054, "42S22", f"Unknown column '{shown}' in 'field list'")
        return found

    def _table_names(self) -> tuple[str, ...]:
        return (self.alias.lower(), self.table.name.lower()) if self.table else ()


class Parser:
    """Recursive descent, from OR down to a single value."""

    def __init__(self, cursor: Cursor, scope: Scope) -> None:
        self._cursor = cursor
        self._scope = scope
        self._depth = 0

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise not_in_demo("An expression this deep")
        left = self._conjunction()
        while self._cursor.accept_any("OR", "||"):
            left = _binary(left, self._conjunction(), or_)
        self._depth -= 1
        return left

    def _conjunction(self) -> Expression:
        left = self._negation()
        while self._cursor.accept_any("AND", "&&"):
            left = _binary(left, self._negation(), and_)
        return left

    def _negation(self) -> Expression:
        negative = False
        while self._cursor.accept_any("NOT", "!"):
            negative = not negative
        inner = self._comparison()
        return _unary(inner, not_) if negative else inner

    def _comparison(self) -> Expression:
        left = self._sum()
        while True:
            symbol = self._cursor.accept_any(*COMPARISONS)
            if symbol:
                left = _binary(left, self._sum(), COMPARISONS[symbol])
            elif self._cursor.accept("IS"):
                left = self._is(left)
            elif self._cursor.accept("NOT", "LIKE"):
                left = _unary(_binary(left, self._sum(), like_operator), not_)
            elif self._cursor.accept("LIKE"):
                left = _binary(left, self._sum(), like_operator)
            elif self._cursor.accept("NOT", "IN"):
                left = _unary(self._in(left), not_)
            elif self._cursor.accept("IN"):
                left = self._in(left)
            else:
                return left

    def _is(self, left: Expression) -> Expression:
        negative = self._cursor.accept("NOT")
        self._cursor.expect("NULL")
        return _unary(left, lambda value: int((value is None) is not negative))

    def _in(self, left: Expression) -> Expression:
        arguments = self._arguments()
        choices = [_plain(choice) for choice in arguments]
        of_left = _plain(left)

        def evaluate(row: Row) -> Value:
            value = of_left(row)
            return int(any(equal(value, choice(row)) for choice in choices))

        return Expression(evaluate, depth=_above(left, *arguments))

    def _sum(self) -> Expression:
        left = self._product()
        while symbol := self._cursor.accept_any("+", "-"):
            left = _binary(left, self._product(), arithmetic(symbol))
        return left

    def _product(self) -> Expression:
        left = self._sign()
        while symbol := self._cursor.accept_any("*", "/", "%"):
            left = _binary(left, self._sign(), arithmetic(symbol))
        return left

    def _sign(self) -> Expression:
        negative = False
        while symbol := self._cursor.accept_any("-", "+"):
            negative = negative is not (symbol == "-")
        inner = self._primary()
        return _binary(_constant(0), inner, arithmetic("-")) if negative else inner

    def _primary(self) -> Expression:
        cursor = self._cursor
        if cursor.accept("("):
            inner = self.expression()
            cursor.expect(")")
            return inner
        if cursor.accept("BINARY"):
            return self._primary()
        token = cursor.next()
        if token.type is Type.VALUE:
            return _constant(token.value)
        if token.type is Type.PARAMETER:
            return _constant(cursor.parameter())
        if token.type is Type.SYSTEM:
            return _constant(self._scope.facts.variable(token.text, token.scope))
        if token.type is Type.USER:
            return _constant(self._scope.facts.user_variable(token.text))
        if token.word in ("NULL", "TRUE", "FALSE"):
            return _constant({"NULL": None, "TRUE": 1, "FALSE": 0}[token.word])
        if token.type not in (Type.NAME, Type.QUOTED):
            cursor.position -= 1
            raise cursor.error()
        following = cursor.peek()
        if token.type is Type.NAME and following is not None and following.text == "(" and not following.value:
            return self._call(token.word)
        return self._name(token.text, token.word)

    def _name(self, first: str, word: str) -> Expression:
        names = [first]
        while self._cursor.accept("."):
            names.append(self._cursor.name())
        if len(names) == 1 and (self._scope.table is None or self._scope.table.column(first) is None):
            known, value = call_without_parentheses(word, self._scope.facts)
            if known:
                return _constant(value)
        column = self._scope.column(names[:-1], names[-1])
        key = column.name.lower()
        return Expression(lambda row: row[key], column)

    def _call(self, name: str) -> Expression:
        if name == "COUNT" and self._cursor.accept("(", "*", ")"):
            return Expression(_never, of_rows=len)
        if name == "CAST":
            return self._cast()
        inner = self._arguments()
        arguments = [_plain(argument) for argument in inner]
        if name in AGGREGATES:
            return _aggregate(name, arguments)
        facts = self._scope.facts
        return Expression(
            lambda row: call(name, [argument(row) for argument in arguments], facts), depth=_above(*inner)
        )

    def _cast(self) -> Expression:
        self._cursor.expect("(")
        whole = self.expression()
        inner, depth = _plain(whole), _above(whole)
        self._cursor.expect("AS")
        type_ = self._cursor.name().upper()
        if type_ not in ("CHAR", "SIGNED", "UNSIGNED"):
            raise not_in_demo(f"CAST AS {type_}")
        if self._cursor.accept("("):
            self._cursor.next()
            self._cursor.expect(")")
        self._cursor.accept("INTEGER")
        self._cursor.expect(")")
        if type_ == "CHAR":
            return Expression(lambda row: None if (value := inner(row)) is None else text_of(value), depth=depth)
        return Expression(lambda row: None if (value := inner(row)) is None else int(number(value)), depth=depth)

    def _arguments(self) -> list[Expression]:
        self._cursor.expect("(")
        arguments: list[Expression] = []
        while not self._cursor.accept(")"):
            if arguments:
                self._cursor.expect(",")
            arguments.append(self.expression())
        return arguments


def label(column: Column | None, name: str, value: Value) -> Column:
    """The result column of an expression: the table's own, or one that fits a value it gave."""
    if column is not None:
        return replace(column, name=name)
    kinds: list[tuple[type, Kind, str]] = [
        (int, Kind.BIGINT, "bigint"),
        (float, Kind.DOUBLE, "double"),
        (Decimal, Kind.DECIMAL, "decimal(65,10)"),
        (datetime.datetime, Kind.DATETIME, "datetime"),
    ]
    for type_, kind, sql_type in kinds:
        if isinstance(value, type_):
            return Column(name, kind, sql_type, nullable=True)
    return Column(name, nullable=True)


def _constant(value: Value) -> Expression:
    return Expression(lambda _row: value)


def _plain(expression: Expression) -> Evaluate:
    if expression.of_rows is not None:
        raise not_in_demo("An aggregate inside an expression")
    return expression.of_row


def _never(_row: Row) -> Value:
    raise not_in_demo("An aggregate here")


def _aggregate(name: str, arguments: list[Evaluate]) -> Expression:
    if len(arguments) != 1:
        raise not_in_demo(f"{name} of {len(arguments)} arguments")
    (argument,) = arguments
    function = AGGREGATES[name]

    def of_rows(rows: list[Row]) -> Value:
        return function([value for row in rows if (value := argument(row)) is not None])

    return Expression(_never, of_rows=of_rows)


def _unary(inner: Expression, function: Callable[[Value], Value]) -> Expression:
    of_inner = _plain(inner)
    return Expression(lambda row: function(of_inner(row)), depth=_above(inner))


def _binary(left: Expression, right: Expression, function: Callable[[Value, Value], Value]) -> Expression:
    of_left, of_right = _plain(left), _plain(right)
    return Expression(lambda row: function(of_left(row), of_right(row)), depth=_above(left, right))


def _above(*parts: Expression) -> int:
    """The depth of what is made from these parts."""
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_OPERATORS:
        raise not_in_demo("An expression this long")
    return depth
