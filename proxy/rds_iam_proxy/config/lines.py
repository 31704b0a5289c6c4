"""On which line of a TOML file a table or key stands: tomllib does not tell, so this looks for headers and keys."""

import re
from itertools import islice

TablePath = tuple[str | int, ...]
"""`("accounts", 0, "user")`"""

_DEPTH = 4
"""Parts of a dotted key that are looked at: the configuration has no deeper ones."""

_PART = r""" "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' | [A-Za-z0-9_-]++ """
_PARTS = re.compile(_PART, re.VERBOSE)
_BLANK = re.compile(r"\s*+")
_NAME = re.compile(rf"(\[{{0,2}})[ \t]*+((?:{_PART})(?:[ \t]*+\.[ \t]*+(?:{_PART}))*+)", re.VERBOSE)
# What a value, and the rest of a header's line, is made of. Possessive or lazy with one way to match: linear.
_TOKEN = re.compile(
    r"""
    \"{3} (?:[^\\]|\\.)*? \"{3,5} | '{3} .*? '{3,5}
    | "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' | \#[^\n]*+
    | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<end>\n) | [^"'\#\[\]{}\n]++ | .
    """,
    re.VERBOSE | re.DOTALL,
)


class Lines:
    """The lines of one file, which must be valid TOML."""

    def __init__(self, text: str = "") -> None:
        self._found: dict[TablePath, int] = {}
        self._arrays: dict[TablePath, int] = {}
        table: TablePath = ()
        position, line = 0, 1
        while position < len(text):
            start = _BLANK.match(text, position).end()  # type: ignore[union-attr]  # it may be empty
            line += text.count("\n", position, start)
            if match := _NAME.match(text, start):
                names = [one[0].strip("\"'") for one in islice(_PARTS.finditer(match[2]), _DEPTH)]
                path = self._header(match[1], names) if match[1] else self._below(table, names)
                table = path if match[1] else table
                for length in range(1, len(path) + 1):
                    self._found.setdefault(path[:length], line)
            position = _end_of_value(text, match.end() if match else start)
            line += text.count("\n", start, position)

    def of(self, path: TablePath) -> int | None:
        """The line of the key or table, or of the next table around it; None where there is none."""
        while path:
            if path in self._found:
                return self._found[path]
            path = path[:-1]
        return None

    def _header(self, brackets: str, names: list[str]) -> TablePath:
        if brackets == "[":
            return self._below((), names)
        array = (*self._below((), names[:-1]), names[-1])
        number = self._arrays[array] = self._arrays.get(array, -1) + 1
        return (*array, number)

    def _below(self, path: TablePath, names: list[str]) -> TablePath:
        """Within an array of tables names mean its last one."""
        for name in names:
            path = (*path, name)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path


def _end_of_value(text: str, position: int) -> int:
    """Behind the first line end that is in no string, array or inline table."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        kind = token.lastgroup
        depth += (kind == "open") - (kind == "close")
        if kind == "end" and depth <= 0:
            return token.end()
    return len(text)
