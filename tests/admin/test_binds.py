"""Addresses for health and metrics alone."""

import re
from pathlib import Path

import pytest

from kit.admin import Admin, RunningProxy, account_text, eventually, target_text
from kit.running_proxy import start_proxy
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address
from servers.settings import AccessKey

TEXT = """
[targets.shop]
endpoint = "db.abc.eu-west-1.rds.amazonaws.com"
[[listeners]]
bind = "127.0.0.1:3306"
target = "shop"
[[accounts]]
user = "app"
password_env = "APP"
"""


def load(folder: Path, admin: str) -> object:
    path = folder / "proxy.toml"
    path.write_text(f"{TEXT}[admin]\n{admin}\n")
    return from_file(path, {"APP": "x"}).admin


def at(proxy: RunningProxy, what: str) -> Admin:
    found = re.fullmatch(r"http://.*:(\d+)/", proxy.wait_for(what)["url"])
    assert found is not None
    return Admin(int(found[1]), "")


def test_each_serves_its_own_and_nothing_else_whatever_name_it_is_asked_by(rds: EmbeddedRDS, tmp_path: Path) -> None:
    binds = '[admin]\nhealth_bind = "0.0.0.0:0"\nmetrics_bind = "127.0.0.1:0"\n[log]\nformat = "json"\n'
    config = target_text("shop", rds) + account_text("legacy_app") + binds
    key = AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)
    with start_proxy(config, key=key, home=tmp_path, environment={"XDG_STATE_HOME": str(tmp_path / "state")}) as proxy:
        health, metrics = at(proxy, "health"), at(proxy, "metrics")
        eventually(lambda: health.health() == (200, 200, 200))
        assert metrics.code("/metrics") == 200
        for name in ("proxy.default.svc", "10.0.0.1:8080"):
            assert health.code("/readiness", headers={"Host": name}) == 200
            assert metrics.code("/metrics", headers={"Host": name}) == 200
        for path in ("/", "/status", "/metrics", "/page.js"):
            assert health.code(path) == 404
        for path in ("/", "/status", "/readiness", "/page.js"):
            assert metrics.code(path) == 404
        for admin in (health, metrics):
            assert admin.code("/sessions/1/end", method="POST") == 404
        assert not proxy.events("admin")
        assert not (tmp_path / "state" / "rds-iam-proxy" / "admin-token").exists(), "nobody needs it"
        assert proxy.stop() == 0


def test_they_need_no_admin_address_and_may_be_anywhere(tmp_path: Path) -> None:
    admin = load(tmp_path, 'health_bind = "0.0.0.0:8080"\nmetrics_bind = "[::]:9100"')
    assert (admin.bind, admin.health_bind, admin.metrics_bind) == (  # type: ignore[attr-defined]
        None,
        Address("0.0.0.0", 8080),
        Address("::", 9100),
    )


@pytest.mark.parametrize(
    ("admin", "fault"),
    [
        (
            'health_bind = "127.0.0.1:1"\nmetrics_bind = "127.0.0.1:1"',
            r"admin\.metrics_bind, line [0-9]+: .*that of health_bind",
        ),
        ('bind = "127.0.0.1:1"\nhealth_bind = "127.0.0.1:1"', r"admin\.health_bind, line [0-9]+: .*that of bind"),
        ('bind = "127.0.0.1"\nmetrics_bind = "127.0.0.1"', r"admin\.metrics_bind, line [0-9]+: .*that of bind"),
        ('health_bind = "127.0.0.1:x"', r"admin\.health_bind, line [0-9]+: "),
        ('health_bind = "127.0.0.1:1"\npublic_host = "a.example"', r"admin\.bind, line [0-9]+: required"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, admin: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load(tmp_path, admin)
