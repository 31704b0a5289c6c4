"""Clients of a proxy that lends sessions, one after the other."""

import itertools
import time
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection

from kit.running_proxy import RunningProxy
from servers.real_server import RealServer

_STRANGER = itertools.count()
_USUAL = {"database": "shop", "read_timeout": 20, "autocommit": None}


@dataclass
class Ground:
    """A server, and the proxy in front of it."""

    proxy: RunningProxy
    server: RealServer
    program: str = "pymysql"
    """What its clients say that they are: those of another program are of another kind."""

    def connect(self, **options: Any) -> "Connection[Any]":
        return self.proxy.connect(**{**_USUAL, "program_name": self.program, **options})

    def stranger(self, **options: Any) -> "Connection[Any]":
        """A client of another kind than all before: its session is new."""
        return self.connect(program_name=f"stranger {next(_STRANGER)}", **options)

    def leave(self, client: "Connection[Any]") -> None:
        """Until the proxy has done with its session."""
        position = self.proxy.log_position()
        client.close()
        deadline = time.monotonic() + 10
        while not self.proxy.events("session ended", since=position):
            assert time.monotonic() < deadline, self.proxy.log_text()[-2000:]
            time.sleep(0.002)


def value(client: "Connection[Any]", statement: str) -> Any:
    """The first value of the first row; None without rows; an error's code."""
    try:
        with client.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
    except pymysql.MySQLError as exc:
        return f"ERR {exc.args[0]}"
    return row[0] if row else None


def rows(client: "Connection[Any]", statement: str) -> list[tuple[Any, ...]]:
    with client.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def session_id(client: "Connection[Any]") -> int:
    """RDS's own."""
    return int(value(client, "SELECT CONNECTION_ID()"))
