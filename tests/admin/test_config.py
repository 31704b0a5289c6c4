"""`[admin]`, `--admin` and `--admin-token-file`."""

import signal
import socket
from pathlib import Path

import pytest

from kit.admin import Admin, eventually, running_rds
from kit.running_proxy import start_serve
from rds_iam_proxy.config import Admin as Configured
from rds_iam_proxy.config import Config
from rds_iam_proxy.config.flags import Flag
from rds_iam_proxy.config.load import from_file
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.address import Address
from servers.settings import AccessKey

REST = """
[targets.shop]
endpoint = "db.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
[[listeners]]
bind = "127.0.0.1:3306"
target = "shop"
[[accounts]]
user = "app"
db_user = "app"
password_hash = "sha2:2c4aab0f2a6a1c4fd9f9f2b41dbf8dbd2bbd0ee0d6ba2f9c7e3d8a1c3a1b5e77"
"""


def load(tmp_path: Path, table: str, **flags: str) -> Config:
    file = tmp_path / "proxy.toml"
    file.write_text(REST + table)
    file.chmod(0o600)
    rows = {"admin": Flag("--admin", ""), "admin_token_file": Flag("--admin-token-file", "")}
    keys = {"admin": "admin.bind", "admin_token_file": "admin.token_file"}
    return from_file(file, {}, {keys[key]: Flag(rows[key].name, value) for key, value in flags.items()})


def faults(tmp_path: Path, table: str, **flags: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, table, **flags)
    return caught.value.faults


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("correct-horse-battery-staple")
    file.chmod(0o600)
    return file


def test_there_is_none_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, "").admin is None


def test_the_port_may_be_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, '[admin]\nbind = "localhost"').admin == Configured(Address("localhost", 9090))


def test_flags_come_before_the_file(tmp_path: Path, token: Path) -> None:
    config = load(tmp_path, '[admin]\nbind = "127.0.0.1:9090"', admin="[::1]:9191", admin_token_file=str(token))
    assert config.admin == Configured(Address("::1", 9191), token)


def test_a_table_without_an_address_says_what_is_missing(tmp_path: Path, token: Path) -> None:
    (fault,) = faults(tmp_path, f'[admin]\ntoken_file = "{token}"')
    assert fault.startswith("admin.bind, line 11: required")


@pytest.mark.parametrize("more", ["", 'public_host = "proxy.example.com"', "token_file = TOKEN"])
def test_only_loopback_unless_tls_is_in_front_and_a_token_is_set(tmp_path: Path, token: Path, more: str) -> None:
    more = more.replace("TOKEN", f'"{token}"')
    found = faults(tmp_path, f'[admin]\nbind = "0.0.0.0:9090"\n{more}')
    (fault,) = [fault for fault in found if "not a loopback address" in fault]
    assert fault.startswith("admin.bind, line 12: ")
    assert "127.0.0.1:9090" in fault


def test_a_flag_that_opens_it_to_the_network_is_named(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "", admin="0.0.0.0:9090")
    assert fault.startswith("--admin: 0.0.0.0 is not a loopback address")


def test_behind_tls_with_a_token_it_may_listen_elsewhere(tmp_path: Path, token: Path) -> None:
    more = f'token_file = "{token}"\npublic_host = "proxy.example.com"'
    config = load(tmp_path, f'[admin]\nbind = "0.0.0.0:9090"\n{more}')
    assert config.admin == Configured(Address("0.0.0.0", 9090), token, "proxy.example.com")


def test_a_token_file_must_be_private_long_and_there(tmp_path: Path, token: Path) -> None:
    token.chmod(0o644)
    token.write_text("short")
    (open_to_others,) = faults(tmp_path, '[admin]\nbind = "127.0.0.1"', admin_token_file=str(token))
    assert open_to_others.startswith("--admin-token-file: group or others may read")
    token.chmod(0o600)
    (short,) = faults(tmp_path, '[admin]\nbind = "127.0.0.1"', admin_token_file=str(token))
    assert "holds 5 characters" in short
    (missing,) = faults(tmp_path, '[admin]\nbind = "127.0.0.1"', admin_token_file=str(tmp_path / "nothing"))
    assert "cannot be read" in missing
    assert str(tmp_path) not in missing, "it may be the token itself, put there by mistake"


def test_the_flags_of_serve(tmp_path: Path, token: Path) -> None:
    with running_rds() as rds:
        arguments = [
            *(str(rds.endpoint), "--dial", str(rds.address), "--ca-file", str(rds.ca_file)),
            *("--db-user", "demo_user", "--password-env", "LEGACY_APP_PASSWORD", "--listen", "127.0.0.1:0"),
            *("--admin", "127.0.0.1:0", "--admin-token-file", str(token)),
        ]
        key = AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)
        with start_serve(arguments, key=key) as proxy:
            line = proxy.wait_for("admin")
            assert line["token_file"] == str(token)
            admin = Admin(int(line["url"].rstrip("/").rpartition(":")[2]), token.read_text())
            eventually(lambda: admin.code("/readiness") == 200)
            session = proxy.connect(user="demo_user")
            assert admin.end_session(admin.json("/status")["sessions"][0]["id"]) == 200
            session.close()
            assert proxy.stop() == 0


def test_a_reload_says_that_the_admin_address_stays(tmp_path: Path) -> None:
    file = tmp_path / "proxy.toml"
    text = REST.replace("127.0.0.1:3306", "127.0.0.1:0") + '[admin]\nbind = "127.0.0.1:0"\n'
    file.write_text(text)
    file.chmod(0o600)
    with start_serve(["--config", str(file)], environment={"XDG_STATE_HOME": str(tmp_path)}) as proxy:
        admin = Admin(int(proxy.wait_for("admin")["url"].rstrip("/").rpartition(":")[2]), "")
        file.write_text(text.replace("[admin]", '[admin]\npublic_host = "proxy.example.com"'))
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for("not reloaded, all stays as it was")
        file.write_text(text.replace('[admin]\nbind = "127.0.0.1:0"', ""))
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for("the admin address is that of the start; restart to change it")
        assert admin.code("/liveness") == 200


def test_a_port_that_is_taken_is_a_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, running_rds() as rds:
        arguments = [
            *(str(rds.endpoint), "--dial", str(rds.address), "--ca-file", str(rds.ca_file)),
            *("--db-user", "demo_user", "--password-env", "LEGACY_APP_PASSWORD", "--listen", "127.0.0.1:0"),
            *("--admin", f"127.0.0.1:{taken.getsockname()[1]}"),
        ]
        with start_serve(arguments, environment={"XDG_STATE_HOME": str(tmp_path)}) as proxy:
            assert proxy.process.wait(15) == 2
            assert "choose another --admin" in proxy.log_text()
            assert "Traceback" not in proxy.log_text()
