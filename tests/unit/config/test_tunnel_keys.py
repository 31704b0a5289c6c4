"""The keys `tunnel` and `tunnel_idle`, and the flag `--tunnel`."""

from pathlib import Path

import pytest

from rds_iam_proxy.config import CommandTunnel, SSHTunnel, SSMTunnel, Tunnel
from rds_iam_proxy.config.flags import Flag
from rds_iam_proxy.config.load import from_file, from_flags
from rds_iam_proxy.errors.tree import ConfigError

ENDPOINT = "test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com"
ENVIRON = {"APP_PASSWORD": "correct horse battery", "PATH": "/bin", "NEXT": "another one of these"}
TASK = "ecs:shop_0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef-1234567890"
READ = {
    '"ssh:bastion"': SSHTunnel("bastion"),
    '"ssh:deploy@bastion.example.com:2222"': SSHTunnel("deploy@bastion.example.com", 2222),
    '"ssh:[2001:db8::1]:22"': SSHTunnel("2001:db8::1", 22),
    '"ssm:i-0123456789abcdef0"': SSMTunnel("i-0123456789abcdef0"),
    '"ssm:mi-0123456789abcdef0"': SSMTunnel("mi-0123456789abcdef0"),
    f'"ssm:{TASK}"': SSMTunnel(TASK),
    '["kubectl", "port-forward", "svc/rds", "{local_port}:{remote_port}"]': CommandTunnel(
        ("kubectl", "port-forward", "svc/rds", "{local_port}:{remote_port}")
    ),
}
FAULTY = {
    '"ssh:"': "write ssh:[USER@]HOST[:PORT]",
    '"ssh:-oProxyCommand=id"': "write ssh:",
    '"ssh:bastion:0"': "not a number from 1 to 65535",
    '"ssh:a b"': "write ssh:",
    '"ssh:bastion\\n"': "write ssh:",
    '"ssm:bastion"': "ssm:i-INSTANCE",
    '"bastion"': "write ssh:",
    "7": "write ssh:",
    "[]": "its program first",
    '["socat", 7, "{local_port}"]': "list of texts",
    '["socat", "TCP-LISTEN:3306"]': "must listen on {local_port}",
}


def load(folder: Path, keys: str) -> Tunnel | None:
    path = folder / "proxy.toml"
    path.touch(0o600)
    path.write_text(
        f'[targets.shop]\nendpoint = "{ENDPOINT}"\n{keys}\n[[listeners]]\nbind = "127.0.0.1:0"\ntarget = "shop"\n'
        '[[accounts]]\nuser = "app"\npassword_env = "APP_PASSWORD"\nnext_password_env = "NEXT"\n'
    )
    config = from_file(path, ENVIRON)
    assert config.tunnel_environ == ({"PATH": "/bin"} if config.targets["shop"].tunnel else {})
    assert "/bin" not in repr(config)
    return config.targets["shop"].tunnel


def faults(folder: Path, keys: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, keys)
    return caught.value.faults


@pytest.mark.parametrize("text", READ)
def test_ways(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"tunnel = {text}\ntunnel_idle = 60") == READ[text]


def test_none(tmp_path: Path) -> None:
    assert load(tmp_path, "") is None


@pytest.mark.parametrize("text", FAULTY)
def test_what_is_no_way(tmp_path: Path, text: str) -> None:
    (fault,) = faults(tmp_path, f"tunnel = {text}")
    assert fault.startswith("targets.shop.tunnel, line 3: ")
    assert FAULTY[text] in fault


def test_not_beside_another_way(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, 'tunnel = "ssh:bastion"\ndial = "127.0.0.1:13306"')
    assert "targets.shop.tunnel, line 3: not together with dial" in fault
    found = faults(tmp_path, 'tunnel = "ssh:bastion"\nfollow_cname = true')
    assert any("not together with follow_cname" in fault for fault in found)
    (fault,) = faults(tmp_path, "tunnel_idle = 60")
    assert fault == "targets.shop.tunnel_idle, line 3: means nothing without tunnel"


def test_flag() -> None:
    flags = {
        "targets.endpoint": Flag("ENDPOINT", ENDPOINT),
        "targets.tunnel": Flag("--tunnel", "ssm:i-0123456789abcdef0"),
        "accounts.db_user": Flag("--db-user", "batch"),
    }
    (target,) = from_flags(flags, ENVIRON, generated_password="p" * 20).targets.values()
    assert target.tunnel == SSMTunnel("i-0123456789abcdef0")
    flags["targets.dial"] = Flag("--dial", "127.0.0.1:13306")
    with pytest.raises(ConfigError, match=r"^--tunnel: not together with --dial"):
        from_flags(flags, ENVIRON, generated_password="p" * 20)
