"""From a CNAME of the user's to the name that RDS gave out: what tokens must be signed for. No answer is kept."""

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from .config import Target
from .endpoint import Address, is_ip_address, parse_rds_name, partition_of
from .errors import Unreachable
from .logs import event
from .trust import Trust

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.message import Message

log = logging.getLogger(__name__)

MAX_LINKS = 8
"""CNAMEs in a row that are asked for one by one."""

LOOKUP_SECONDS = 3.0
HINT_SECONDS = 2.0
"""For a look-up that only makes an error text better."""


class Whereabouts:
    """Where a target's logins go now, and whom to trust there: as configured, or what its CNAME leads to."""

    def __init__(self, target: Target, trust: Trust, *, resolver: "Resolver | None" = None) -> None:
        self._target = target
        self._trust = trust
        self._resolver = resolver

    async def now(self) -> tuple[Target, Trust]:
        """The target with its real endpoint. Raises Unreachable."""
        if not self._target.follow_cname:
            return self._target, self._trust
        target = await follow(self._target, resolver=self._resolver)
        host = target.address.host
        if host != self._trust.host:
            self._trust = self._trust.for_host(host)
            event(
                log,
                logging.INFO,
                "CNAME leads to another endpoint",
                target=target.name,
                cname=self._target.address.host,
                endpoint=str(target.address),
            )
        return target, self._trust


async def follow(target: Target, *, resolver: "Resolver | None" = None) -> Target:
    """The target with the endpoint to which its CNAME leads now, both to sign for and to dial.

    DNS chooses what is signed, so it may not leave the region that was configured. Raises Unreachable.
    """
    host = target.address.host
    found = await rds_name_behind(host, resolver=resolver)
    if found is None:
        raise Unreachable(
            f"{host} leads to no name that RDS gives out (a DNS ALIAS or flattened CNAME hides it); "
            "set endpoint to the name that RDS shows, and leave out follow_cname"
        )
    name = parse_rds_name(found)
    if name is None or name.region not in (None, target.region) or name.partition != partition_of(target.region):
        raise Unreachable(
            f"{host} now leads to {found}, which is not in {target.region}, and a CNAME may not choose another region; "
            "change region, or the CNAME"
        )
    endpoint = Address(found, target.address.port)
    return replace(target, address=endpoint, dial=endpoint)


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
        raise Unreachable(f"the DNS knows no {host}; check endpoint, and the VPN whose DNS may know it") from None
    except (dns.exception.DNSException, OSError) as exc:
        why = type(exc).__name__
        raise Unreachable(f"the DNS did not say where {host} leads ({why}); check the network and the VPN") from None
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
