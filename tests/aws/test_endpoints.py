"""What the DNS says, through to a login: addresses that change, CNAMEs that are followed and those that are not."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.aws_home import Home
from kit.aws_login import assert_login, ports_of, refusal, two_targets
from kit.forwarder import forwarder
from kit.own_dns import OwnDNS, own_dns
from kit.running_proxy import RunningProxy, clean_environment, config_text, serve_command, start_proxy
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer

CNAME = "db.example.com"
SECOND_ADDRESS = "127.0.0.2"


@pytest.fixture
def dns(tmp_path: Path, rds: RealServer) -> Iterator[OwnDNS]:
    with own_dns(tmp_path) as running:
        # Nothing is in between here: the endpoint's port is the server's.
        rds.change(endpoint=f"{rds.endpoint_host}:{rds.port}")
        running.server.names[rds.endpoint_host] = rds.host
        running.server.names[CNAME] = rds.endpoint_host
        yield running


def config_of(rds: RealServer, host: str, target: str = "") -> str:
    lines = [line for line in config_text(rds, target=target).splitlines() if not line.startswith("dial")]
    return "\n".join(lines).replace(f'"{rds.endpoint}"', f'"{host}:{rds.port}"')


@contextmanager
def proxy_at(rds: RealServer, dns: OwnDNS, host: str, target: str = "") -> Iterator[RunningProxy]:
    config = config_of(rds, host, target)
    with start_proxy(config, key=rds.key, wrapper=dns.wrapper, dev_mode=False) as proxy:
        yield proxy
        assert proxy.stop() == 0


def test_a_new_address_of_the_endpoint_is_dialled_at_once(rds: RealServer, dns: OwnDNS) -> None:
    to = (rds.host, rds.port)
    with forwarder(to, at=(SECOND_ADDRESS, rds.port)) as second, proxy_at(rds, dns, rds.endpoint_host) as proxy:
        with proxy.connect() as before:
            dns.server.names[rds.endpoint_host] = SECOND_ADDRESS
            assert_login(proxy)
            assert second.accepted == 1
            before.ping(reconnect=False)
        dns.server.names[rds.endpoint_host] = "127.0.0.3"
        code, text = refusal(proxy)
        assert code == 2003
        assert "cannot connect" in text
        dns.server.names[rds.endpoint_host] = rds.host
        assert_login(proxy)
        assert second.accepted == 1


def test_an_endpoint_with_an_ipv6_address_only(rds: RealServer, dns: OwnDNS) -> None:
    with forwarder((rds.host, rds.port), at=("::1", rds.port)) as over_ipv6:
        dns.server.names[rds.endpoint_host] = "::1"
        with proxy_at(rds, dns, rds.endpoint_host) as proxy:
            assert_login(proxy)
            assert over_ipv6.accepted >= 1


def test_a_name_about_which_the_dns_is_silent_leaves_the_other_target_alone(
    rds: RealServer, dns: OwnDNS, home: Home
) -> None:
    """As when a VPN is down whose name servers alone know the name; each look-up takes 2 s here."""
    lost = f"lost.abc123.{rds.region}.rds.amazonaws.com"
    dns.server.unanswered.add(lost)
    home.credentials(default=rds.key)
    config = two_targets(rds, "", "")
    config = config.replace(f'dial = "{rds.host}:{rds.port}"\n', "")
    for host in (lost, rds.endpoint_host):
        config = config.replace(f'"{rds.endpoint}"', f'"{host}:{rds.port}"', 1)
    with start_proxy(config, home=home.folder, wrapper=dns.wrapper, dev_mode=False) as proxy:
        ports = ports_of(proxy)
        assert_login(proxy, ports["second"])
        with ThreadPoolExecutor(20) as clients:
            refusals = [clients.submit(refusal, proxy, ports["first"]) for _ in range(20)]
            time.sleep(4)  # 3 s of them for the greeting
            began = time.monotonic()
            assert_login(proxy, ports["second"])
            assert time.monotonic() - began < 1
            assert {lookup.result()[0] for lookup in refusals} == {2003}
        assert proxy.stop() == 0


def test_a_root_that_ends_soon_is_told_once_at_the_start(rds: RealServer, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(rds.ca_file.read_bytes() + make_ca("Ends soon", days=30).certificate_pem)
    config = config_text(rds).replace(str(rds.ca_file), str(roots))
    with start_proxy(config, key=rds.key, dev_mode=False) as proxy:
        assert_login(proxy)
        (warning,) = proxy.events("CA certificate ends soon")
        assert warning["level"] == "warning"
        assert "'Ends soon' of ca_file ends in" in warning["why"]
        assert proxy.stop() == 0


def test_a_cname_is_followed_at_each_login(rds: RealServer, dns: OwnDNS) -> None:
    follow = f'follow_cname = true\nregion = "{rds.region}"'
    with proxy_at(rds, dns, CNAME, follow) as proxy:
        assert_login(proxy)
        dns.server.names[CNAME] = "orders.abc123.us-east-1.rds.amazonaws.com"
        text = refusal(proxy)[1]
        assert f"{CNAME} now leads to orders.abc123.us-east-1.rds.amazonaws.com, which is not in {rds.region}" in text
        del dns.server.names[CNAME]
        assert f"the DNS knows no {CNAME}" in refusal(proxy)[1]
        dns.server.names[CNAME] = rds.endpoint_host
        assert_login(proxy)


def test_a_cname_that_is_not_to_be_followed_is_an_error_with_the_line_to_write(
    rds: RealServer, dns: OwnDNS, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(config_of(rds, CNAME))
    done = subprocess.run(
        [*dns.wrapper, *serve_command(dev_mode=False), "--config", str(path)],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(tmp_path, rds.key),
    )
    assert done.returncode == 2
    assert f'write endpoint = "{rds.endpoint_host}:{rds.port}"' in done.stderr
    assert "follow_cname = true" in done.stderr
