"""Reads the parameters of COM_STMT_EXECUTE and the query attributes of COM_QUERY. Bytes in, values out.

mysql-mimic puts parameters into the SQL as text, unescaped, and with a pattern whose time grows with the square of
their length; here they stay values.
"""

import datetime
import struct
from dataclasses import dataclass

from .data_types import Value
from .login import QUERY_ATTRIBUTES
from .reader import Malformed, Reader

MAX_PARAMETERS = 65_535

_COUNT_AVAILABLE = 0x08  # PARAMETER_COUNT_AVAILABLE of enum_cursor_type
_TEXTS = frozenset({0x00, 0x0F, 0x10, *range(0xF5, 0x100)})
_NUMBERS = {0x01: "b", 0x02: "h", 0x0D: "h", 0x03: "i", 0x09: "i", 0x08: "q", 0x04: "f", 0x05: "d"}
_NULL = 0x06
_DATES = frozenset({0x07, 0x0A, 0x0C})
_TIME = 0x0B


@dataclass(slots=True)
class Statement:
    """A prepared statement; `types` are kept, because a client sends them only when they change."""

    sql: str
    count: int
    types: tuple[int, ...] = ()


def read_query(payload: bytes, capabilities: int) -> bytes:
    """The SQL of a COM_QUERY (without its first byte); query attributes are read and dropped."""
    reader = Reader(payload, 0)
    if capabilities & QUERY_ATTRIBUTES:
        count = _count(reader)
        reader.lenenc_int("parameter_set_count")
        if count:
            _parameters(reader, count, (), named=True)
    return reader.rest()


def statement_id(payload: bytes) -> int:
    """Of any COM_STMT_... (without its first byte)."""
    return int.from_bytes(Reader(payload, 0).take(4, "statement_id"), "little")


def read_execute(payload: bytes, statement: Statement, capabilities: int) -> tuple[Value, ...]:
    """The values of a COM_STMT_EXECUTE (without its first byte)."""
    reader = Reader(payload, 4)
    flags = reader.take(5, "flags")[0]
    named = bool(capabilities & QUERY_ATTRIBUTES)
    if not statement.count and not (named and flags & _COUNT_AVAILABLE):
        return ()
    count = _count(reader) if named else statement.count
    if count < statement.count:
        raise Malformed(f"parameter_count: {count}, the statement has {statement.count}")
    types, values = _parameters(reader, count, statement.types, named=named)
    statement.types = types
    return values[: statement.count]  # what follows are query attributes


def _count(reader: Reader) -> int:
    count = reader.lenenc_int("parameter_count")
    if count > MAX_PARAMETERS:
        raise Malformed(f"parameter_count: {count}, {MAX_PARAMETERS} are allowed")
    return count


def _parameters(
    reader: Reader, count: int, types: tuple[int, ...], *, named: bool
) -> tuple[tuple[int, ...], tuple[Value, ...]]:
    if not count:
        return types, ()
    nulls = reader.take((count + 7) // 8, "null_bitmap")
    if reader.take(1, "new_params_bind_flag")[0]:
        found = []
        for _ in range(count):
            found.append(int.from_bytes(reader.take(2, "parameter_type"), "little"))
            if named:
                reader.lenenc_string("parameter_name")
        types = tuple(found)
    if len(types) != count:
        raise Malformed("new_params_bind_flag: not set, and the types were never sent")
    is_null = [bool(nulls[index // 8] & 1 << index % 8) for index in range(count)]
    values = [None if null else _value(reader, type_) for null, type_ in zip(is_null, types, strict=True)]
    return types, tuple(values)


def _value(reader: Reader, type_and_flags: int) -> Value:
    type_, unsigned = type_and_flags & 0xFF, bool(type_and_flags & 0x8000)
    if type_ in _TEXTS:
        return reader.lenenc_string("parameter").decode("utf-8", "replace")
    if type_ in _NUMBERS:
        code = _NUMBERS[type_]
        code = code.upper() if unsigned and code not in "fd" else code
        number: int | float = struct.unpack("<" + code, reader.take(struct.calcsize("<" + code), "parameter"))[0]
        return number
    if type_ == _NULL:
        return None
    if type_ in _DATES:
        return _date(reader.take(reader.take(1, "parameter length")[0], "parameter"))
    if type_ == _TIME:
        reader.take(reader.take(1, "parameter length")[0], "parameter")
        return None  # the demo has no TIME column that it could be compared with
    raise Malformed(f"parameter_type: {type_} is not known")


def _date(data: bytes) -> Value:
    if len(data) not in (4, 7, 11):
        return None  # 0000-00-00
    padded = data.ljust(11, b"\x00")
    year, month, day, hour, minute, second, micros = struct.unpack("<HBBBBBI", padded)
    try:
        return datetime.datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001 - has no time zone
    except ValueError as exc:
        raise Malformed("parameter: not a date") from exc
