"""The sample schema `shop`: three small tables, as data."""

import datetime
from dataclasses import replace
from decimal import Decimal

from .data_types import Column, Table, Value, column

SCHEMA = "shop"


def _day(month: int, day: int, hour: int = 9) -> datetime.datetime:
    return datetime.datetime(2025, month, day, hour, 30)  # noqa: DTZ001 - a DATETIME has no time zone


def _table(name: str, comment: str, columns: tuple[Column, ...], rows: tuple[tuple[Value, ...], ...]) -> Table:
    first = replace(columns[0], key="PRI", extra="auto_increment")
    placed = tuple(replace(item, schema=SCHEMA, table=name) for item in (first, *columns[1:]))
    return Table(placed, lambda: rows, SCHEMA, name, comment)


CUSTOMERS = _table(
    "customers",
    "Who buys",
    (
        column("id", "int unsigned"),
        column("name", "varchar(80)"),
        column("email", "varchar(120)"),
        column("city", "varchar(60)", nullable=True),
        column("created_at", "datetime"),
    ),
    (
        (1, "Ada Lovelace", "ada@example.com", "London", _day(1, 7)),
        (2, "Zoë Müller", "zoe@example.com", "Köln", _day(1, 19)),
        (3, "Grace Hopper", "grace@example.com", "New York", _day(2, 2)),
        (4, "김민준", "minjun@example.com", "서울", _day(2, 28)),
        (5, "Alan Turing", "alan@example.com", None, _day(3, 14)),
        (6, "Katherine Johnson", "katherine@example.com", "Hampton", _day(4, 1)),
    ),
)
PRODUCTS = _table(
    "products",
    "What is sold",
    (
        column("id", "int unsigned"),
        column("name", "varchar(80)"),
        column("price", "decimal(10,2)"),
        column("stock", "int"),
    ),
    (
        (1, "Tea, 100 g", Decimal("4.50"), 120),
        (2, "Coffee, 250 g", Decimal("8.90"), 75),
        (3, "Mug", Decimal("12.00"), 40),
        (4, "Kettle", Decimal("39.95"), 12),
        (5, "Biscuits", Decimal("3.20"), 0),
    ),
)
ORDERS = _table(
    "orders",
    "Who bought what",
    (
        column("id", "int unsigned"),
        replace(column("customer_id", "int unsigned"), key="MUL"),
        replace(column("product_id", "int unsigned"), key="MUL"),
        column("quantity", "int"),
        column("status", "varchar(20)"),
        column("ordered_at", "datetime"),
    ),
    (
        (1, 1, 1, 2, "shipped", _day(3, 1)),
        (2, 1, 3, 1, "shipped", _day(3, 1, 10)),
        (3, 2, 2, 1, "shipped", _day(3, 9)),
        (4, 3, 4, 1, "cancelled", _day(3, 20)),
        (5, 4, 2, 3, "shipped", _day(4, 2)),
        (6, 6, 5, 6, "paid", _day(4, 11)),
        (7, 5, 1, 1, "paid", _day(4, 12)),
        (8, 2, 3, 4, "new", _day(4, 13)),
    ),
)
TABLES = (CUSTOMERS, ORDERS, PRODUCTS)


def create_table(table: Table) -> str:
    """What SHOW CREATE TABLE says."""
    lines = []
    for item in table.columns:
        null = "DEFAULT NULL" if item.nullable else "NOT NULL"
        extra = " AUTO_INCREMENT" if item.extra else ""
        lines.append(f"  `{item.name}` {item.sql_type} {null}{extra}")
    lines.append(f"  PRIMARY KEY (`{table.columns[0].name}`)")
    lines += [f"  KEY `{item.name}` (`{item.name}`)" for item in table.columns if item.key == "MUL"]
    body = ",\n".join(lines)
    options = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"
    return f"CREATE TABLE `{table.name}` (\n{body}\n) {options} COMMENT='{table.comment}'"
