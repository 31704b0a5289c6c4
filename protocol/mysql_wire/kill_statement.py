"""Finds the connection id in the text of a KILL statement. Each byte is passed a bounded number of times.

MySQL manual: KILL Statement; Comments. By hand, because a client chooses the text: a regular expression that may go
back takes for ever for a few dozen comments.
"""

_WHITE = b" \t\n\r\f\v"
_FIRST = frozenset(_WHITE + b"/-#Kk")
_KINDS: tuple[list[bytes], ...] = tuple(
    scope + what for scope in ([], [b"HARD"], [b"SOFT"]) for what in ([], [b"CONNECTION"], [b"QUERY"])
)
_MAX_DIGITS = 10


def may_be_kill(first: int) -> bool:
    """Whether a statement that begins with this byte can be a KILL: white space, a comment, the word."""
    return first in _FIRST


def connection_id(text: bytes) -> slice | None:
    """Where the id stands in `[comments] KILL [HARD | SOFT] [CONNECTION | QUERY] id [;]`; None for any other text."""
    words = text[_after_comments(text) :].upper().rstrip().removesuffix(b";").split()
    if len(words) < 2 or words[0] != b"KILL" or words[1:-1] not in _KINDS:
        return None
    digits = words[-1]
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return None
    start = text.rindex(digits)
    return slice(start, start + len(digits))


def _after_comments(text: bytes) -> int:
    """Where the first word begins. `/*!` and `/*M!` are no comments: the server runs what is in them."""
    position, end = 0, len(text)
    while position < end:
        if text[position] in _WHITE:
            position += 1
        elif text.startswith(b"/*", position) and not text.startswith((b"/*!", b"/*M!"), position):
            position = _behind(b"*/", text, position + 2)
        elif text.startswith(b"#", position) or _is_dashes(text, position):
            position = _behind(b"\n", text, position)
        else:
            break
    return position


def _is_dashes(text: bytes, position: int) -> bool:
    """Two dashes begin a comment only with white space behind them: `5--3` is 8."""
    return text.startswith(b"--", position) and text[position + 2 : position + 3].isspace()


def _behind(end: bytes, text: bytes, start: int) -> int:
    """Behind the next `end`, or behind everything where there is none."""
    found = text.find(end, start)
    return len(text) if found < 0 else found + len(end)
