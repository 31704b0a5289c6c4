from collections.abc import Iterator
from dataclasses import replace

import dns.asyncresolver
import pytest

from kit.dns_server import DNSServer, dns_server
from rds_iam_proxy.aws.cnames import rds_name_behind, rds_name_hint
from rds_iam_proxy.aws.trust import Trust
from rds_iam_proxy.config import Target
from rds_iam_proxy.errors.tree import Unreachable
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.whereabouts import Whereabouts, follow

OURS = "db.example.com"
CLUSTER = "orders.cluster-abc123.eu-west-1.rds.amazonaws.com"
INSTANCE = "orders-1.abc123.eu-west-1.rds.amazonaws.com"
EC2 = "ec2-52-1-2-3.eu-west-1.compute.amazonaws.com"
TARGET = Target("shop", address=Address(OURS, 3307), dial=Address(OURS, 3307), region="eu-west-1", follow_cname=True)


@pytest.fixture
def server() -> Iterator[DNSServer]:
    with dns_server() as running:
        running.names.update({OURS: CLUSTER, CLUSTER: INSTANCE, INSTANCE: EC2, EC2: "52.1.2.3"})
        yield running


def resolver_of(server: DNSServer) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [server.address]
    resolver.port = server.port
    resolver.timeout = resolver.lifetime = 0.2
    return resolver


async def behind(server: DNSServer, host: str = OURS) -> str | None:
    return await rds_name_behind(host, resolver=resolver_of(server))


async def test_the_first_rds_name_counts_though_the_chain_goes_on(server: DNSServer) -> None:
    assert await behind(server) == CLUSTER
    assert server.asked == [f"{OURS} A"]


async def test_names_of_the_users_own_may_follow_each_other(server: DNSServer) -> None:
    server.names |= {
        OURS: "current.example.com",
        "current.example.com": "Blue.example.com",
        "blue.example.com": CLUSTER,
    }
    assert await behind(server) == CLUSTER


async def test_a_server_that_answers_link_by_link_is_asked_again(server: DNSServer) -> None:
    server.one_link = True
    server.names |= {OURS: "current.example.com", "current.example.com": CLUSTER}
    assert await behind(server) == CLUSTER
    assert server.asked == [f"{OURS} A", "current.example.com A"]


async def test_an_rds_name_is_itself_the_first(server: DNSServer) -> None:
    assert await behind(server, INSTANCE) == INSTANCE
    assert not server.asked


async def test_a_name_without_addresses_of_either_kind_is_still_told(server: DNSServer) -> None:
    del server.names[INSTANCE]  # the cluster's name leads nowhere: NXDOMAIN, with the CNAMEs in it
    assert await behind(server) == CLUSTER


async def test_a_host_with_ipv6_only_is_followed_too(server: DNSServer) -> None:
    server.names[EC2] = "2001:db8::1"
    assert await behind(server) == CLUSTER


@pytest.mark.parametrize("leads_to", ["52.1.2.3", "elsewhere.example.com"])
async def test_a_chain_without_an_rds_name_has_none(leads_to: str, server: DNSServer) -> None:
    server.names |= {OURS: leads_to, "elsewhere.example.com": "52.1.2.3"}
    assert await behind(server) is None


async def test_a_circle_ends(server: DNSServer) -> None:
    server.one_link = True
    server.names |= {OURS: "b.example.com", "b.example.com": OURS}
    assert await behind(server) is None


async def test_an_unknown_name_and_a_silent_dns_say_so(server: DNSServer) -> None:
    with pytest.raises(Unreachable, match=r"the DNS knows no nowhere\.example\.com; check endpoint"):
        await behind(server, "nowhere.example.com")
    server.silent = True
    with pytest.raises(Unreachable, match=r"the DNS did not say where db\.example\.com leads") as silent:
        await behind(server)
    assert silent.value.row.key == "cname-silent"


async def test_a_target_is_signed_for_and_dialled_at_what_its_cname_leads_to_now(server: DNSServer) -> None:
    followed = await follow(TARGET, resolver=resolver_of(server))
    assert followed.address == followed.dial == Address(CLUSTER, 3307)
    assert replace(followed, address=TARGET.address, dial=TARGET.dial) == TARGET
    server.names[OURS] = INSTANCE
    assert (await follow(TARGET, resolver=resolver_of(server))).address.host == INSTANCE, "nothing is kept"


@pytest.mark.parametrize(
    ("leads_to", "row", "says"),
    [
        ("orders.abc123.us-east-1.rds.amazonaws.com", "cname-region", "which is not in eu-west-1"),
        ("orders.abc123.rds.cn-north-1.amazonaws.com.cn", "cname-region", "which is not in eu-west-1"),
        ("elsewhere.example.com", "cname-lost", "ALIAS"),
    ],
)
async def test_a_cname_may_not_lead_away(leads_to: str, row: str, says: str, server: DNSServer) -> None:
    server.names |= {OURS: leads_to, leads_to: "52.1.2.3"}
    with pytest.raises(Unreachable, match=says) as caught:
        await follow(TARGET, resolver=resolver_of(server))
    assert caught.value.row.key == row
    assert OURS in caught.value.text
    assert len(caught.value.text) < 380


async def test_a_global_name_is_taken_with_the_configured_region(server: DNSServer) -> None:
    server.names[OURS] = "g.global-abc123.global.rds.amazonaws.com"
    assert (await follow(TARGET, resolver=resolver_of(server))).region == "eu-west-1"


async def test_whom_to_trust_changes_with_the_name(server: DNSServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    whereabouts = Whereabouts(TARGET, Trust(OURS, None), resolver=resolver_of(server))
    target, trust = await whereabouts.now()
    assert (target.address.host, trust.host) == (CLUSTER, CLUSTER)
    assert (await whereabouts.now())[1] is trust, "with its TLS session"
    server.names[OURS] = INSTANCE
    target, other = await whereabouts.now()
    assert (target.address.host, other.host) == (INSTANCE, INSTANCE)
    assert caplog.messages == ["CNAME leads to another endpoint"] * 2


async def test_without_follow_cname_the_dns_is_not_asked(server: DNSServer) -> None:
    target, trust = replace(TARGET, follow_cname=False), Trust(OURS, None)
    assert await Whereabouts(target, trust, resolver=resolver_of(server)).now() == (target, trust)
    assert not server.asked


def test_an_ip_address_is_not_looked_up() -> None:
    assert rds_name_hint("192.0.2.7") is None
    assert rds_name_hint("2001:db8::1") is None
