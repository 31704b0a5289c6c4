import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_iam_proxy.aws.names import Kind, parse_rds_name, partition_of
from rds_iam_proxy.net.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", 3306),
        ("127.0.0.1:3307", "127.0.0.1", 3307),
        ("  DB.Example.COM.:1 ", "db.example.com", 1),
        ("db_1:65535", "db_1", 65535),
        ("[::1]", "::1", 3306),
        ("[2001:DB8::0:1]:13306", "2001:db8::1", 13306),
        ("0.0.0.0:0", "0.0.0.0", 0),
    ],
)
def test_address_is_read(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


def test_default_port_is_the_callers() -> None:
    assert Address.parse("db", default_port=13306).port == 13306


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "HOST"),
        (":3306", "no host"),
        ("::1", "brackets"),
        ("[::1", "[::1]:3306"),
        ("[::1]3306", "[::1]:3306"),
        ("[localhost]:1", "IPv6"),
        ("[::zz]", "IPv6"),
        ("db:", "port"),
        ("db:-1", "port"),
        ("db:65536", "port"),
        ("db:٣٣", "port"),
        ("db:3306:1", "brackets"),
        ("-db", "hyphen"),
        ("d..b", "between dots"),
        ("d b", "between dots"),
        ("dé", "between dots"),
        ("x" * 64, "63"),
        (".".join(["x" * 50] * 6), "253"),
        ("mysql://db:3306/orders", "scheme"),
    ],
)
def test_wrong_address_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Address.parse(text)


def test_a_pasted_password_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="HOST:PORT") as caught:
        Address.parse("mysql://user:hunter2@db:3306")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_gives_an_address_or_a_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("host", "kind", "region", "partition"),
    [
        ("test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com", Kind.INSTANCE, "ap-northeast-2", "aws"),
        ("C.Cluster-ABC123.US-East-1.rds.amazonaws.com.", Kind.CLUSTER, "us-east-1", "aws"),
        ("c.cluster-ro-abc123.eu-west-1.rds.amazonaws.com", Kind.CLUSTER_READER, "eu-west-1", "aws"),
        ("c.cluster-custom-abc123.eu-west-1.rds.amazonaws.com", Kind.CLUSTER_CUSTOM, "eu-west-1", "aws"),
        ("p.proxy-abc123.us-east-2.rds.amazonaws.com", Kind.PROXY, "us-east-2", "aws"),
        ("e.endpoint.proxy-abc123.us-east-2.rds.amazonaws.com", Kind.PROXY_ENDPOINT, "us-east-2", "aws"),
        ("s.shardgrp-abc123.us-east-2.rds.amazonaws.com", Kind.SHARD_GROUP, "us-east-2", "aws"),
        ("g.global-abc123.global.rds.amazonaws.com", Kind.GLOBAL, None, "aws"),
        ("i-green-a1b2c3.abc123.us-east-1.rds.amazonaws.com", Kind.INSTANCE, "us-east-1", "aws"),
        ("c-green-a1b2c3.cluster-ro-abc123.us-east-1.rds.amazonaws.com", Kind.CLUSTER_READER, "us-east-1", "aws"),
        ("i-old1.abc123.us-east-1.rds.amazonaws.com", Kind.INSTANCE, "us-east-1", "aws"),
        ("i.abc123.us-east-1.rds-fips.amazonaws.com", Kind.INSTANCE, "us-east-1", "aws"),
        ("i.abc123.us-gov-west-1.rds.amazonaws.com", Kind.INSTANCE, "us-gov-west-1", "aws-us-gov"),
        ("c.cluster-abc123.us-gov-east-1.rds-fips.amazonaws.com", Kind.CLUSTER, "us-gov-east-1", "aws-us-gov"),
        ("c.cluster-abc123.rds.us-gov-east-1.amazonaws.com", Kind.CLUSTER, "us-gov-east-1", "aws-us-gov"),
        ("i.abc123.rds.cn-north-1.amazonaws.com.cn", Kind.INSTANCE, "cn-north-1", "aws-cn"),
        ("c.cluster-ro-abc123.rds.cn-northwest-1.amazonaws.com.cn", Kind.CLUSTER_READER, "cn-northwest-1", "aws-cn"),
        ("e.endpoint.proxy-abc123.rds.cn-north-1.amazonaws.com.cn", Kind.PROXY_ENDPOINT, "cn-north-1", "aws-cn"),
        ("i.abc123.cn-north-1.rds.amazonaws.com.cn", Kind.INSTANCE, "cn-north-1", "aws-cn"),
        ("i.abc123.rds.us-iso-east-1.c2s.ic.gov", Kind.INSTANCE, "us-iso-east-1", "aws-iso"),
        ("i.abc123.rds.us-isob-east-1.sc2s.sgov.gov", Kind.INSTANCE, "us-isob-east-1", "aws-iso-b"),
        ("i.abc123.eusc-de-east-1.rds.amazonaws.eu", Kind.INSTANCE, "eusc-de-east-1", "aws-eusc"),
    ],
)
def test_every_shape_of_rds_name_is_known(host: str, kind: Kind, region: str | None, partition: str) -> None:
    name = parse_rds_name(host)
    assert name is not None
    assert (name.kind, name.region, name.partition) == (kind, region, partition)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "10.0.0.1",
        "::1",
        "db.example.com",
        "rds.amazonaws.com",
        "abc123.us-east-1.rds.amazonaws.com",
        "a.b.abc123.us-east-1.rds.amazonaws.com",
        "i.abc123.us-east-1.rds.amazonaws.com.example.com",
        "i.abc123.us-east-1.rds.amazonaws.com.cn",
        "i.abc123.cn-north-1.rds.amazonaws.com",
        "i.abc123.nowhere.rds.amazonaws.com",
        "i.abc123.us-east-1.rds.amazonaws.org",
        "i.cluster-abc123.us-east-1.docdb.amazonaws.com",
        "lb.elb.us-east-1.amazonaws.com",
        "i.abc123.us-east-1.rds.amazonaws.com\n",
    ],
)
def test_other_names_are_not_taken_for_rds(host: str) -> None:
    assert parse_rds_name(host) is None


def test_proxies_and_partitions_know_their_roots() -> None:
    proxy = parse_rds_name("e.endpoint.proxy-abc123.us-east-2.rds.amazonaws.com")
    china = parse_rds_name("i.abc123.rds.cn-north-1.amazonaws.com.cn")
    assert proxy is not None
    assert china is not None
    assert proxy.kind.is_proxy
    assert proxy.has_bundled_roots
    assert not china.has_bundled_roots


def test_partition_follows_from_the_region() -> None:
    assert partition_of("us-gov-west-1") == "aws-us-gov"
    assert partition_of("us-isob-east-1") == "aws-iso-b"
    assert partition_of("me-central-1") == "aws"
