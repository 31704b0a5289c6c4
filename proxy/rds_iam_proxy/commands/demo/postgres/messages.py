"""The messages of a session that only its server sends: rows and what is around them.

PostgreSQL manual: Message Formats.
"""

import struct
from collections.abc import Sequence

from pg_wire.fields import int32, string
from pg_wire.messages import framed

from ..tables import Table, Value

TEXT, INT4 = 25, 23
"""Object ids of types."""

_INT = ("int", "int unsigned", "bigint")
_INT4 = struct.Struct("!i")

PARSE_COMPLETE = framed(ord("1"), b"")
BIND_COMPLETE = framed(ord("2"), b"")
CLOSE_COMPLETE = framed(ord("3"), b"")
NO_DATA = framed(ord("n"), b"")
EMPTY_QUERY = framed(ord("I"), b"")


def int16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def types_of(table: Table) -> tuple[int, ...]:
    return tuple(INT4 if column.sql_type in _INT else TEXT for column in table.columns)


def row_description(table: Table, formats: Sequence[int]) -> bytes:
    """`formats`: 0 for text and 1 for binary, of each column."""
    parts = [int16(len(table.columns))]
    for column, kind, form in zip(table.columns, types_of(table), formats, strict=True):
        size = 4 if kind == INT4 else 0xFFFF
        parts.append(
            string(column.name.encode()) + int32(0) + int16(0) + int32(kind) + int16(size) + int32(0xFFFFFFFF)
            + int16(form)
        )  # fmt: skip
    return framed(ord("T"), b"".join(parts))


def data_rows(table: Table, formats: Sequence[int]) -> bytes:
    kinds = types_of(table)
    return b"".join(
        framed(ord("D"), int16(len(row)) + b"".join(map(_value, row, kinds, formats))) for row in table.rows
    )


def _value(value: Value, kind: int, form: int) -> bytes:
    if value is None:
        return int32(0xFFFFFFFF)
    data = _INT4.pack(value) if form and kind == INT4 and isinstance(value, int) else str(value).encode()
    return int32(len(data)) + data


def command_complete(tag: str) -> bytes:
    return framed(ord("C"), string(tag.encode()))


def parameter_description(count: int) -> bytes:
    return framed(ord("t"), int16(count) + int32(TEXT) * count)
