"""Who may ask the admin address for what. Decides from headers; reads no socket."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..net.address import is_ip_address

_BEARER = "bearer "
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""What servers in front add."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, and what to do."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Access:
    """`is_loopback`: only this machine can connect to the admin address. Methods return None for yes."""

    token: bytes = field(repr=False)
    is_loopback: bool
    public_host: str | None = None

    def check_host(self, headers: Mapping[str, str]) -> Refusal | None:
        """A page of somebody else can make a browser ask a name of theirs here (DNS rebinding): never our names."""
        host = _host_name(headers.get("Host", ""))
        if host == "localhost" or is_ip_address(host) or self._is_public(host):
            return None
        return Refusal(421, "this host name is not served here; use localhost or the IP address")

    def check_reading(self, headers: Mapping[str, str]) -> Refusal | None:
        """Of anything but health: everybody on this machine may, unless there is a server in front.

        That one connects from this machine as well, for whomever; then the token is needed, and TLS from afar.
        """
        has_front = self.public_host is not None or any(name in headers for name in _FORWARDED)
        if self.is_loopback and not has_front:
            return None
        is_near = self.is_loopback and not self._is_public(_host_name(headers.get("Host", "")))
        if not is_near and headers.get("X-Forwarded-Proto", "").lower() != "https":
            return Refusal(403, "only through a server that speaks TLS and says so with X-Forwarded-Proto: https")
        return self._check_token(headers)

    def check_acting(self, headers: Mapping[str, str]) -> Refusal | None:
        """Always with the token, in a header: a page of somebody else can send none."""
        origin = headers.get("Origin")
        host = "" if origin is None else origin.partition("://")[2]
        if origin is not None and host != headers.get("Host", "") and not self._is_public(_host_name(host)):
            return Refusal(403, "asked for by a page of another origin")
        return self.check_reading(headers) or self._check_token(headers)

    def _is_public(self, host: str) -> bool:
        return self.public_host is not None and host == self.public_host.lower()

    def _check_token(self, headers: Mapping[str, str]) -> Refusal | None:
        given = headers.get("Authorization", "")
        secret = given[len(_BEARER) :].strip().encode("utf-8", "replace")
        if given.lower().startswith(_BEARER) and hmac.compare_digest(secret, self.token):
            return None
        return Refusal(401, "the admin token is needed: Authorization: Bearer TOKEN")


def _host_name(header: str) -> str:
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
