"""Small queries with sysbench: how many, how quick, and what each costs the relay."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from .. import sysbench
from ..lab import DIRECT, PROXY, PROXY_TLS, ROUTER, TABLES, Lab
from ..samples import Sample
from ..schedule import Scale, interleaved
from ..subjects import Subject

MEASURE = "queries"


@dataclass(frozen=True, slots=True)
class Load:
    """A sysbench script at some numbers of connections."""

    title: str
    script: str
    options: tuple[str, ...]
    connections: tuple[int, ...]

    def case(self, connections: int) -> str:
        return f"{self.title}, {connections} connection{'s' if connections > 1 else ''}"


POINT_SELECTS = Load("point select", "oltp_point_select", ("--db-ps-mode=disable",), (1, 8, 32, 128))
LOADS = (
    POINT_SELECTS,
    Load("prepared point select", "oltp_point_select", ("--db-ps-mode=auto",), (8, 32)),
    Load("read-write transaction", "oltp_read_write", ("--db-ps-mode=disable",), (8, 32)),
)


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    for load in LOADS if not scale.smoke else (LOADS[0], LOADS[-1]):
        for connections in load.connections if not scale.smoke else (8,):
            names = (DIRECT, PROXY, PROXY_TLS, ROUTER) if load is POINT_SELECTS else (DIRECT, PROXY, ROUTER)
            take = partial(_take, lab, load, connections, scale.whole_seconds(7))
            yield from interleaved(MEASURE, load.case(connections), lab.some(*names), scale, take)


def _take(lab: Lab, load: Load, connections: int, seconds: int, subject: Subject) -> dict[str, float]:
    options = (*TABLES, *load.options)
    figures = sysbench.run(subject, load.script, options, threads=connections, seconds=seconds, tls=lab.tls_files)
    values = {"queries_per_second": figures.queries_per_second}
    values |= {f"p{percent}_ms": figures.latency(percent) for percent in (50, 95, 99)}
    if figures.cpu is not None:
        values["cpu_user_us"] = figures.cpu.user / figures.queries * 1e6
        values["cpu_system_us"] = figures.cpu.system / figures.queries * 1e6
    return values
