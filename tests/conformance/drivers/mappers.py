"""SQLAlchemy and Django: plain statements and their object mappers, as programs use them."""

import datetime
import decimal
import importlib
from collections.abc import Callable
from typing import Any

from conformance.drivers.dbapi import DBAPI, MAX_PACKET, MySQLClient, unverified
from conformance.drivers.loop import Login, Result
from conformance.drivers.values import arguments, result_set, shown

MULTI_STATEMENTS = 1 << 16
MADE = datetime.datetime(2024, 2, 29, 12, 0)  # noqa: DTZ001


class SQLAlchemy(DBAPI):
    """On PyMySQL, with its pool."""

    name = "sqlalchemy"
    module_name = "sqlalchemy"
    engine: Any = None

    def open(self, login: Login) -> None:
        url = self.module.URL.create(
            "mysql+pymysql",
            username=login["user"],
            password=login["password"],
            host=login["host"],
            port=login["port"],
            database=login["database"],
            query={"charset": login["charset"]},
        )
        tls = {"ssl": unverified()} if login["tls"] else {"ssl_disabled": True}
        settings = {**tls, "local_infile": True, "max_allowed_packet": MAX_PACKET, "client_flag": MULTI_STATEMENTS}
        self.engine = self.module.create_engine(url, connect_args=settings)
        self.connection = self.engine.connect()

    def close(self) -> None:
        if self.engine is not None:
            self.connection.close()
            self.engine.dispose()

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        text = sql.replace("%", "%%").replace("?", "%s")
        found = self.connection.exec_driver_sql(text, arguments(args) or None)
        columns = list(found.keys()) if found.returns_rows else None
        rows = found.fetchall() if found.returns_rows else []
        result = result_set(columns, rows, affected=found.rowcount, id=None if columns else found.lastrowid)
        found.close()
        return [result]

    def multi(self, sql: str) -> list[Result]:
        with self.connection.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(self.results(cursor))

    def call(self, procedure: str, args: list[Any]) -> list[Result]:
        with self.connection.connection.cursor() as cursor:
            cursor.callproc(procedure, arguments(args))
            return list(self.results(cursor))

    def stream(self, sql: str) -> list[Result]:
        with self.engine.connect().execution_options(stream_results=True, max_row_buffer=50) as connection:
            found = connection.exec_driver_sql(sql)
            return [result_set(["all"], [(sum(len(row[1]) for row in found),)])]

    def begin(self) -> None:
        if self.connection.in_transaction():  # one began by itself with the first statement
            self.connection.commit()
        self.connection.begin()

    def own_id(self) -> int:
        return int(self.connection.connection.thread_id())

    def info(self) -> Any:
        return [str(self.engine.dialect.server_version_info), self.connection.get_isolation_level()]

    def error(self, exc: Exception) -> Result:
        origin = getattr(exc, "orig", None)
        return super().error(origin if isinstance(origin, Exception) else exc)

    def mapper(self) -> Any:
        orm = importlib.import_module("sqlalchemy.orm")
        columns = self.module.inspect(self.engine).get_columns("goods")
        base = orm.automap.automap_base() if hasattr(orm, "automap") else None
        if base is None:
            base = importlib.import_module("sqlalchemy.ext.automap").automap_base()
        base.prepare(autoload_with=self.engine)
        item = base.classes.goods
        with orm.Session(self.engine) as session:
            session.add_all([item(name=f"thing {n} é", price=decimal.Decimal("1.50") * n, made=MADE) for n in range(3)])
            session.commit()
            one = session.scalars(self.module.select(item).order_by(item.price.desc())).first()
            one.name = "changed"
            session.commit()
            rows = session.execute(self.module.select(item.name, item.price, item.made).order_by(item.price)).all()
        return [[str(column["type"]) for column in columns], [[shown(value) for value in row] for row in rows]]


class Django(MySQLClient):
    """Its MySQL backend, on mysqlclient."""

    name = "django"
    module_name = "django"
    wrapper: Any = None

    def open(self, login: Login) -> None:
        backend = importlib.import_module("django.db.backends.mysql.base")
        conf = importlib.import_module("django.conf")
        if not conf.settings.configured:
            conf.settings.configure(USE_TZ=False, INSTALLED_APPS=[], DATABASES={})
        options = {
            "local_infile": True,
            "charset": login["charset"],
            "ssl_mode": "REQUIRED" if login["tls"] else "DISABLED",
            "client_flag": MULTI_STATEMENTS,
        }
        self.wrapper = backend.DatabaseWrapper({
            "ENGINE": "django.db.backends.mysql", "HOST": login["host"], "PORT": login["port"],
            "USER": login["user"], "PASSWORD": login["password"], "NAME": login["database"] or "",
            "OPTIONS": options, "TIME_ZONE": None, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False,
            "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False, "TEST": {},
        }, alias="default")  # fmt: skip
        self.wrapper.ensure_connection()
        self.connection = self.wrapper.connection

    def close(self) -> None:
        if self.wrapper is not None:
            self.wrapper.close()

    def cursor(self, **options: Any) -> Any:
        return self.wrapper.chunked_cursor() if options else self.wrapper.cursor()

    def begin(self) -> None:
        self.wrapper.set_autocommit(False)

    def commit(self) -> None:
        self.wrapper.commit()
        self.wrapper.set_autocommit(True)

    def rollback(self) -> None:
        self.wrapper.rollback()
        self.wrapper.set_autocommit(True)

    def result(self, cursor: Any) -> Result:
        return DBAPI.result(self, cursor)

    def stream(self, sql: str) -> list[Result]:
        with self.wrapper.chunked_cursor() as cursor:
            cursor.execute(sql)
            total = sum(len(row[1]) for rows in iter(lambda: cursor.fetchmany(100), ()) for row in rows)
        return [result_set(["all"], [(total,)])]

    def change_user(self, login: Login) -> None:
        super(DBAPI, self).change_user(login)

    def canceller(self) -> Callable[[], None]:
        return super().canceller()

    def info(self) -> Any:
        return str(self.wrapper.mysql_version)

    def mapper(self) -> Any:
        """The schema editor makes a table, the compiler runs a model's statements."""
        django = importlib.import_module("django")
        models = importlib.import_module("django.db.models")
        database = importlib.import_module("django.db")
        django.setup()
        database.connections["default"] = self.wrapper
        fields = {
            "name": models.CharField(max_length=50),
            "price": models.DecimalField(max_digits=8, decimal_places=2),
            "made": models.DateTimeField(null=True),
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "conformance", "db_table": "django_things"}),
        }
        thing = type("Thing", (models.Model,), fields)
        with self.wrapper.schema_editor() as editor:
            editor.create_model(thing)
        rows = [thing(name=f"thing {n} é", price=decimal.Decimal("1.50") * n, made=MADE) for n in range(3)]
        manager = thing.objects  # type: ignore[attr-defined]
        manager.bulk_create(rows)
        manager.filter(price__gt=2).update(name="changed")
        found = [
            [shown(value) for value in row] for row in manager.order_by("price").values_list("name", "price", "made")
        ]
        with self.wrapper.cursor() as cursor:
            tables = sorted(table.name for table in self.wrapper.introspection.get_table_list(cursor))
        return [found, tables]
