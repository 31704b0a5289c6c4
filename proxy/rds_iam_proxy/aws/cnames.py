"""From a CNAME of the user's to the name that RDS gave out: what tokens must be signed for. No answer is kept."""

import asyncio
import logging
from typing import TYPE_CHECKING

from ..errors.tree import Unreachable
from ..net.address import is_ip_address
from .names import parse_rds_name

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.message import Message

log = logging.getLogger(__name__)

MAX_LINKS = 8
"""CNAMEs in a row that are asked for one by one."""

LOOKUP_SECONDS = 3.0
HINT_SECONDS = 2.0
"""For a look-up that only makes an error text better."""


def rds_name_hint(host: str) -> str | None:
    """As `rds_name_behind`, for an error text: blocks for at most HINT_SECONDS, and None whatever goes wrong.

    Knows nothing where an event loop runs, as at a reload: sessions would wait.
    """
    if is_ip_address(host) or asyncio._get_running_loop() is not None:
        return None

    async def look_up() -> str | None:
        async with asyncio.timeout(HINT_SECONDS):
            return await rds_name_behind(host)

    try:
        return asyncio.run(look_up())
    except (Unreachable, OSError):  # TimeoutError is one
        return None


async def rds_name_behind(host: str, *, resolver: "Resolver | None" = None) -> str | None:
    """The first name in the CNAME chain of `host` that RDS gives out, `host` itself included; None if none is.

    The first, because those of RDS go on to others: a cluster's to an instance's, and that to a name of EC2. Raises
    Unreachable when the DNS cannot tell.
    """
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    name = host
    try:
        resolver = resolver or _system_resolver()
        for _ in range(MAX_LINKS):
            if parse_rds_name(name) is not None:
                return name
            links, ended = await _links(resolver, name)
            found = next((link for link in links if parse_rds_name(link) is not None), None)
            if found is not None or ended or not links:
                return found
            name = links[-1]
    except dns.resolver.NXDOMAIN:
        raise Unreachable("cname-unknown", host=host) from None
    except (dns.exception.DNSException, OSError) as exc:
        raise Unreachable("cname-silent", host=host, why=type(exc).__name__) from None
    return None


def _system_resolver() -> "Resolver":
    """A new one each time: a VPN that comes up changes the system's name servers."""
    import dns.asyncresolver

    resolver = dns.asyncresolver.Resolver()
    resolver.lifetime = LOOKUP_SECONDS
    return resolver


async def _links(resolver: "Resolver", name: str) -> tuple[list[str], bool]:
    """The CNAMEs behind `name` as far as one answer tells them, and whether it also tells the address at their end."""
    import dns.resolver

    try:
        answer = await resolver.resolve(name, "A", raise_on_no_answer=False, search="." not in name)
    except dns.resolver.NXDOMAIN as exc:
        responses = exc.responses().values()  # type: ignore[no-untyped-call]
        links = [link for response in responses for link in _chain(response)]
        if not links:  # the name itself does not exist
            raise
        return links, True
    return _chain(answer.response), answer.rrset is not None


def _chain(response: "Message") -> list[str]:
    result = response.resolve_chaining()  # type: ignore[attr-defined]
    return [record.target.to_text(omit_final_dot=True).lower() for records in result.cnames for record in records]
