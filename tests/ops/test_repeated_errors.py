"""A client that tries again and again does not fill the log."""

from pathlib import Path

import pymysql
import pytest

from kit.proxies import serving
from kit.running_proxy import config_text
from servers.real_server import RealServer


def test_error_that_comes_again_is_counted_and_told_in_the_end(mysql_9_7: RealServer, tmp_path: Path) -> None:
    config = config_text(mysql_9_7).replace('level = "debug"', 'level = "info"')
    with serving(tmp_path, config, key=mysql_9_7.key) as proxy:
        for user in ("legacy_app", "legacy_app", "stranger", "legacy_app"):
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                proxy.connect(user=user, password="wrong")
        proxy.wait_for("login refused", count=2)
        assert [line["user"] for line in proxy.events("login refused")] == ["legacy_app", "stranger"]
        assert proxy.events("login refused again") == []
        assert proxy.stop() == 0
        (again,) = proxy.events("login refused again")
        assert (again["user"], again["times"], again["target"]) == ("legacy_app", 2, "shop")
        assert (again["reason"], again["code"], again["peer"]) == ("wrong password", 1045, "127.0.0.1")
