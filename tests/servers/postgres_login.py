"""Direct logins at PostgreSQL with IAM tokens, done by psycopg for comparison with what the proxy does."""

from typing import Any

import psycopg

from servers.postgres_accounts import DATABASE
from servers.postgres_server import PostgresServer
from servers.tokens import server_token


def connect_directly(
    server: PostgresServer, *, user: str = "user_batch", password: str | None = None, **options: Any
) -> "psycopg.Connection[Any]":
    """Logs in without a proxy, over verified TLS. `password` is a token, by default a good one."""
    given = {
        "host": server.endpoint_host,  # what the certificate is checked for
        "hostaddr": server.host,
        "port": server.port,
        "user": user,
        "password": server_token(server, user) if password is None else password,
        "dbname": DATABASE,
        "sslmode": "verify-full",
        "sslrootcert": str(server.ca_file),
        "connect_timeout": 10,
    }
    return psycopg.connect(**{**given, **options})
