"""The endpoint that a target's logins are signed for and go to at this moment. A CNAME may move."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from ..aws.cnames import log, rds_name_behind
from ..aws.names import parse_rds_name, partition_of
from ..aws.trust import Trust
from ..config import Target
from ..errors.tree import LoginError, Unreachable
from ..logs import event
from ..net.address import Address
from .tunnel.tunnel import OPENING_SECONDS, Tunnel

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver


class Whereabouts:
    """Where a target's logins go now, and whom to trust there: as configured, or what its CNAME leads to."""

    def __init__(
        self, target: Target, trust: Trust, *, tunnel: Tunnel | None = None, resolver: "Resolver | None" = None
    ) -> None:
        self._tunnel = tunnel
        self._target = target
        self._trust = trust
        self._resolver = resolver

    async def now(self, seconds: float = OPENING_SECONDS) -> tuple[Target, Trust]:
        """The target with its real endpoint, and where to dial. `seconds`: so long a tunnel may need to open.

        Raises Unreachable.
        """
        if self._tunnel is not None:
            return replace(self._target, dial=await self._tunnel.near_end(seconds)), self._trust
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

    async def explained(self, error: LoginError) -> LoginError:
        """Why the way there led nowhere, if the tunnel knows more than the login does."""
        if self._tunnel is None or not isinstance(error, Unreachable):
            return error
        return await self._tunnel.explained(error)


async def follow(target: Target, *, resolver: "Resolver | None" = None) -> Target:
    """The target with the endpoint to which its CNAME leads now, both to sign for and to dial.

    DNS chooses what is signed, so it may not leave the region that was configured. Raises Unreachable.
    """
    host = target.address.host
    found = await rds_name_behind(host, resolver=resolver)
    if found is None:
        raise Unreachable("cname-lost", host=host)
    name = parse_rds_name(found)
    if name is None or name.region not in (None, target.region) or name.partition != partition_of(target.region):
        raise Unreachable("cname-region", host=host, found=found, region=target.region)
    endpoint = Address(found, target.address.port)
    return replace(target, address=endpoint, dial=endpoint)
