"""What operators do with values: comparisons, LIKE, logic with NULL, arithmetic."""

import operator
from collections.abc import Callable
from decimal import Decimal

from .data_types import SQLError, Value, text_of

MAX_BIGINT = 2**63 - 1


def is_true(value: Value) -> bool:
    """Whether a WHERE lets a row through."""
    return value is not None and number(value) != 0


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE, without regard to case; in at most len(text) * len(pattern) steps."""
    text, pieces = text.casefold(), _pattern(pattern.casefold())
    at_text = at_piece = 0
    star, resume = -1, 0
    while at_text < len(text):
        if at_piece < len(pieces) and pieces[at_piece] == "many":
            star, resume = at_piece, at_text
            at_piece += 1
        elif at_piece < len(pieces) and pieces[at_piece] in ("one", "=" + text[at_text]):
            at_text += 1
            at_piece += 1
        elif star >= 0:
            resume += 1
            at_text, at_piece = resume, star + 1
        else:
            return False
    return all(piece == "many" for piece in pieces[at_piece:])


def _pattern(pattern: str) -> list[str]:
    pieces = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            pieces.append("=" + next(characters, "\\"))
        else:
            pieces.append({"%": "many", "_": "one"}.get(character, "=" + character))
    return pieces


def number(value: Value) -> float | int | Decimal:
    if isinstance(value, int | float | Decimal):
        return value
    try:
        return Decimal(text_of(value))
    except ArithmeticError:
        return 0  # as MySQL reads a text that is no number


def order(left: Value, right: Value) -> int:
    """Negative, 0 or positive, as left is below, like or above right; neither is NULL."""
    if isinstance(left, int | float | Decimal) or isinstance(right, int | float | Decimal):
        a, b = number(left), number(right)
        return (a > b) - (a < b)
    x, y = text_of(left).casefold(), text_of(right).casefold()
    return (x > y) - (x < y)


def _comparison(test: Callable[[int, int], bool]) -> Callable[[Value, Value], Value]:
    def compare(left: Value, right: Value) -> Value:
        return None if left is None or right is None else int(test(order(left, right), 0))

    return compare


equal = _comparison(operator.eq)
COMPARISONS = {
    "<=>": lambda left, right: int(left is right) if left is None or right is None else equal(left, right),
    "=": equal,
    "<>": _comparison(operator.ne),
    "!=": _comparison(operator.ne),
    "<=": _comparison(operator.le),
    ">=": _comparison(operator.ge),
    "<": _comparison(operator.lt),
    ">": _comparison(operator.gt),
}


def like_operator(left: Value, right: Value) -> Value:
    return None if left is None or right is None else int(like(text_of(left), text_of(right)))


def and_(left: Value, right: Value) -> Value:
    return int(is_true(left) and is_true(right))


def or_(left: Value, right: Value) -> Value:
    return int(is_true(left) or is_true(right))


def not_(value: Value) -> Value:
    return None if value is None else int(not is_true(value))


def arithmetic(symbol: str) -> Callable[[Value, Value], Value]:
    function = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod}

    def calculate(left: Value, right: Value) -> Value:
        if left is None or right is None:
            return None
        a, b = number(left), number(right)
        if symbol in "/%" and b == 0:
            return None
        try:
            if isinstance(a, float) or isinstance(b, float):
                return float(function[symbol](float(a), float(b)))
            result: int | Decimal = Decimal(a) / b if symbol == "/" else function[symbol](a, b)
        except ArithmeticError as exc:
            raise SQLError(1690, "22003", "DOUBLE value is out of range") from exc
        if isinstance(result, int) and abs(result) > MAX_BIGINT:
            raise SQLError(1690, "22003", "BIGINT value is out of range")
        return result

    return calculate
