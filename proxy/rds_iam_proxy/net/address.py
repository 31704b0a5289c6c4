"""Host names and ports: parsing `HOST:PORT`, and whether only this machine can connect there. No DNS, no I/O."""

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORT = 3306
ADMIN_PORT = 9090
"""Of the status page, health and metrics."""
MAX_HOST = 253  # RFC 1035, without the trailing dot

# The underscore is not in the DNS's own rules, but names inside container networks have it.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host (name or IP address, lower case, without trailing dot or brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect there."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

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
    if _PORT.fullmatch(host):
        raise ValueError(f"{host} is a port: write 127.0.0.1:{host}")
    *_, last = labels = host.split(".")
    # The resolver takes 13306 and 10.1 for IPv4 addresses: 0.0.51.250, 10.0.0.1.
    if _NUMBER.fullmatch(last) and not is_ip_address(host):
        raise ValueError("host: ends in a number, but is no IPv4 address: write all four parts, as 127.0.0.1")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(
                "host: each part between dots needs 1 to 63 letters, digits or hyphens, no hyphen at its ends"
            )
    return host


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ValueError("port: not a number from 0 to 65535")
    return int(text)
