"""TLS towards the server: the session of the last login is resumed as long as its certificate is the server's."""

import contextlib
from typing import Any

from pymysql.connections import Connection

from e2e.conftest import running
from kit.running_proxy import RunningProxy, config_text
from servers.real_server import RealServer

# MariaDB resumes sessions as well, but its Ssl_sessions_reused is always 0.


def status(connection: "Connection[Any]", name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE %s", (name,))
        ((_, value),) = cursor.fetchall()
    return str(value)


def reused(proxy: RunningProxy) -> str:
    """What the server says of the TLS session of a new login."""
    with contextlib.closing(proxy.connect()) as connection:
        assert status(connection, "Ssl_version") in ("TLSv1.2", "TLSv1.3")
        return status(connection, "Ssl_sessions_reused")


def test_later_logins_resume_the_tls_session(mysql_9_7: RealServer) -> None:
    with running(config_text(mysql_9_7), key=mysql_9_7.key) as proxy:
        proxy.connect().close()
        assert [reused(proxy) for _ in range(3)] == ["1", "1", "1"]


def test_new_certificate_means_a_full_handshake(mysql_9_7: RealServer) -> None:
    with running(config_text(mysql_9_7), key=mysql_9_7.key) as proxy:
        proxy.connect().close()
        with mysql_9_7.showing():  # another certificate of the same CA
            assert reused(proxy) == "0"
            assert reused(proxy) == "1"
