"""aiomysql and asyncmy: the same steps, awaited."""

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from conformance.drivers.dbapi import DBAPI, unverified
from conformance.drivers.loop import Login, Result
from conformance.drivers.values import arguments, result_set

MULTI_STATEMENTS = 1 << 16


class Asynchronous(DBAPI):
    """One event loop per driver; each action runs to its end in it."""

    def __init__(self, given: Any) -> None:
        super().__init__(given)
        self.loop = asyncio.new_event_loop()

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 90))

    def options(self, login: Login) -> dict[str, Any]:
        options = super().options(login)
        if database := options.pop("database", None):
            options["db"] = database
        return {**options, "autocommit": True, "client_flag": MULTI_STATEMENTS}

    def tls(self, login: Login) -> dict[str, Any]:
        return {"ssl": unverified()} if login["tls"] else {}

    def open(self, login: Login) -> None:
        async def connect() -> Any:
            return await self.module.connect(**self.options(login))

        self.connection = self.wait(connect())

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.wait(self.connection.ensure_closed())
        with contextlib.suppress(Exception):
            self.connection.close()

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        return list(self.wait(self._query(sql, args)))

    async def _query(self, sql: str, args: list[Any]) -> list[Result]:
        async with self.connection.cursor() as cursor:
            given = arguments(args) or None
            await cursor.execute(sql.replace("%", "%%").replace("?", "%s") if args else sql, given)
            return await self._results(cursor)

    async def _results(self, cursor: Any) -> list[Result]:
        found: list[Result] = []
        while True:
            columns = [column[0] for column in cursor.description] if cursor.description else None
            types = [[column[1], *column[3:7]] for column in cursor.description] if cursor.description else None
            rows = await cursor.fetchall() if columns else []
            found.append(result_set(columns, rows, types=types, affected=cursor.rowcount, id=cursor.lastrowid))
            if not await cursor.nextset():
                return found

    def call(self, procedure: str, args: list[Any]) -> list[Result]:
        async def work() -> list[Result]:
            async with self.connection.cursor() as cursor:
                await cursor.callproc(procedure, arguments(args))
                return await self._results(cursor)

        return list(self.wait(work()))

    def stream(self, sql: str) -> list[Result]:
        cursors = importlib.import_module(f"{self.module_name}.cursors")

        async def work() -> int:
            total = 0
            async with self.connection.cursor(cursors.SSCursor) as cursor:
                await cursor.execute(sql)
                while row := await cursor.fetchone():
                    total += len(row[1])
            return total

        return [result_set(["all"], [(self.wait(work()),)])]

    def begin(self) -> None:
        self.wait(self.connection.begin())

    def commit(self) -> None:
        self.wait(self.connection.commit())

    def rollback(self) -> None:
        self.wait(self.connection.rollback())

    def results(self, cursor: Any) -> Iterator[Result]:
        raise NotImplementedError

    def canceller(self) -> Callable[[], None]:
        return super().canceller()


class AioMySQL(Asynchronous):
    name = "aiomysql"
    module_name = "aiomysql"


class AsyncMy(Asynchronous):
    name = "asyncmy"
    module_name = "asyncmy"

    def prepared(self, sql: str, args: list[Any]) -> list[Result]:
        async def work() -> Result:
            statement = await self.connection.prepare(sql)
            try:
                found = await statement.execute(arguments(args))
            finally:
                await statement.close()
            columns = [column[0] for column in found.description] if found.description else None
            return result_set(columns, found.rows or [], affected=found.affected_rows, id=found.insert_id)

        return [self.wait(work())]
