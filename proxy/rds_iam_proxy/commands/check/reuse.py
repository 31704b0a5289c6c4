"""Whether sessions of this server could be lent again: the whole round, tried on the one that has just logged in."""

import time
from collections.abc import Callable

from ...aws.names import parse_rds_name
from ...config import Target
from ...mysql.cleaner import Cleaner
from ...mysql.kind import kind_of
from ...mysql.rds_login import ASKS_NOTHING, UpstreamSession
from ...rds.pool import Unfit
from .report import Finding, Status


async def try_reuse(
    target: Target, session: UpstreamSession, login_seconds: float, now: Callable[[], float] = time.monotonic
) -> Finding:
    """`login_seconds`: what a login took, and a lent session saves."""
    name, kind = parse_rds_name(target.address.host), kind_of(ASKS_NOTHING, {}, session.identity)
    if name is not None and name.kind.is_proxy:
        return Finding("reuse", Status.WARNING, "an RDS Proxy pools by itself: its sessions are not lent again")
    if kind is None:
        raise AssertionError("a login that asks for nothing has a kind")
    cleaner, began = Cleaner(), now()
    try:
        await cleaner.learn(session, kind)
        await cleaner.clean(session, kind)  # may find out first what a reset loses
        began = now()
        await cleaner.clean(session, kind)
    except (Unfit, OSError) as exc:
        why = str(exc) or type(exc).__name__
        text = f"sessions cannot be lent again here ({why}): each client gets a login of its own"
        return Finding("reuse", Status.WARNING, text, now() - began)
    spent = now() - began
    text = f"a used session is proved clean in {spent * 1000:.1f} ms; this login took {login_seconds * 1000:.0f} ms"
    return Finding("reuse", Status.OK, text, spent)
