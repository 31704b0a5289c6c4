"""Log lines: one event, one line, structured fields; text for people, JSON for machines. Decides no levels."""

import atexit
import json
import logging
import math
import sys
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

from .log_writer import LogWriter, writer_to

MAX_PRINTED = 64
"""Characters of a client's bytes that are shown."""

EXIT_SECONDS = 1.0
"""How long a process that ends waits for the reader of its last lines."""

QUOTED_LENGTH = 16
"""Characters in common with a secret from which on a text is taken for a quotation of it."""

UNTOLD_SECONDS = 60.0
"""How long what comes again and again is only counted, after the log has told of it."""

_MAX_FIELD = 2000
_FIELDS = "rds_iam_proxy_fields"
_OURS = "rds_iam_proxy"
# At DEBUG, botocore logs signatures and session tokens.
_KEPT_QUIET = ("boto3", "botocore", "urllib3")
_REASONS = ("text", "why", "fault", "error")
"""Fields that say what it is about: on a terminal right behind the event, as a sentence."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
_DIM = "2"


def escaped(text: str) -> str:
    """The text with all that could move a cursor, hide text or end a line written as an escape. Keeps backslashes."""
    return text if text.isprintable() else "".join(map(_escape, text))


def printable(raw: bytes | str) -> str:
    """Bytes from a client, fit for a log, a terminal or a page: escaped, and cut at 64 characters."""
    # No character of UTF-8 has more than 4 bytes, so this is enough of it to see that it must be cut.
    text = raw[: 4 * MAX_PRINTED + 4].decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    if len(text) <= MAX_PRINTED and text.isprintable() and "\\" not in text:  # nearly always
        return text
    # Backslashes too, so that what looks like an escape is one.
    return _cut(("\\\\" if char == "\\" else _escape(char) for char in text), MAX_PRINTED)


def repeats(text: bytes, secret: bytes) -> bool:
    """Whether a text of somebody else's quotes a secret, or part of it: a server may repeat what it was sent.

    In time that grows with their sum, not their product.
    """
    length = min(QUOTED_LENGTH, len(secret))
    parts = {secret[i : i + length] for i in range(len(secret) - length + 1)}
    return bool(secret) and any(text[i : i + length] in parts for i in range(len(text) - length + 1))


def _cut(pieces: Iterable[str], length: int) -> str:
    """As many of the pieces, each whole, as fit; an ellipsis where some did not."""
    shown: list[str] = []
    room = length
    for piece in pieces:
        room -= len(piece)
        shown.append(piece)
        if room < 0:
            while room < 1:
                room += len(shown.pop())
            return "".join(shown) + "…"
    return "".join(shown)


def _escape(char: str) -> str:
    if char.isprintable():  # false for controls, bidi and other format characters, line separators, surrogates
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape keeps it
        return f"\\x{code - 0xDC00:02x}"
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def event(
    logger: logging.Logger,
    level: int,
    message: str,
    /,
    *,
    exception: BaseException | None = None,
    **fields: object,
) -> None:
    """Log one event. `message` is a constant; what varies goes into `fields`, those that are None are left out.

    Text from a client must have gone through `printable`. The traceback of `exception` is logged at debug level only.
    """
    if logger.isEnabledFor(level):
        exc_info = None if exception is None else (type(exception), exception, exception.__traceback__)
        logger.handle(_record(logger.name, level, message, fields, exc_info))


def _record(
    name: str, level: int, message: str, fields: Mapping[str, object], exc_info: _ExcInfo | None = None
) -> logging.LogRecord:
    """Not by Logger.log: that looks for the line of code in the stack, which nothing of ours shows."""
    record = logging.LogRecord(name, level, "", 0, message, None, exc_info)
    setattr(record, _FIELDS, fields)
    return record


class Seldom:
    """Of events that anybody may cause any number of times, the log tells one in UNTOLD_SECONDS. Times in seconds."""

    def __init__(self) -> None:
        self._told_at = -math.inf
        self._times = 0

    def times(self, now: float) -> int | None:
        """It came once more: how often since it was told of, if it is to be told now."""
        self._times += 1
        if now - self._told_at < UNTOLD_SECONDS:
            return None
        told, self._times, self._told_at = self._times, 0, now
        return told


def setup(
    format: Literal["text", "json"] | None = None,
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
    *,
    in_colour: bool = True,
) -> None:
    """Log to `stream` (default: stderr). No format: text on a terminal, JSON lines elsewhere. Text on a terminal is for
    the person in front of it: local time, colours if it `takes_colours`, the reason first.

    `level` is that of our own logger. Libraries get the same lines, from warnings up, whatever the level.
    """
    stream = sys.stderr if stream is None else stream
    if format is None:
        format = "text" if stream.isatty() else "json"
    ours = logging.getLogger(_OURS)
    ours.setLevel(level.upper())
    formatter: _Formatter = _JSONFormatter(ours) if format == "json" else _TextFormatter(ours)
    if format == "text" and stream.isatty():
        formatter = _TerminalFormatter(ours, in_colour=in_colour)
    root = logging.getLogger()
    handler = next((old for old in _handlers() if old.stream is stream), None) or _Handler(stream)
    handler.setFormatter(formatter)
    for old in _handlers():
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _KEPT_QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def say(text: str) -> None:
    """Lines for a person, between log lines and in their order. Never waits for the reader."""
    for handler in _handlers():
        handler.lines.put(text)


def flush(seconds: float = EXIT_SECONDS) -> bool:
    """Wait, at most so long, until all lines are written; a process that ends does so by itself."""
    return all([handler.lines.flush(seconds) for handler in _handlers()])


def dropped_lines() -> int:
    """Lines that were not written, because the reader had stopped and too many waited for it."""
    return sum(handler.lines.dropped for handler in _handlers())


atexit.register(flush)


def takes_colours(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Of a terminal, as https://no-color.org has it; Windows' old console shows the escapes themselves."""
    if "NO_COLOR" in environ or environ.get("TERM") == "dumb":
        return False
    return platform != "win32" or "WT_SESSION" in environ


def _handlers() -> "list[_Handler]":
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, _Handler)]


class _Handler(logging.Handler):
    """Formats in the thread that logs, so that nothing it is told can change, and never waits for the reader."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.lines = LogWriter(writer_to(stream), self._dropped)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written ends no session, and logging's own report would show the record's values."""

    def _dropped(self, count: int) -> str:
        fields = {"lines": count, "why": "whoever reads this log had stopped"}
        return self.format(_record(__name__, logging.WARNING, "log lines dropped", fields))


class _Formatter(logging.Formatter):
    def __init__(self, ours: logging.Logger) -> None:
        super().__init__()
        self._ours = ours

    def _time(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return time.replace("+00:00", "Z")

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        fields: Mapping[str, object] = getattr(record, _FIELDS, {})
        shown = {key: _value(value) for key, value in fields.items() if value is not None}
        if record.name.partition(".")[0] != _OURS:
            shown["logger"] = record.name
        if record.exc_info and record.exc_info[0]:
            shown.setdefault("error", _value(f"{record.exc_info[0].__name__}: {record.exc_info[1]}"))
            if self._ours.isEnabledFor(logging.DEBUG):
                text = "".join(traceback.format_exception(*record.exc_info))
                shown["traceback"] = [escaped(line) for line in text.splitlines()]
        return shown


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = escaped(record.getMessage())
        fields = (f" {key}={_quoted(value)}" for key, value in self._fields(record).items())
        return f"{self._time(record)} {record.levelname:<7} {message}{''.join(fields)}"


class _TerminalFormatter(_Formatter):
    """`14:03:07 login refused: Access denied …  user=app target=shop`."""

    def __init__(self, ours: logging.Logger, *, in_colour: bool) -> None:
        super().__init__(ours)
        self._in_colour = in_colour

    def format(self, record: logging.LogRecord) -> str:
        fields = self._fields(record)
        reason = next((str(fields.pop(key)) for key in _REASONS if key in fields), "")
        level = "" if self._in_colour or record.levelno < logging.WARNING else f"{record.levelname} "
        message = self._paint(level + escaped(record.getMessage()), _COLOURS.get(record.levelname, "1"))
        head = f"{self._paint(self._time(record), _DIM)} {message}"
        rest = " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())
        return head + (f": {reason}" if reason else "") + (f"  {self._paint(rest, _DIM)}" if rest else "")

    def _time(self, record: logging.LogRecord) -> str:
        return datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._in_colour else text


class _JSONFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        head = {"time": self._time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**head, **self._fields(record), **head}, ensure_ascii=True)


def _value(value: object) -> object:
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return round(value, 6)
    text = value if isinstance(value, str) else str(value)
    if len(text) <= _MAX_FIELD and text.isprintable():  # nearly always
        return text
    return _cut(map(_escape, text), _MAX_FIELD)


def _quoted(value: object) -> str:
    if isinstance(value, list):
        value = "\\n".join(value)
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if value and not set(value) & set(' "='):
        return value
    return '"' + value.replace('"', '\\"') + '"'
