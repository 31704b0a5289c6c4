"""A session on the embedded RDS, as mysql-mimic's `BaseSession`: SQL in, canned rows out, SLEEP and KILL."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

from mysql_mimic.results import ResultColumn, ResultSet
from mysql_mimic.session import BaseSession
from mysql_mimic.types import ColumnType

from mysql_wire.constants import Status

from . import catalog, variables
from .answers import answer
from .catalog import Facts
from .sql import normalise
from .tables import Column, Table

_TYPES = {"int": ColumnType.LONG, "bigint": ColumnType.LONGLONG, "decimal": ColumnType.NEWDECIMAL}

Kill = Callable[[int, str, bool], None]


class DemoSession(BaseSession):  # type: ignore[misc]  # mysql-mimic has no types
    """`kill(connection id, user, query only)` ends another session's query or connection; it raises SQLError."""

    def __init__(self, facts: Facts, kill: Kill) -> None:
        self.facts = facts
        self._kill = kill
        self._interrupted = asyncio.Event()

    @property
    def status(self) -> Status:
        autocommit = Status.AUTOCOMMIT if self.facts.variables["autocommit"] == "ON" else Status(0)
        return autocommit | (Status.IN_TRANS if self.facts.in_transaction else Status(0))

    async def handle_query(self, sql: str, attrs: object) -> ResultSet | None:
        """Raises SQLError."""
        statement = normalise(sql)
        if match := re.fullmatch(r"(?:SELECT|DO) (SLEEP\((\d{1,4}(?:\.\d*)?)\))", statement.text, re.IGNORECASE):
            return await self._sleep(match[1], float(match[2]))
        if match := re.fullmatch(r"KILL (?:HARD |SOFT )?(?:CONNECTION |(QUERY ))?(\d{1,18})", statement.text, re.I):
            self._kill(int(match[2]), self.facts.user, bool(match[1]))
            return None
        table = answer(statement, self.facts)
        return None if table is None else _result(table)

    async def use(self, database: str) -> None:
        self.facts.database = catalog.check_schema(database)

    async def reset(self) -> None:
        """COM_RESET_CONNECTION."""
        self.facts.variables = variables.defaults(self.facts.variables["version"])
        self.facts.in_transaction = False

    def columns(self, table: str) -> list[ResultColumn]:
        """Of a table of the current schema. Raises SQLError."""
        return list(_result(catalog.find_table(None, table, self.facts)).columns)

    def interrupt(self) -> None:
        """End the SLEEP under way, if there is one."""
        self._interrupted.set()

    async def _sleep(self, label: str, seconds: float) -> ResultSet:
        self._interrupted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._interrupted.wait()
        return _result(Table((Column(label, "bigint"),), ((int(self._interrupted.is_set()),),)))


def _result(table: Table) -> ResultSet:
    types = (_TYPES.get(column.data_type, ColumnType.VAR_STRING) for column in table.columns)
    return ResultSet(table.rows, [ResultColumn(c.name, type_) for c, type_ in zip(table.columns, types, strict=True)])
