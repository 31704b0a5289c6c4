"""The server behind the endpoint changes: the client is never left with the wrong kind of answers."""

import contextlib

import pymysql
import pytest

from kit.forwarder import forwarder
from kit.running_proxy import RunningProxy, config_text, start_proxy
from servers.real_server import RealServer


def _version(proxy: RunningProxy) -> tuple[str, str]:
    """What the greeting says, and what the server says."""
    with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        row = cursor.fetchone()
        assert row is not None
        return str(connection.server_version), str(row[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize("upgrade", [True, False])
def test_other_server_behind_the_endpoint_is_noticed_once_and_then_right(
    mysql_9_7: RealServer, mariadb_11_8: RealServer, upgrade: bool
) -> None:
    before, after = (mariadb_11_8, mysql_9_7) if upgrade else (mysql_9_7, mariadb_11_8)
    after.change(endpoint=before.endpoint, keys=before.settings.keys)
    with after.showing(name=before.endpoint_host, ca=before.ca), forwarder((before.host, before.port)) as tunnel:
        config = config_text(before).replace(f"{before.host}:{before.port}", f"127.0.0.1:{tunnel.port}")
        with start_proxy(config, key=before.key) as proxy:
            greeted, actual = _version(proxy)
            assert actual in greeted
            tunnel.to = (after.host, after.port)
            with pytest.raises(pymysql.err.MySQLError) as caught:
                proxy.connect()
            assert caught.value.args[0] == 1105
            assert "connect again" in caught.value.args[1]
            greeted, actual = _version(proxy)
            assert actual in greeted
            assert after.name.partition("-")[2] in actual


def test_last_greeting_is_remembered_across_starts(
    mariadb_11_8: RealServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    with start_proxy(config_text(mariadb_11_8), key=mariadb_11_8.key, home=home) as proxy:
        greeted, _ = _version(proxy)
        assert proxy.stop() == 0
    nowhere = config_text(mariadb_11_8).replace(f":{mariadb_11_8.port}", ":1")
    with start_proxy(nowhere, key=mariadb_11_8.key, home=home) as proxy:
        proxy.wait_for("target down")
        connection = pymysql.connections.Connection(
            host="127.0.0.1", port=proxy.port, user="x", password="x", defer_connect=True
        )
        with pytest.raises(pymysql.err.OperationalError):
            connection.connect()
        assert str(connection.server_version) == greeted  # type: ignore[attr-defined]
