"""Host names and ports: parsing `HOST:PORT`, and what an RDS host name says about itself. No DNS, no I/O."""

import enum
import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORT = 3306
MAX_HOST = 253  # RFC 1035, without the trailing dot

# The underscore is not in the DNS's own rules, but names inside container networks have it.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host (name or IP address, lower case, without trailing dot or brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, *, default_port: int = DEFAULT_PORT) -> "Address":
        """Read `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`; port 0 is left to the caller to allow.

        Raises ValueError with a text that says what to write; it never repeats what may be a pasted password.
        """
        text = text.strip()
        if not text:
            raise ValueError("empty: write HOST or HOST:PORT")
        if "/" in text or "@" in text:
            raise ValueError("write HOST:PORT only, without a scheme, user or path")
        host, port = _split(text)
        return cls(_host(host), default_port if port is None else _port(port))


def is_ip_address(host: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without brackets, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("write an IPv6 address and its port as [::1]:3306")
        if ":" not in inside:
            raise ValueError("brackets are for IPv6 addresses only")
        return inside, rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError("write HOST:PORT, and an IPv6 address in brackets, as [::1]:3306")
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _host(text: str) -> str:
    if ":" in text:
        try:
            return str(ipaddress.IPv6Address(text))
        except ValueError as exc:
            raise ValueError("not an IPv6 address between the brackets") from exc
    host = text.lower().removesuffix(".")
    if not host:
        raise ValueError("no host: write HOST or HOST:PORT")
    if len(host) > MAX_HOST:
        raise ValueError(f"host: longer than {MAX_HOST} characters")
    for label in host.split("."):
        if not _LABEL.fullmatch(label):
            raise ValueError(
                "host: each part between dots needs 1 to 63 letters, digits or hyphens, no hyphen at its ends"
            )
    return host


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ValueError("port: not a number from 0 to 65535")
    return int(text)


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
