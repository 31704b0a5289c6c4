"""Logins with PyMySQL: connect, SELECT 1, quit. And where the time of one goes inside the proxy."""

import statistics
import time
from collections.abc import Iterator
from functools import partial

from .. import probed_proxy
from ..drivers import order
from ..drivers.logins import PYMYSQL
from ..lab import DIRECT, PROXY, ROUTER, Lab
from ..process import BrokenRun
from ..proxy import running_proxy
from ..samples import Sample
from ..schedule import Scale, interleaved

MEASURE = "logins"
PHASES = "login phases"
AT_ONCE = (1, 16)
PARTS = {
    "front": ("front",),
    "wait": ("wait",),
    "dial": ("connect", "greeting"),
    "tls": ("tls",),
    "token": ("credentials",),
    "auth": ("token_request", "verdict"),
}
"""Columns, and the steps of the proxy that each adds up."""


def case(at_once: int) -> str:
    return "one after another" if at_once == 1 else f"{at_once} at once"


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    by_token = lab.direct_by_token()
    subjects = (*(by_token[:1] if scale.smoke else by_token), *lab.some(DIRECT, PROXY, ROUTER))
    for at_once in AT_ONCE:
        take = partial(order.run, "logins", client=PYMYSQL, at_once=at_once, seconds=scale.seconds(5))
        yield from interleaved(MEASURE, case(at_once), subjects, scale, take)


def measure_phases(lab: Lab, scale: Scale) -> Iterator[Sample]:
    """On a proxy with clocks in it. A step that no login had to take took no time."""
    with running_proxy(lab.server, lab.folder / "phases", probed=True) as proxy:
        subject = lab.subject(PROXY).through(proxy.pid, proxy.port)
        for at_once in AT_ONCE:
            for number in range(scale.rounds):
                began = time.monotonic()
                order.run("logins", subject, client=PYMYSQL, at_once=at_once, seconds=scale.seconds(3))
                time.sleep(2 * probed_proxy.WRITE_INTERVAL)
                seen = probed_proxy.read(proxy.folder / "probe", began, time.monotonic())
                if not seen.get("verdict"):
                    raise BrokenRun("the probed proxy wrote nothing of its logins")
                medians = {step: statistics.median(seconds) * 1e3 for step, seconds in seen.items()}
                values = {f"{name}_ms": sum(medians.get(s, 0.0) for s in steps) for name, steps in PARTS.items()}
                yield Sample(PHASES, case(at_once), PROXY, number + 1, values)
