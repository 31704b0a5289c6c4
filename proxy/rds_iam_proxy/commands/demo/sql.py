"""Brings SQL into one canonical form, so that answers can be found by patterns. No I/O; time grows with length only."""

import re
from dataclasses import dataclass

# Every alternative ends at the end of the text at the latest and never tries again (`*+`): no text takes long.
_PIECE = re.compile(
    r"""
      (?P<literal>  '(?:[^'\\]|\\.?|'')*+(?:'|\Z)  |  "(?:[^"\\]|\\.?|"")*+(?:"|\Z)  )
    | (?P<name>     `[^`]*+(?:`|\Z)  )
    | (?P<space>    /\*!\d*+ | \*/                          # what is in /*!40101 ... */ counts
                  | /\*.*?(?:\*/|\Z) | --(?=\s|\Z)[^\n]*+ | \#[^\n]*+
                  | \s++  )
    | [^'"`\s/*\#-]++ | .
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "%": r"\%", "_": r"\_"}


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` is one line without comments, quotes around names and needless spaces; literals are '0', '1' and so on."""

    text: str
    literals: tuple[str, ...]


def normalise(sql: str) -> Statement:
    """The canonical form; empty text if there is nothing but comments and semicolons."""
    parts: list[str] = []
    literals: list[str] = []
    for match in _PIECE.finditer(sql):
        piece = match[0]
        if match["literal"]:
            parts.append(f"'{len(literals)}'")
            literals.append(_content(piece))
        elif match["name"]:
            name = piece.strip("`")
            parts.append(name if re.fullmatch(r"[\w$]+", name) else piece)
        else:
            parts.append(" " if match["space"] else piece)
    text = re.sub(r" ++", " ", "".join(parts))
    text = re.sub(r" ?([,=<>!]+) ?", r"\1", text)
    text = re.sub(r"(?<=[(]) | (?=[)])", "", text)
    return Statement(text.strip("; "), tuple(literals))


def split_list(text: str) -> list[str]:
    """The parts between the commas that stand in no parentheses."""
    parts, depth = [""], 0
    for piece in re.findall(r"[(),]|[^(),]+", text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _content(literal: str) -> str:
    quote = literal[0]
    inner = literal[1:].removesuffix(quote).replace(quote * 2, quote)
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), inner, flags=re.DOTALL)
