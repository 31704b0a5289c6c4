"""An Upstream of its own in the test's process, in front of a fake server or a real one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from kit.running_proxy import Target as Server
from rds_iam_proxy.aws.clock import TokenClock
from rds_iam_proxy.aws.credentials import Identity, Signed, Stamp
from rds_iam_proxy.aws.tokens import TokenSource
from rds_iam_proxy.aws.trust import Trust
from rds_iam_proxy.config import Target
from rds_iam_proxy.limits.budget import Permits
from rds_iam_proxy.limits.limiter import Limiter
from rds_iam_proxy.mysql.rds_login import ASKS_NOTHING, RDSLogin, UpstreamSession
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.login import Order
from rds_iam_proxy.rds.upstream import Upstream

DB_USER = "user_batch"


class FixedSigner:
    """Signs nothing: the same token each time, as old as `age` says."""

    def __init__(self, age: float = 0.0) -> None:
        self.age = age
        self.signed = 0

    def stamp(self) -> Stamp:
        return (None, None)

    def close(self) -> None:
        pass

    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed:
        self.signed += 1
        signed_at = 10_000.0 - (self.age if self.signed == 1 else 0.0)
        return Signed(f"{address}/?token-{self.signed}".encode(), signed_at, signed_at, "ASIAEXAMPLE", None)


def target_of(server: Server, **keys: Any) -> Target:
    return Target(
        name="shop",
        address=Address.parse(server.endpoint),
        dial=Address(server.host, server.port),
        region="eu-central-1",
        ca_file=server.ca_file,
        **keys,
    )


@contextlib.asynccontextmanager
async def upstream_of(
    server: Server,
    *,
    signer: FixedSigner | None = None,
    token_seconds: float = 5.0,
    clock: TokenClock | None = None,
    **keys: Any,
) -> AsyncIterator[Upstream]:
    """Its clocks for tokens stand still."""
    target = target_of(server, **keys)
    permits = Permits(target.logins_per_second, target.login_burst, time.monotonic())
    limiter = Limiter(target.address, permits)
    tokens = TokenSource(
        Identity(), wall=lambda: 10_000.0, boot=lambda: 10_000.0, signer=signer or FixedSigner(), timeout=token_seconds
    )
    trust = Trust(target.address.host, target.ca_file)
    try:
        yield Upstream(target, limiter=limiter, tokens=tokens, trust=trust, clock=clock)
    finally:
        tokens.close()


async def log_in(
    upstream: Upstream, account: str = "app", *, seconds: float = 9.5, db_user: str = DB_USER
) -> UpstreamSession:
    deadline = asyncio.get_running_loop().time() + seconds
    order = Order(
        account, db_user, lambda way, on_step: RDSLogin(way, db_user, ASKS_NOTHING, on_step), token_first=False
    )
    return await upstream.log_in(order, await upstream.admit(account, deadline))
