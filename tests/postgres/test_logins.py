"""Logins of PostgreSQL clients through the proxy."""

from typing import Any

import psycopg
import pytest

from postgres.conftest import connect
from running_proxy import RunningProxy


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
def test_a_client_logs_in_as_the_database_user(postgres_proxy: RunningProxy, sslmode: str) -> None:
    with connect(postgres_proxy, sslmode=sslmode) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("user_batch", "shop")
        assert connection.pgconn.ssl_in_use == (sslmode != "disable")
