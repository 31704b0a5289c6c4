"""Several targets in one process."""

import contextlib
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.proxies import serving
from kit.running_proxy import config_text
from servers.real_server import RealServer


def test_target_that_does_not_answer_does_not_stop_the_rest(
    mysql_9_7: RealServer, mariadb_11_8: RealServer, tmp_path: Path
) -> None:
    config = config_text(mysql_9_7)
    for name, server, dial in (("second", mariadb_11_8, f"127.0.0.1:{mariadb_11_8.port}"), ("down", mysql_9_7, "")):
        config += f"""
[targets.{name}]
endpoint = "{server.endpoint}"
dial = "{dial or "127.0.0.1:1"}"
ca_file = "{server.ca_file}"
[[listeners]]
bind = "127.0.0.1:0"
target = "{name}"
"""
    with serving(tmp_path, config, key=mysql_9_7.key) as proxy:
        proxy.wait_for("listening", count=3)
        ports = {entry["target"]: int(entry["address"].rpartition(":")[2]) for entry in proxy.events("listening")}
        told = proxy.wait_for("target down")
        assert "down" in {entry["target"] for entry in proxy.events(told["event"])}
        with contextlib.closing(proxy.connect(port=ports["shop"])) as connection:
            connection.ping(reconnect=False)
        with pytest.raises(pymysql.err.OperationalError) as caught:
            proxy.connect(port=ports["down"])
        assert caught.value.args[0] == 2003
        with pytest.raises(pymysql.err.OperationalError, match="refused the IAM token"):
            proxy.connect(port=ports["second"])  # another account's key
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())
