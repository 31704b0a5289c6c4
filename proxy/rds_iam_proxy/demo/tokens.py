"""Splits SQL into tokens: enough of MySQL's lexer for canned answers. Linear in the length of its input."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from .data_types import SQLError, Value, not_in_demo

MAX_SQL = 64 * 1024  # characters; a longer statement is none that the demo answers


class Type(Enum):
    NAME = "name"
    QUOTED = "quoted"
    VALUE = "value"
    SYSTEM = "system"  # @@name
    USER = "user"  # @name
    PARAMETER = "parameter"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the name or operator; `value` what a literal stands for; the SQL itself is `[start:end]`."""

    type: Type
    text: str
    start: int
    end: int
    value: Value = None
    scope: str = ""  # of a system variable: "session", "global" or nothing

    @property
    def word(self) -> str:
        """The keyword this may be, else nothing."""
        return self.text.upper() if self.type is Type.NAME else ""


# An open end is taken as the end of the text, or the search for it would make a hostile text quadratic.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | (?:--(?=\s|\Z)|\#)[^\n]* | /\*(?:!\d*|(?!!).*?(?:\*/|\Z)) | \*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.|"")*(?:"|\Z))
    | (?P<quoted>`(?:[^`]|``)*(?:`|\Z))
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w$]))
    | @@(?:(?P<scope>session|global|local|persist)\s*\.\s*)?`?(?P<system>[a-z_]\w*)`?
    | @(?P<user>[\w.$]+|`[^`]*`)
    | (?P<name>[^\W\d][\w$]*|\$[\w$]*)
    | (?P<parameter>\?)
    | (?P<operator><=>|<=|>=|<>|!=|:=|&&|\|\||[-+*/%=<>(),.;!])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a", "%": r"\%", "_": r"\_"}


def tokenize(sql: str) -> list[Token]:
    """The tokens without comments; what stands in `/*! ... */` counts, as in MySQL. Raises SQLError."""
    if len(sql) > MAX_SQL:
        raise not_in_demo(f"A statement of more than {MAX_SQL} characters")
    tokens = []
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise syntax_error(sql, position)
        position = match.end()
        if match["space"] is None:
            tokens.append(_token(match, sql))
    return tokens


def statements(tokens: list[Token]) -> list[list[Token]]:
    """Cut at the semicolons; empty statements are left out."""
    found: list[list[Token]] = [[]]
    for token in tokens:
        if token.type is Type.OPERATOR and token.text == ";":
            found.append([])
        else:
            found[-1].append(token)
    return [statement for statement in found if statement]


def syntax_error(sql: str, position: int) -> SQLError:
    """ER_PARSE_ERROR, as MySQL words it."""
    near = sql[position : position + 80]
    return SQLError(
        1064, "42000", f"You have an error in your SQL syntax; the demo cannot read it near '{near}' at line 1"
    )


def _token(match: re.Match[str], sql: str) -> Token:
    start, end = match.span()
    if match["string"] is not None:
        text = match["string"]
        if len(text) < 2 or text[-1] != text[0]:
            raise syntax_error(sql, start)
        inner = text[1:-1].replace(text[0] * 2, text[0])
        value = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), inner)
        return Token(Type.VALUE, value, start, end, value)
    if match["number"] is not None:
        return Token(Type.VALUE, match["number"], start, end, _number(match["number"]))
    if match["quoted"] is not None:
        if len(match["quoted"]) < 3:
            raise syntax_error(sql, start)
        return Token(Type.QUOTED, match["quoted"][1:-1].replace("``", "`"), start, end)
    if match["system"] is not None:
        scope = (match["scope"] or "").lower()
        return Token(Type.SYSTEM, match["system"].lower(), start, end, scope="session" if scope == "local" else scope)
    if match["user"] is not None:
        return Token(Type.USER, match["user"].strip("`").lower(), start, end)
    for type_ in (Type.NAME, Type.PARAMETER, Type.OPERATOR):
        if match[type_.value] is not None:
            return Token(type_, match[type_.value], start, end)
    raise AssertionError("a group of the pattern is not handled")


def _number(text: str) -> Value:
    if "e" in text.lower():
        return float(text)
    if "." in text:
        return Decimal(text)
    # MySQL, too, makes a DECIMAL of what does not fit a BIGINT.
    return int(text) if len(text) < 19 else Decimal(text)


class Cursor:
    """Walks over the tokens of one statement."""

    def __init__(self, sql: str, tokens: list[Token], parameters: tuple[Value, ...] = ()) -> None:
        self.sql = sql
        self.position = 0
        self._tokens = tokens
        self._parameters = list(parameters)

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.position + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    @property
    def at_end(self) -> bool:
        return self.position >= len(self._tokens)

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise self.error()
        self.position += 1
        return token

    def accept(self, *words: str) -> bool:
        """Take these words or operators, all of them in this order, if they come next."""
        for index, word in enumerate(words):
            token = self.peek(index)
            if token is None or word not in (token.word, token.text if token.type is Type.OPERATOR else ""):
                return False
        self.position += len(words)
        return True

    def accept_any(self, *words: str) -> str:
        """Take one of these words if it comes next; else nothing."""
        return next((word for word in words if self.accept(word)), "")

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.error()

    def name(self) -> str:
        token = self.next()
        if token.type not in (Type.NAME, Type.QUOTED):
            self.position -= 1
            raise self.error()
        return token.text

    def qualified_name(self) -> tuple[str, str]:
        """`[schema.]name`; the schema may be empty."""
        first = self.name()
        return (first, self.name()) if self.accept(".") else ("", first)

    def parameter(self) -> Value:
        if not self._parameters:
            raise SQLError(1210, "HY000", "Incorrect arguments to EXECUTE")
        return self._parameters.pop(0)

    def text_since(self, position: int) -> str:
        """The SQL from that token to the last one taken: what MySQL names a column after."""
        return self.sql[self._tokens[position].start : self._tokens[self.position - 1].end]

    def error(self) -> SQLError:
        token = self.peek()
        return syntax_error(self.sql, token.start if token else len(self.sql))

    def expect_end(self) -> None:
        if not self.at_end:
            raise self.error()
