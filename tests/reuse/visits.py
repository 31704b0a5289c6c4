"""Visits: a client logs in, says who it is, asks, and leaves in one of many ways. By PyMySQL, mysqli, PDO, the CLI."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import pymysql

from conformance.places import php
from kit.running_proxy import PASSWORD, USER
from servers.trees import cli_command

WHO_WAS_HERE = "SELECT CONVERT(CONCAT(IFNULL(@tag, '-'), '/', CONNECTION_ID()) USING utf8mb4)"
UNREAD = "SELECT REPEAT('x', 1000), 'of another' FROM shop.customers"


class Leave(StrEnum):
    QUIT = "quit"
    UNREAD = "unread"
    """With an answer that it has not read."""
    DROP = "drop"
    """Without a word."""
    INTERRUPT = "interrupt"
    """Ctrl-C: a second login, and its KILL QUERY. Of the CLI only."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one client does. After its first error it leaves."""

    number: int
    database: str | None
    last: tuple[str, ...] = ()
    """Statements before it leaves."""
    leave: Leave = Leave.QUIT

    @property
    def answer(self) -> str:
        return f"client{self.number}-{self.number}"

    @property
    def statements(self) -> tuple[str, ...]:
        ask = f"SELECT CONCAT(@tag, '-', {self.number})"
        return WHO_WAS_HERE, f"SET @tag = 'client{self.number}'", ask, ask, ask, *self.last


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw: the first value of each answer that has rows, and the code of the error that ended it."""

    values: list[str]
    error: int = 0


class Client(Protocol):
    """A program that makes visits, one after the other."""

    def visit(self, port: int, visit: Visit) -> Seen: ...


class PyMySQL:
    def visit(self, port: int, visit: Visit) -> Seen:
        values: list[str] = []
        client: Any = pymysql.Connection(
            host="127.0.0.1",
            port=port,
            user=USER,
            password=PASSWORD,
            database=visit.database,
            ssl_disabled=True,
            read_timeout=60,
            connect_timeout=60,
            defer_connect=True,
        )
        try:
            client.connect()
            for statement in visit.statements:
                self._ask(client, statement, values)
            self._leave(client, visit.leave)
        except pymysql.MySQLError as exc:
            client._force_close()
            return Seen(values, exc.args[0])
        return Seen(values)

    def _ask(self, client: Any, statement: str, values: list[str]) -> None:
        with client.cursor() as cursor:
            cursor.execute(statement)
            if cursor.description:
                values.append(str(cursor.fetchone()[0]))

    def _leave(self, client: Any, leave: Leave) -> None:
        if leave is Leave.UNREAD:
            client._execute_command(0x03, UNREAD)
        if leave is Leave.DROP:
            client._force_close()
        else:
            client.close()


class PHP:
    """mysqli or PDO, in one process. mysqli's persistent connections come back with COM_CHANGE_USER."""

    def __init__(self, client: str, process: "subprocess.Popen[str]") -> None:
        self._client = client
        self._process = process

    def visit(self, port: int, visit: Visit) -> Seen:
        order = {
            **asdict(visit),
            "client": self._client,
            "persistent": visit.number % 3 == 0 and not visit.last,  # what it left would last until its next visit
            "port": port,
            "user": USER,
            "password": PASSWORD,
            "statements": visit.statements,
            "unread": UNREAD,
        }
        told, said = self._process.stdin, self._process.stdout
        assert told is not None
        assert said is not None
        told.write(json.dumps(order) + "\n")
        told.flush()
        return Seen(**json.loads(said.readline()))


@contextlib.contextmanager
def started_php(client: str) -> Iterator[PHP]:
    """Raises Unavailable."""
    command = [*php(), str(Path(__file__).with_suffix(".php"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield PHP(client, process)


class CLI:
    """The release's own, a process for each visit. Raises Unavailable."""

    def __init__(self, release: str) -> None:
        command = cli_command(release)
        plain = "--ssl-mode=DISABLED" if command[-1] == "mysql" else "--skip-ssl"
        self._command = [*command, "--no-defaults", "-h127.0.0.1", f"-u{USER}", plain, "-BNn"]

    def visit(self, port: int, visit: Visit) -> Seen:
        ends_by_signal = visit.leave in (Leave.DROP, Leave.INTERRUPT)
        statements = [*visit.statements, *(["SELECT SLEEP(2)"] if ends_by_signal else [])]
        database = [f"-D{visit.database}"] if visit.database else []
        command = [*self._command, f"-P{port}", *database, "-e", "; ".join(statements)]
        environment = {**os.environ, "MYSQL_PWD": PASSWORD}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            values: list[str] = []
            if ends_by_signal:
                while len(values) < 4 and (line := process.stdout.readline()):
                    values.append(line.rstrip("\n"))
                process.send_signal(signal.SIGKILL if visit.leave is Leave.DROP else signal.SIGINT)
            out, err = process.communicate(timeout=60)
        code = re.search(r"^ERROR (\d+)", err, re.MULTILINE)
        rest = [] if ends_by_signal else out.splitlines()
        return Seen(values + rest, int(code[1]) if code else 0)
