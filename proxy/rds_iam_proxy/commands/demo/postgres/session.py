"""One session on the embedded server: the simple and the extended protocol.

PostgreSQL manual: Message Flow, Simple Query and Extended Query.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pg_wire.constants import Kind, TransactionStatus
from pg_wire.errors import MalformedMessage
from pg_wire.fields import PayloadReader
from pg_wire.framing import Form, Frames
from pg_wire.messages import ErrorResponse, ReadyForQuery, Report

from ....net.stream import Stream
from ....postgres.events import next_event
from . import messages
from .statements import Answer, Facts, Refused, answer

MAX_NAMED = 100
"""Prepared statements and portals of one session."""

_PARAMETER = re.compile(r"\$(\d{1,4})")
_NULL = 0xFFFFFFFF
_INTEGERS = frozenset((20, 21, 23))  # int8, int2, int4
_TEXTS = frozenset((0, 25, 705, 1043))  # not said, text, unknown, varchar


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement, and of what types the client says that its values are: object ids, as far as it does."""

    text: str
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Portal:
    """A statement with its values, and how its rows are to be written."""

    text: str
    formats: tuple[int, ...] = ()

    def formats_for(self, columns: int) -> tuple[int, ...]:
        """None given: all text. One given: of all."""
        if len(self.formats) == columns:
            return self.formats
        return (self.formats[0] if self.formats else 0,) * columns


class DemoSession:
    """`run` it until the client leaves. Raises RemoteProtocolError, OSError."""

    def __init__(self, stream: Stream, facts: Facts) -> None:
        self._stream = stream
        self._facts = facts
        self._canceled = asyncio.Event()
        self._statements: dict[bytes, Prepared] = {}
        self._portals: dict[bytes, Portal] = {}
        self._skips_to_sync = False

    def cancel(self) -> None:
        """End the pg_sleep under way, if there is one."""
        self._canceled.set()

    async def run(self) -> None:
        frames = Frames(Form.MESSAGE)
        while True:
            frame = await next_event(self._stream, frames)
            if frame.kind == Kind.TERMINATE:
                return
            if frame.kind == Kind.QUERY:
                await self._query(PayloadReader(frame.payload, "Query").string("query").decode("utf-8", "replace"))
            elif frame.kind == Kind.SYNC:
                self._skips_to_sync = False
                await self._ready()
            elif not self._skips_to_sync:
                await self._extended(frame.kind, PayloadReader(frame.payload, "extended query"))

    async def _query(self, text: str) -> None:
        try:
            for part in [part for part in text.split(";") if part.strip()] or [text]:
                await self._stream.write(await self._answered(Portal(part), described=True))
        except Refused as exc:
            await self._refuse(exc)
        await self._ready()

    async def _extended(self, kind: int, reader: PayloadReader) -> None:
        steps = {
            Kind.PARSE: self._parse,
            Kind.BIND: self._bind,
            Kind.DESCRIBE: self._describe,
            Kind.EXECUTE: self._execute,
            Kind.CLOSE: self._close,
            Kind.FLUSH: self._flush,
        }
        step = steps.get(kind)
        try:
            if step is None:
                raise Refused("0A000", f"the demo's embedded server knows no message of type {kind}")
            await self._stream.write(await step(reader))
        except Refused as exc:
            self._skips_to_sync = True
            await self._refuse(exc)

    async def _parse(self, reader: PayloadReader) -> bytes:
        name, text = reader.string("name"), reader.string("query").decode("utf-8", "replace")
        if len(self._statements) >= MAX_NAMED and name not in self._statements:
            raise Refused("53000", f"a session of the demo has at most {MAX_NAMED} prepared statements")
        self._statements[name] = Prepared(text, tuple(reader.int32("type") for _ in range(_int16(reader))))
        return messages.PARSE_COMPLETE

    async def _bind(self, reader: PayloadReader) -> bytes:
        name, prepared = reader.string("portal"), self._statement(reader.string("statement"))
        forms = [_int16(reader) for _ in range(_int16(reader))]
        values = [_read_value(reader) for _ in range(_int16(reader))]
        literals = [
            _literal(value, kind, binary=bool(form))
            for value, kind, form in zip(
                values,
                _spread(prepared.types, len(values), ()),
                _spread(tuple(forms), len(values), forms[:1]),
                strict=True,
            )
        ]
        formats = tuple(_int16(reader) for _ in range(_int16(reader)))
        if len(self._portals) >= MAX_NAMED and name not in self._portals:
            raise Refused("53000", f"a session of the demo has at most {MAX_NAMED} portals")
        self._portals[name] = Portal(_PARAMETER.sub(lambda found: _at(literals, int(found[1])), prepared.text), formats)
        return messages.BIND_COMPLETE

    async def _describe(self, reader: PayloadReader) -> bytes:
        kind, name = reader.byten(1, "kind"), reader.string("name")
        if kind == b"P":
            return self._described(self._portal(name))
        text = self._statement(name).text
        count = max((int(found) for found in _PARAMETER.findall(text)), default=0)
        return messages.parameter_description(count) + self._described(Portal(_PARAMETER.sub("'0'", text)))

    async def _execute(self, reader: PayloadReader) -> bytes:
        return await self._answered(self._portal(reader.string("portal")), described=False)

    async def _close(self, reader: PayloadReader) -> bytes:
        kind, name = reader.byten(1, "kind"), reader.string("name")
        if kind == b"S":
            self._statements.pop(name, None)
        else:
            self._portals.pop(name, None)
        return messages.CLOSE_COMPLETE

    async def _flush(self, reader: PayloadReader) -> bytes:
        return b""  # nothing is held back

    def _statement(self, name: bytes) -> Prepared:
        if name not in self._statements:
            raise Refused("26000", "this prepared statement does not exist")
        return self._statements[name]

    def _portal(self, name: bytes) -> Portal:
        if name not in self._portals:
            raise Refused("34000", "this portal does not exist")
        return self._portals[name]

    def _described(self, portal: Portal) -> bytes:
        before = self._facts.status
        try:
            found = answer(portal.text, self._facts)
        finally:
            self._facts.status = before
        if found is None or found.table is None:
            return messages.NO_DATA
        return messages.row_description(found.table, portal.formats_for(len(found.table.columns)))

    async def _answered(self, portal: Portal, *, described: bool) -> bytes:
        found = answer(portal.text, self._facts)
        if found is None:
            return messages.EMPTY_QUERY
        await self._sleep(found)
        if found.table is None:
            return messages.command_complete(found.tag)
        formats = portal.formats_for(len(found.table.columns))
        head = messages.row_description(found.table, formats) if described else b""
        return head + messages.data_rows(found.table, formats) + messages.command_complete(found.tag)

    async def _sleep(self, found: Answer) -> None:
        if not found.seconds:
            return
        self._canceled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(found.seconds):
                await self._canceled.wait()
        if self._canceled.is_set():
            raise Refused("57014", "canceling statement due to user request")

    async def _refuse(self, refused: Refused) -> None:
        if self._facts.status is TransactionStatus.IN_TRANSACTION:
            self._facts.status = TransactionStatus.FAILED_TRANSACTION
        report = Report("ERROR", refused.sqlstate, str(refused).encode())
        await self._stream.write(ErrorResponse(report).encode())

    async def _ready(self) -> None:
        await self._stream.write(ReadyForQuery(self._facts.status).encode())


def _int16(reader: PayloadReader) -> int:
    return int.from_bytes(reader.byten(2, "Int16"), "big")


def _read_value(reader: PayloadReader) -> bytes | None:
    length = reader.int32("length")
    return None if length == _NULL else reader.byten(length, "value")


def _spread(given: tuple[int, ...], count: int, one: Sequence[int]) -> tuple[int, ...]:
    """As many as there are values: those that were given, or the one that stands for all, or 0."""
    if len(given) == 1 and one:
        return given * count
    return (*given, *(0,) * (count - len(given)))


def _literal(value: bytes | None, kind: int, *, binary: bool) -> str:
    """As it would stand in the statement. Raises Refused."""
    if value is None:
        return "NULL"
    if binary and kind in _INTEGERS:
        return str(int.from_bytes(value, "big", signed=True))
    if binary and kind not in _TEXTS:
        raise Refused("0A000", f"the demo's embedded server takes no binary values of type {kind}")
    text = value.decode("utf-8", "replace")
    return text if re.fullmatch(r"-?\d{1,9}", text) else "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _at(literals: list[str], number: int) -> str:
    if not 1 <= number <= len(literals):
        raise MalformedMessage(f"Bind: no value for ${number}")
    return literals[number - 1]
