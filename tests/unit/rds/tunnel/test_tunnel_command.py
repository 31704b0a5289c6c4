"""The command lines of tunnels."""

import json
from pathlib import Path

import pytest

from rds_iam_proxy.config import CommandTunnel, SSHTunnel, SSMTunnel, Target, Tunnel
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.tunnel.command import argv

ENDPOINT = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
PORT = Address("127.0.0.1", 40123)
SOCKET = Path("/run/user/1000/rds-iam-proxy-tunnel-abcd1234/s")


def target(tunnel: Tunnel, profile: str | None = None) -> Target:
    return Target("shop", ENDPOINT, ENDPOINT, "eu-central-1", profile=profile, tunnel=tunnel)


@pytest.mark.parametrize("near", [SOCKET, PORT])
def test_ssh_asks_nothing_and_forwards_one_thing(near: Path | Address) -> None:
    words = argv(target(SSHTunnel("deploy@bastion.example.com", 2222)), near)
    assert words[:3] == ("ssh", "-N", "-T")
    assert {"BatchMode=yes", "ExitOnForwardFailure=yes", "ControlPath=none"} <= set(words)
    assert words[-6:] == ("-p", "2222", "-L", f"{near}:{ENDPOINT}", "--", "deploy@bastion.example.com")


def test_ssm_takes_profile_and_region_of_the_target() -> None:
    words = argv(target(SSMTunnel("i-0123456789abcdef0"), profile="dev"), PORT)
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert words[:3] == ("aws", "ssm", "start-session")
    assert (options["--region"], options["--profile"]) == ("eu-central-1", "dev")
    assert options["--target"] == "i-0123456789abcdef0"
    assert json.loads(options["--parameters"]) == {
        "host": [ENDPOINT.host],
        "portNumber": ["3306"],
        "localPortNumber": ["40123"],
    }
    assert "--profile" not in argv(target(SSMTunnel("i-0123456789abcdef0")), PORT)


def test_command_is_filled_in_and_nothing_else_in_it_means_anything() -> None:
    tunnel = CommandTunnel(("kubectl", "{other}", "{local_port}:{remote_port}", "{host}", "$HOME; {0}"))
    assert argv(target(tunnel), PORT) == ("kubectl", "{other}", "40123:3306", ENDPOINT.host, "$HOME; {0}")


def test_words_of_a_command_are_not_shown() -> None:
    tunnel = CommandTunnel(("/opt/bin/tunnel", "--password=hunter22", "{local_port}"))
    assert "hunter22" not in f"{tunnel} {tunnel!r}"
    assert str(tunnel) == "command tunnel"
