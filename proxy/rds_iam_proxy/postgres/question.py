"""One statement with one value, asked in a session at RDS. For what looks after the proxy, not for clients."""

from pg_wire.constants import Kind
from pg_wire.errors import MalformedMessage
from pg_wire.fields import PayloadReader, string
from pg_wire.framing import Form, Frames
from pg_wire.messages import ErrorResponse, framed

from ..net.stream import Stream
from .events import next_event

_NULL = 0xFFFFFFFF


class Failed(Exception):
    """With the server's own words."""


async def ask(stream: Stream, statement: str) -> bytes:
    """The first value of the first row; empty if there is none. Raises Failed, RemoteProtocolError, OSError.

    PostgreSQL manual: Message Flow, Simple Query.
    """
    await stream.write(framed(Kind.QUERY, string(statement.encode())))
    frames, value = Frames(Form.MESSAGE), b""
    while True:
        frame = await next_event(stream, frames)
        if frame.kind == Kind.ERROR_RESPONSE:
            raise Failed(ErrorResponse.decode(frame.payload).report.text.decode("utf-8", "replace"))
        if frame.kind == Kind.DATA_ROW:
            value = _first_value(frame.payload)
        if frame.kind == Kind.READY_FOR_QUERY:
            return value


def _first_value(row: bytes) -> bytes:
    reader = PayloadReader(row, "DataRow")
    if int.from_bytes(reader.byten(2, "count"), "big") < 1:
        raise MalformedMessage("DataRow.count: no column")
    length = reader.int32("length")
    return b"" if length == _NULL else reader.byten(length, "value")
