"""`python -m conformance.drivers.postgres_python NAME`: SQLAlchemy and Django, both on psycopg 3."""

import contextlib
import datetime
import decimal
import hashlib
import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from conformance.drivers.loop import Driver, Login, Result, main
from conformance.drivers.values import result_set, shown

PART = 65536  # bytes
MADE = datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.UTC)


class Postgres(Driver):
    """What PostgreSQL's script has beside MySQL's actions. A subclass says how its program opens and runs."""

    psycopg: Any  # the driver's connection beneath

    def perform(self, action: dict[str, Any]) -> Result:
        match action["do"]:
            case "copy in":
                self.copy_in(action["table"])
                return {}
            case "prepared":
                return {"sets": [found for args in action["args"] for found in self.query(action["sql"], args)]}
            case "copy out":
                return {"value": self.copy_out(action["sql"])}
            case "notify":
                return {"value": self.notify(action["channel"], action["payload"])}
            case "notices":
                return {"value": self.notices(action["sql"])}
            case "pipeline":
                return {"value": self.pipeline(action["sql"], action["count"])}
        return super().perform(action)

    def place(self, login: Login) -> dict[str, Any]:
        """libpq's words."""
        host, port = (login["socket_folder"], 5432) if login.get("socket") else (login["host"], login["port"])
        mode = {"sslmode": "require" if login["tls"] else "disable"}
        if login["tls"] == "direct":
            mode["sslnegotiation"] = "direct"
        return {"host": host, "port": port, **mode}

    def copy_in(self, table: str) -> None:
        with (
            self.psycopg.cursor() as cursor,
            Path(self.given.infile).open("rb") as file,
            cursor.copy(f"COPY {table} FROM STDIN") as copy,
        ):
            while part := file.read(PART):
                copy.write(part)

    def copy_out(self, sql: str) -> list[Any]:
        length, digest = 0, hashlib.sha256()
        with self.psycopg.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
            for part in copy:
                digest.update(part)
                length += len(part)
        return [length, digest.hexdigest()]

    def notify(self, channel: str, payload: str) -> Any:
        self.query(f"LISTEN {channel}", [])
        self.query(f"NOTIFY {channel}, '{payload}'", [])
        notes = self.psycopg.notifies(timeout=5, stop_after=1)
        return [(note.channel, note.payload, note.pid == self.psycopg.info.backend_pid) for note in notes]

    def notices(self, sql: str) -> Any:
        told: list[tuple[str, str]] = []
        self.psycopg.add_notice_handler(lambda diag: told.append((diag.severity, diag.message_primary)))
        self.query(sql, [])
        return told

    def pipeline(self, sql: str, count: int) -> Any:
        with self.psycopg.pipeline():
            cursors = [self.psycopg.execute(_percent(sql), [str(number)]) for number in range(count)]
            return [cursor.fetchone()[0] for cursor in cursors]

    def canceller(self) -> Callable[[], None]:
        return self.psycopg.cancel_safe  # type: ignore[no-any-return]

    def error(self, exc: Exception) -> Result:
        found = exc
        for name in ("orig", "__cause__"):  # SQLAlchemy's and Django's own errors hold the driver's
            inner = getattr(found, name, None)
            if isinstance(inner, Exception) and hasattr(inner, "sqlstate"):
                found = inner
        state = getattr(found, "sqlstate", None)
        return {"type": type(exc).__name__, "inner": type(found).__name__, "sqlstate": state, "text": str(found)[:500]}


def _percent(sql: str) -> str:
    return re.sub(r"\$\d+", "%s", sql.replace("%", "%%"))


def _values(args: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(text for _, text in args)


class SQLAlchemy(Postgres):
    """With its pool; each statement commits by itself unless a transaction was begun."""

    name: ClassVar[str] = "pg-sqlalchemy"
    engine: Any = None
    connection: Any = None

    def open(self, login: Login) -> None:
        self.module: Any = importlib.import_module("sqlalchemy")
        url = self.module.URL.create(
            "postgresql+psycopg", username=login["user"], password=login["password"], database=login["database"]
        )
        self.engine = self.module.create_engine(
            url, connect_args=self.place(login), execution_options={"isolation_level": "AUTOCOMMIT"}
        )
        self.connection = self.engine.connect()
        self.psycopg = self.connection.connection.driver_connection

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.close()
        if self.engine is not None:
            self.engine.dispose()

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        found = self.connection.exec_driver_sql(_percent(sql) if args else sql, _values(args) or None)
        columns = list(found.keys()) if found.returns_rows else None
        result = result_set(columns, found.fetchall() if columns is not None else [], affected=found.rowcount)
        found.close()
        return [result]

    def multi(self, sql: str) -> list[Result]:
        self.query(sql, [])
        return []

    def stream(self, sql: str) -> list[Result]:
        with self.engine.connect().execution_options(stream_results=True, isolation_level="READ COMMITTED") as other:
            return [result_set(["all"], [(sum(len(row[1]) for row in other.exec_driver_sql(sql)),)])]

    def begin(self) -> None:
        self.query("BEGIN", [])

    def info(self) -> Any:
        return str(self.engine.dialect.server_version_info)

    def mapper(self) -> Any:
        orm = importlib.import_module("sqlalchemy.orm")
        base = orm.declarative_base()
        column = self.module.Column
        parts = {
            "__tablename__": "things",
            "id": column(self.module.Integer, primary_key=True),
            "name": column(self.module.String(50)),
            "price": column(self.module.Numeric(8, 2)),
            "made": column(self.module.DateTime(timezone=True)),
        }
        thing: Any = type("Thing", (base,), parts)
        engine = self.engine.execution_options(isolation_level="READ COMMITTED")
        base.metadata.create_all(engine)
        with orm.Session(engine) as session:
            prices = [decimal.Decimal("1.50") * n for n in range(3)]
            session.add_all([thing(name=f"thing {n} é", price=price, made=MADE) for n, price in enumerate(prices)])
            session.commit()
            one = session.scalars(self.module.select(thing).order_by(thing.price.desc())).first()
            one.name = "changed"
            session.commit()
            rows = session.execute(self.module.select(thing.name, thing.price).order_by(thing.price)).all()
        columns = self.module.inspect(engine).get_columns("things")
        base.metadata.drop_all(engine)
        return [[str(one["type"]) for one in columns], [[shown(value) for value in row] for row in rows]]


class Django(Postgres):
    """Its PostgreSQL backend."""

    name: ClassVar[str] = "pg-django"
    wrapper: Any = None

    def open(self, login: Login) -> None:
        conf = importlib.import_module("django.conf")
        if not conf.settings.configured:
            conf.settings.configure(USE_TZ=True, INSTALLED_APPS=[], DATABASES={})
        backend = importlib.import_module("django.db.backends.postgresql.base")
        place = self.place(login)
        self.wrapper = backend.DatabaseWrapper({
            "ENGINE": "django.db.backends.postgresql", "HOST": place.pop("host"), "PORT": place.pop("port"),
            "USER": login["user"], "PASSWORD": login["password"], "NAME": login["database"],
            "OPTIONS": place, "TIME_ZONE": None, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False,
            "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False, "TEST": {},
        }, alias="default")  # fmt: skip
        self.wrapper.ensure_connection()
        self.psycopg = self.wrapper.connection

    def close(self) -> None:
        if self.wrapper is not None:
            with contextlib.suppress(Exception):
                self.wrapper.close()

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        with self.wrapper.cursor() as cursor:
            cursor.execute(_percent(sql) if args else sql, _values(args) or None)
            columns = [part[0] for part in cursor.description] if cursor.description else None
            return [result_set(columns, cursor.fetchall() if columns else [], affected=cursor.rowcount)]

    def multi(self, sql: str) -> list[Result]:
        self.query(sql, [])
        return []

    def stream(self, sql: str) -> list[Result]:
        with self.wrapper.chunked_cursor() as cursor:
            cursor.execute(sql)
            total = sum(len(row[1]) for rows in iter(lambda: cursor.fetchmany(500), []) for row in rows)
        return [result_set(["all"], [(total,)])]

    def begin(self) -> None:
        self.wrapper.set_autocommit(False)

    def commit(self) -> None:
        self.wrapper.commit()
        self.wrapper.set_autocommit(True)

    def rollback(self) -> None:
        self.wrapper.rollback()
        self.wrapper.set_autocommit(True)

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
        thing: Any = type("Thing", (models.Model,), fields)
        with self.wrapper.schema_editor() as editor:
            editor.create_model(thing)
        prices = [decimal.Decimal("1.50") * n for n in range(3)]
        thing.objects.bulk_create([thing(name=f"thing {n} é", price=p, made=MADE) for n, p in enumerate(prices)])
        thing.objects.filter(price__gt=2).update(name="changed")
        rows = thing.objects.order_by("price").values_list("name", "price", "made")
        with self.wrapper.cursor() as cursor:
            tables = sorted(table.name for table in self.wrapper.introspection.get_table_list(cursor))
        return [[[shown(value) for value in row] for row in rows], tables]


if __name__ == "__main__":
    main({driver.name: driver for driver in (SQLAlchemy, Django)})
