"""The sample schema `shop`: two small tables, as data."""

from decimal import Decimal

from .tables import Column, Table

SCHEMA = "shop"

_ID = Column("id", "int unsigned", key="PRI")
_NAME = Column("name", "varchar(80)")
CUSTOMERS = Table(
    (_ID, _NAME, Column("email", "varchar(120)"), Column("city", "varchar(60)", nullable=True)),
    (
        (1, "Ada Lovelace", "ada@example.com", "London"),
        (2, "Zoë Müller", "zoe@example.com", "Köln"),
        (3, "Grace Hopper", "grace@example.com", "New York"),
        (4, "김민준", "minjun@example.com", "서울"),
        (5, "Alan Turing", "alan@example.com", None),
        (6, "Katherine Johnson", "katherine@example.com", "Hampton"),
    ),
    SCHEMA,
    "customers",
    "Who buys",
)
PRODUCTS = Table(
    (_ID, _NAME, Column("price", "decimal(10,2)"), Column("stock", "int")),
    (
        (1, "Tea, 100 g", Decimal("4.50"), 120),
        (2, "Coffee, 250 g", Decimal("8.90"), 75),
        (3, "Mug", Decimal("12.00"), 40),
        (4, "Kettle", Decimal("39.95"), 12),
        (5, "Biscuits", Decimal("3.20"), 0),
    ),
    SCHEMA,
    "products",
    "What is sold",
)
TABLES = (CUSTOMERS, PRODUCTS)
