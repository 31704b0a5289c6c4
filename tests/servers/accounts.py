"""The accounts and the schema that every test server has."""

from typing import Any

from pymysql.connections import Connection

IAM_USERS = ("user_batch", "user_report")
PLAIN_USER = "plain_user"  # no IAM: an empty password, as an account that was set up wrongly
SCHEMA = "shop"

STATEMENTS = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL)",
    "INSERT INTO shop.customers (name) VALUES ('Ada'), ('Grace'), ('Zoë')",
    "CREATE USER user_batch@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
    "CREATE USER user_report@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
    "CREATE USER plain_user@'%'",
    "GRANT ALL ON shop.* TO user_batch@'%'",
    "GRANT SELECT ON shop.* TO user_report@'%'",
    "GRANT SELECT ON shop.* TO plain_user@'%'",
)


def create_accounts(admin: "Connection[Any]") -> None:
    """Makes schema and accounts on a server that has just been initialised."""
    with admin.cursor() as cursor:
        # MariaDB's anonymous users match before user_batch@'%' does.
        cursor.execute("SELECT Host FROM mysql.user WHERE User = ''")
        for (host,) in cursor.fetchall():
            cursor.execute("DROP USER ''@%s", (host,))
        for statement in STATEMENTS:
            cursor.execute(statement)
