"""A session on the embedded RDS, as mysql-mimic's `BaseSession`: SQL in, canned results out, SLEEP and KILL."""

import asyncio
import re
from collections.abc import Callable

from mysql_mimic.session import BaseSession

from . import catalog, statements, tokens
from .data_types import Result, SQLError, Table, Value, column
from .functions import Facts
from .tokens import Cursor, Token, Type

IN_TRANS, AUTOCOMMIT = 0x0001, 0x0002

# A long literal is counted without being tokenized, so that tests can send big commands.
_LENGTH = re.compile(r"\s*SELECT\s+LENGTH\(\s*'([^'\\]*)'\s*\)\s*;?\s*", re.IGNORECASE)

Kill = Callable[[int, str, bool], None]


class DemoSession(BaseSession):  # type: ignore[misc]  # mysql-mimic has no types
    """`kill(connection id, user, query only)` ends another session's query or connection; it raises SQLError."""

    def __init__(self, facts: Facts, kill: Kill, *, cipher: str, tls_version: str) -> None:
        self.closing = False
        self._facts = facts
        self._kill = kill
        self._cipher = cipher
        self._tls_version = tls_version
        self._interrupted = asyncio.Event()
        self._asleep = False

    @property
    def user(self) -> str:
        return self._facts.user

    @property
    def status_flags(self) -> int:
        autocommit = AUTOCOMMIT if self._facts.variables.get("autocommit") else 0
        return autocommit | (IN_TRANS if self._facts.in_transaction else 0)

    def split(self, sql: str) -> list[list[Token]]:
        """The statements of a command; at least one. Raises SQLError."""
        if len(sql) > tokens.MAX_SQL and _LENGTH.fullmatch(sql):
            return [[]]
        found = tokens.statements(tokens.tokenize(sql))
        if not found:
            raise SQLError(1065, "42000", "Query was empty")
        return found

    def count_parameters(self, sql: str) -> int:
        """Of a statement to prepare."""
        found = self.split(sql)
        if len(found) > 1:
            raise SQLError(1064, "42000", "Only one statement can be prepared at a time")
        return sum(token.type is Type.PARAMETER for token in found[0])

    async def run(self, sql: str, statement: list[Token], parameters: tuple[Value, ...] = ()) -> Result:
        """Answer one statement of `sql`; raises SQLError."""
        if not statement:
            return _length(sql)
        cursor = Cursor(sql, statement, parameters)
        if cursor.accept("KILL"):
            self._kill_statement(cursor)
            return statements.OK
        result = statements.answer(cursor, self._facts, self._cipher, self._tls_version)
        if not result.sleep or not await self._sleep(result.sleep):
            return result
        # MySQL's SLEEP returns 1 when it was interrupted, MariaDB's fails.
        if self._facts.profile.is_mariadb or self.closing or len(result.columns) != 1:
            raise SQLError(1317, "70100", "Query execution was interrupted")
        return Result(result.columns, [(1,)])

    def table(self, name: str) -> Table:
        """A table of the current schema."""
        return catalog.find_table("", name, self._facts)

    async def use(self, database: str) -> None:
        self._facts.database = catalog.check_schema(database)

    async def reset(self) -> None:
        """COM_RESET_CONNECTION."""
        self._facts.variables.reset()
        self._facts.user_variables.clear()
        self._facts.in_transaction = False

    def kill(self, connection_id: int, *, query_only: bool) -> None:
        """KILL a session of the same user; raises SQLError, always if it is this one."""
        if connection_id == self._facts.connection_id:
            self.closing = not query_only
            raise SQLError(1317, "70100", "Query execution was interrupted")
        self._kill(connection_id, self._facts.user, query_only)

    def interrupt(self) -> bool:
        """End the SLEEP under way; False if there is none."""
        if self._asleep:
            self._interrupted.set()
        return self._asleep

    def _kill_statement(self, cursor: Cursor) -> None:
        cursor.accept_any("HARD", "SOFT")
        query_only = cursor.accept_any("CONNECTION", "QUERY") == "QUERY"
        number = cursor.next().value
        cursor.expect_end()
        if not isinstance(number, int):
            raise SQLError(1094, "HY000", f"Unknown thread id: {str(number)[:20]}")
        self.kill(number, query_only=query_only)

    async def _sleep(self, seconds: float) -> bool:
        """Whether it was interrupted."""
        self._asleep = True
        self._interrupted.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._interrupted.wait()
        except TimeoutError:
            return False
        finally:
            self._asleep = False
        return True


def _length(sql: str) -> Result:
    match = _LENGTH.fullmatch(sql)
    if match is None:
        raise AssertionError("split() said that this is one of those")
    return Result((column("LENGTH('...')", "bigint"),), [(len(match[1].encode()),)])
