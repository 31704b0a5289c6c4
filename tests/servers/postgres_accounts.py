"""The roles and the database that every PostgreSQL test server has."""

from collections.abc import Callable
from typing import Any

import psycopg

IAM_USERS = ("user_batch", "user_dev")
REPLICATION_USER = "user_repl"  # with IAM
NOLOGIN_USER = "user_nologin"  # with IAM, but it may not log in
PLAIN_USER = "plain_user"  # no IAM: a password of its own, as a role that was set up wrongly
PLAIN_PASSWORD = "plain password"
DATABASE = "shop"

CLUSTER_STATEMENTS = (
    "CREATE ROLE rds_iam",
    "CREATE ROLE user_batch LOGIN IN ROLE rds_iam",
    "CREATE ROLE user_dev LOGIN IN ROLE rds_iam",
    "CREATE ROLE user_repl LOGIN REPLICATION IN ROLE rds_iam",
    "CREATE ROLE user_nologin NOLOGIN IN ROLE rds_iam",
    f"CREATE ROLE plain_user LOGIN PASSWORD '{PLAIN_PASSWORD}'",
    "CREATE DATABASE shop OWNER user_batch",
)
STATEMENTS = (
    "SET ROLE user_batch",
    "CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)",
    "INSERT INTO customers (name) VALUES ('Ada'), ('Grace'), ('Zoë')",
    "GRANT SELECT ON customers TO user_dev, plain_user",
)


def create_accounts(connect: "Callable[[str], psycopg.Connection[Any]]") -> None:
    """Makes roles and database on a server that has just been initialised; `connect` gives a superuser's connection."""
    with connect("postgres") as admin:
        for statement in CLUSTER_STATEMENTS:
            admin.execute(statement)
    with connect(DATABASE) as admin:
        for statement in STATEMENTS:
            admin.execute(statement)
