"""Values as the Python drivers read and print them."""

import datetime
import decimal
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

LONG = 1000
BIG_UNIT = "0123456789abcdef"


def argument(kind: str, text: str | None) -> Any:
    """The value that a program would pass."""
    if text is None:
        return None
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "decimal":
            return decimal.Decimal(text)
        case "bytes":
            return bytes.fromhex(text)
        case "date":
            return datetime.date.fromisoformat(text)
        case "datetime":
            return datetime.datetime.fromisoformat(text)
        case "time":
            moment = datetime.time.fromisoformat(text)
            return datetime.timedelta(
                hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
            )
        case "big":
            return BIG_UNIT * (int(text) // len(BIG_UNIT))
    return text


def arguments(args: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(argument(kind, text) for kind, text in args)


def shown(value: Any) -> str | None:
    """A value of a result as text: the same for the same value, and short."""
    match value:
        case None:
            return None
        case bytes() | bytearray() | memoryview():
            raw = bytes(value)
            return (
                f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}" if len(raw) > LONG else f"0x{raw.hex()}"
            )
        case str():
            long = len(value) > LONG
            return f"{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()}" if long else value
        case set() | frozenset():
            return ",".join(sorted(map(str, value)))
    return str(value)


def result_set(columns: Sequence[str] | None, rows: Iterable[Sequence[Any]], **facts: Any) -> dict[str, Any]:
    """One result: `columns` is None where the statement has none, `facts` are what else the client tells of it."""
    return {
        "columns": None if columns is None else [shown(name) for name in columns],
        "rows": [[shown(value) for value in row] for row in rows],
        **facts,
    }
