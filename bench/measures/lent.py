"""Logins as PHP and Python do them, where used sessions are lent again and where they are not."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from conformance.places import php
from servers.errors import Unavailable

from ..drivers import order
from ..drivers.logins import MYSQLI, PDO, PYMYSQL
from ..lab import PROXY, PROXY_LENDS, ROUTER, ROUTER_SHARES, Lab
from ..proxy import running_proxy
from ..router import running_router
from ..samples import Sample
from ..schedule import Scale, interleaved
from ..subjects import Subject
from .logins import AT_ONCE
from .logins import case as how_many

MEASURE = "lent sessions"


def case(client: str, at_once: int) -> str:
    return f"{client}, {how_many(at_once)}"


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    with ExitStack() as stack:
        lending = stack.enter_context(running_proxy(lab.server, lab.folder / "lending", lends=True))
        sharing = stack.enter_context(running_router(lab.server, shares=True))
        subjects = (
            lab.direct_by_token()[0],
            lab.subject(PROXY),
            lab.subject(PROXY).named(PROXY_LENDS).through(lending.pid, lending.port),
            lab.subject(ROUTER),
            lab.subject(ROUTER).named(ROUTER_SHARES).through(sharing.pid, sharing.port),
        )
        yield from _of_each_client(subjects, scale, lab.server.process.pid)


def _of_each_client(subjects: Sequence[Subject], scale: Scale, server: int) -> Iterator[Sample]:
    """`server`: its process, whose CPU is counted too."""
    for client in _clients():
        for at_once in AT_ONCE[:1] if scale.smoke else AT_ONCE:
            take = partial(
                order.run, "logins", client=client, at_once=at_once, seconds=scale.seconds(2.5), server=server
            )
            yield from interleaved(MEASURE, case(client, at_once), subjects, scale, take)


def _clients() -> Sequence[str]:
    """PHP's where there is a PHP that has them."""
    try:
        php()
    except Unavailable:
        return (PYMYSQL,)
    return (PYMYSQL, MYSQLI, PDO)
