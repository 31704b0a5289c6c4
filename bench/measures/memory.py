"""Memory of the relay per idle session: fresh ones, and ones that have fetched 10 MB and are idle again."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator

from ..accounting import Memory, memory_of
from ..drivers import order
from ..lab import PROXY, ROUTER, Lab
from ..process import BrokenRun
from ..proxy import running_proxy
from ..router import running_router
from ..samples import Sample
from ..schedule import Scale
from ..subjects import Subject

MEASURE = "memory"
CASE = "idle sessions"
COUNT = 1000
TEN_MEGABYTES = "SELECT content FROM megabytes"
ROUNDS = 1
"""Memory hardly varies."""

SETTLE_SECONDS = 0.5


@contextlib.contextmanager
def holding(subject: Subject, count: int, **details: object) -> Iterator[Callable[[], None]]:
    """So many idle sessions until the context ends; the function has each fetch the `statement` once."""
    with order.start("sessions") as driver:
        try:
            _tell(driver, subject.order(count=count, **details), subject)
            yield lambda: _tell(driver, "fetch", subject)
        finally:
            driver.kill()


def _tell(driver: "subprocess.Popen[str]", word: str, subject: Subject) -> None:
    if driver.stdin is None or driver.stdout is None:
        raise AssertionError("a driver has pipes")
    driver.stdin.write(word + "\n")
    driver.stdin.flush()
    if driver.stdout.readline() != "ready\n":
        raise BrokenRun(f"the sessions through {subject.name} broke off")


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    for number in range(min(ROUNDS, scale.rounds)):
        with running_proxy(lab.server, lab.folder / f"memory-{number}") as proxy:
            yield _take(lab.subject(PROXY).through(proxy.pid, proxy.port), number + 1, scale)
        with running_router(lab.server) as router:
            yield _take(lab.subject(ROUTER).through(router.pid, router.port), number + 1, scale)


def _take(subject: Subject, number: int, scale: Scale) -> Sample:
    if subject.pid is None:
        raise AssertionError("memory of a relay")
    count = scale.count(COUNT, 50)
    with holding(subject, 1):  # its first token and its first connection are no session's
        before = _settled(subject.pid)
    with holding(subject, count, statement=TEN_MEGABYTES) as fetch:
        idle = _settled(subject.pid)
        fetch()
        used = _settled(subject.pid)
    values = {
        "rss_before": float(before.rss),
        "per_session": (idle.own - before.own) / count,
        "per_used_session": (used.own - before.own) / count,
    }
    return Sample(MEASURE, CASE, subject.name, number, values)


def _settled(pid: int) -> Memory:
    time.sleep(SETTLE_SECONDS)
    return memory_of(pid)
