"""What an RDS host name says: its kind, region and partition. Knows no socket."""

import enum
import re
from dataclasses import dataclass


class Kind(enum.Enum):
    """What an RDS host name names."""

    INSTANCE = "instance"
    CLUSTER = "cluster"
    CLUSTER_READER = "cluster reader"
    CLUSTER_CUSTOM = "cluster custom"
    PROXY = "proxy"
    PROXY_ENDPOINT = "proxy endpoint"
    SHARD_GROUP = "shard group"
    GLOBAL = "global"

    @property
    def is_proxy(self) -> bool:
        """An RDS Proxy: its certificate is of Amazon Trust, and KILL means nothing across its sessions."""
        return self in (Kind.PROXY, Kind.PROXY_ENDPOINT)


@dataclass(frozen=True, slots=True)
class RDSName:
    """What a host name of RDS says. `region` is None for a global name: it may lead to any of its regions."""

    kind: Kind
    region: str | None
    partition: str  # as in ARNs: "aws", "aws-cn", "aws-us-gov", ...

    @property
    def has_bundled_roots(self) -> bool:
        """False in the partitions whose CA certificates are not part of the bundle: they need a `ca_file`."""
        return self.partition == "aws"


# `IDENTIFIER.[endpoint.][cluster-|...]HASH`, in front of the region and the domain.
_RESOURCE = (
    r"(?P<name>[a-z0-9](?:[a-z0-9-]{0,62}))"
    r"\.(?P<marker>endpoint\.proxy-|proxy-|cluster-custom-|cluster-ro-|cluster-|shardgrp-)?(?P<hash>[a-z0-9]+)"
)
_REGION = r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}"
_DOMAIN = (
    r"(?P<domain>amazonaws\.com\.cn|amazonaws\.(?:com|eu|au|uk)|c2s\.ic\.gov|sc2s\.sgov\.gov"
    r"|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
_REGIONAL = re.compile(
    # Two orders: `REGION.rds` in most regions (and formerly in China), `rds.REGION` in China today.
    rf"{_RESOURCE}\.(?:(?P<region>{_REGION})\.rds(?:-fips)?|rds(?:-fips)?\.(?P<last_region>{_REGION}))\.{_DOMAIN}"
)
_GLOBAL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.global-[a-z0-9]+\.global\.rds(?:-fips)?\.amazonaws\.com")

_KINDS = {
    None: Kind.INSTANCE,
    "cluster-": Kind.CLUSTER,
    "cluster-ro-": Kind.CLUSTER_READER,
    "cluster-custom-": Kind.CLUSTER_CUSTOM,
    "proxy-": Kind.PROXY,
    "endpoint.proxy-": Kind.PROXY_ENDPOINT,
    "shardgrp-": Kind.SHARD_GROUP,
}
_PARTITIONS = (  # by the beginning of a region's name, as in botocore's partitions.json
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
)
_DOMAINS = {  # a name is believed only where region and domain belong together
    "aws": ("amazonaws.com", "amazonaws.au", "amazonaws.uk"),
    "aws-us-gov": ("amazonaws.com",),
    "aws-cn": ("amazonaws.com.cn",),
    "aws-iso": ("c2s.ic.gov",),
    "aws-iso-b": ("sc2s.sgov.gov",),
    "aws-iso-e": ("cloud.adc-e.uk",),
    "aws-iso-f": ("csp.hci.ic.gov",),
    "aws-eusc": ("amazonaws.eu",),
}


def partition_of(region: str) -> str:
    """The AWS partition of a region, by its name: `us-gov-west-1` is in `aws-us-gov`."""
    return next((partition for start, partition in _PARTITIONS if region.startswith(start)), "aws")


def parse_rds_name(host: str) -> RDSName | None:
    """What this host name says if it is one that RDS gives out, else None (a CNAME, an IP address, a tunnel).

    Shapes as in the AWS Advanced JDBC Wrapper's RdsUtils, but the identifier in front is one label, as RDS
    makes it. Blue/green names (`NAME-green-abc123`, `NAME-old1`) are ordinary names. Case and a trailing dot
    don't count.
    """
    host = host.lower().removesuffix(".")
    if _GLOBAL.fullmatch(host):
        return RDSName(Kind.GLOBAL, None, "aws")
    match = _REGIONAL.fullmatch(host)
    if match is None:
        return None
    region = match["region"] or match["last_region"]
    partition = partition_of(region)
    if match["domain"] not in _DOMAINS[partition]:
        return None
    return RDSName(_KINDS[match["marker"]], region, partition)
