"""The DB-API clients: PyMySQL, mysqlclient, mysql-connector-python; what they share, and each one's own ways."""

import contextlib
import importlib
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

from conformance.drivers.loop import Driver, Login, Result, Unsupported
from conformance.drivers.values import arguments, result_set

MAX_SIGNED = 2**63 - 1
MAX_PACKET = 64 * 1024 * 1024


def unverified() -> ssl.SSLContext:
    """TLS without a check of the certificate, which neither side can pass."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class DBAPI(Driver):
    """What PEP 249 gives, and the way PyMySQL's family does the rest."""

    module_name: ClassVar[str]
    ssl_option: ClassVar[Any] = None

    def __init__(self, given: Any) -> None:
        super().__init__(given)
        self.module: Any = importlib.import_module(self.module_name)
        self.connection: Any = None

    def options(self, login: Login) -> dict[str, Any]:
        options = {
            "host": login["host"],
            "port": login["port"],
            "user": login["user"],
            "password": login["password"],
            "charset": login.get("charset", "utf8mb4"),
            "local_infile": True,
        }
        return options | ({"database": login["database"]} if login["database"] else {}) | self.tls(login)

    def tls(self, login: Login) -> dict[str, Any]:
        return {"ssl": unverified()} if login["tls"] else {"ssl_disabled": True}

    def open(self, login: Login) -> None:
        self.connection = self.module.connect(**self.options(login))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.close()

    def run(self, cursor: Any, sql: str, args: list[Any]) -> None:
        cursor.execute(sql.replace("%", "%%").replace("?", "%s") if args else sql, arguments(args) or None)

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        with self.cursor() as cursor:
            self.run(cursor, sql, args)
            return list(self.results(cursor))

    @contextlib.contextmanager
    def cursor(self, **options: Any) -> Iterator[Any]:
        cursor = self.connection.cursor(**options)
        try:
            yield cursor
        finally:
            with contextlib.suppress(Exception):
                cursor.close()

    def results(self, cursor: Any) -> Iterator[Result]:
        while True:
            yield self.result(cursor)
            if not cursor.nextset():
                return

    def result(self, cursor: Any) -> Result:
        columns = [column[0] for column in cursor.description] if cursor.description else None
        types = [[column[1], *column[3:7]] for column in cursor.description] if cursor.description else None
        rows = cursor.fetchall() if columns else []
        facts = {"types": types, "affected": cursor.rowcount, "id": cursor.lastrowid}
        return result_set(columns, rows, **facts)

    def multi(self, sql: str) -> list[Result]:
        return self.query(sql, [])

    def call(self, procedure: str, args: list[Any]) -> list[Result]:
        with self.cursor() as cursor:
            cursor.callproc(procedure, arguments(args))
            return list(self.results(cursor))

    def begin(self) -> None:
        self.connection.begin()

    def commit(self) -> None:
        self.connection.commit()

    def rollback(self) -> None:
        self.connection.rollback()

    def own_id(self) -> int:
        """What the client takes for its connection id: the one of the greeting."""
        return int(self.connection.thread_id())

    def canceller(self) -> Callable[[], None]:
        number = self.own_id()

        def cancel() -> None:
            second = type(self)(self.given)
            second.open(self.login)
            second.query(f"KILL QUERY {number}", [])
            second.close()

        return cancel

    def info(self) -> Any:
        return self.connection.get_server_info()


class PyMySQL(DBAPI):
    name = "pymysql"
    module_name = "pymysql"

    def options(self, login: Login) -> dict[str, Any]:
        multi = importlib.import_module("pymysql.constants.CLIENT").MULTI_STATEMENTS
        return {**super().options(login), "max_allowed_packet": MAX_PACKET, "client_flag": multi, "autocommit": True}

    def stream(self, sql: str) -> list[Result]:
        with self.cursor(cursor=self.module.cursors.SSCursor) as cursor:
            cursor.execute(sql)
            return [result_set(["all"], [(sum(len(row[1]) for row in cursor),)])]


class MySQLClient(DBAPI):
    name = "mysqlclient"
    module_name = "MySQLdb"

    def options(self, login: Login) -> dict[str, Any]:
        return {**super().options(login), "autocommit": True}

    def tls(self, login: Login) -> dict[str, Any]:
        return {"ssl_mode": "REQUIRED" if login["tls"] else "DISABLED"}

    def result(self, cursor: Any) -> Result:
        return {**super().result(cursor), "info": self.connection.info(), "warnings": self.connection.warning_count()}

    def stream(self, sql: str) -> list[Result]:
        with self.cursor(cursorclass=importlib.import_module("MySQLdb.cursors").SSCursor) as cursor:
            cursor.execute(sql)
            return [result_set(["all"], [(sum(len(row[1]) for row in cursor),)])]

    def change_user(self, login: Login) -> None:
        self.connection.change_user(login["user"], login["password"], login["database"])

    def error(self, exc: Exception) -> Result:
        sqlstate = None
        with contextlib.suppress(Exception):
            sqlstate = self.connection.sqlstate()
        return {**super().error(exc), "sqlstate": sqlstate}


class Connector(DBAPI):
    """mysql-connector-python on its C library."""

    name = "connector-c"
    module_name = "mysql.connector"
    pure: ClassVar[bool] = False

    def options(self, login: Login) -> dict[str, Any]:
        options = {**super().options(login), "use_pure": self.pure, "autocommit": True, "connection_timeout": 20}
        options["allow_local_infile"] = options.pop("local_infile")
        if login["charset"] == "latin1":
            options["collation"] = "latin1_swedish_ci"
        return options

    def tls(self, login: Login) -> dict[str, Any]:
        return {"ssl_disabled": not login["tls"]}

    def result(self, cursor: Any) -> Result:
        return {**super().result(cursor), "warnings": cursor.warning_count}

    def prepared(self, sql: str, args: list[Any]) -> list[Result]:
        given = arguments(args)
        if not self.pure:  # its C library binds neither times nor numbers over 63 bits
            given = tuple(text if isinstance(value, timedelta) or (kind == "int" and value > MAX_SIGNED) else value
                          for value, (kind, text) in zip(given, args, strict=True))  # fmt: skip
        with self.cursor(prepared=True) as cursor:
            cursor.execute(sql, given)
            return [self.result(cursor)]

    def call(self, procedure: str, args: list[Any]) -> list[Result]:
        with self.cursor() as cursor:
            cursor.callproc(procedure, arguments(args))
            return [self.result(found) for found in cursor.stored_results()]

    def stream(self, sql: str) -> list[Result]:
        with self.cursor(buffered=False) as cursor:
            cursor.execute(sql)
            return [result_set(["all"], [(sum(len(row[1]) for row in cursor),)])]

    def begin(self) -> None:
        self.connection.start_transaction()

    def own_id(self) -> int:
        return int(self.connection.connection_id)

    def change_user(self, login: Login) -> None:
        self.connection.cmd_change_user(login["user"], login["password"], login["database"] or "")

    def reset(self) -> None:
        self.connection.cmd_reset_connection()

    def info(self) -> Any:
        return self.connection.get_server_info()

    def error(self, exc: Exception) -> Result:
        return {**super().error(exc), "code": getattr(exc, "errno", None), "sqlstate": getattr(exc, "sqlstate", None)}


class PureConnector(Connector):
    """mysql-connector-python in Python alone."""

    name = "connector-pure"
    pure = True


class OldPyMySQL(PyMySQL):
    """PyMySQL of the years before caching_sha2_password."""

    name = "pymysql-0.7"

    @contextlib.contextmanager
    def cursor(self, **options: Any) -> Iterator[Any]:
        """Not closed behind an error: PyMySQL 0.7 would wait there for the results that were to follow."""
        cursor = self.connection.cursor(**options)
        yield cursor
        cursor.close()

    def tls(self, login: Login) -> dict[str, Any]:
        return {"ssl": unverified()} if login["tls"] else {}


class OldConnector(PureConnector):
    """mysql-connector as it still is on PyPI: in Python alone, and without an option to load files."""

    name = "connector-2.2"

    def options(self, login: Login) -> dict[str, Any]:
        options = super().options(login)
        del options["use_pure"]
        return options

    def tls(self, login: Login) -> dict[str, Any]:
        if login["tls"]:
            raise Unsupported("mysql-connector 2.2 speaks TLS 1.0 and nothing later")
        return {}

    def result(self, cursor: Any) -> Result:
        return DBAPI.result(self, cursor)

    def multi(self, sql: str) -> list[Result]:
        raise Unsupported("mysql-connector 2.2 ends several statements with a StopIteration, which Python 3.7 refuses")


__all__ = ["DBAPI", "Connector", "MySQLClient", "OldConnector", "OldPyMySQL", "PureConnector", "PyMySQL", "Unsupported"]
