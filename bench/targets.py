"""What the figures must show, and whether a run shows it."""

from collections.abc import Iterator
from dataclasses import dataclass

from .figures import Figures, cpu, named
from .lab import DIRECT, PROXY, PROXY_LENDS, ROUTER, ROUTER_SHARES, TOKEN
from .measures import bulk, lent, logins, many, memory, queries, startup

QPS = named("queries_per_second")
MBPS = named("megabytes_per_second")
LOGINS = named("logins_per_second")
SERVER_CPU = "server_cpu_ms"
"""Of a login, at the server; runs of before it was counted have none."""

PER_QUERY, PER_GIGABYTE = cpu("_us"), cpu("_per_gigabyte")


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` None: not measured. `at_least` and `at_most`: one of them is None."""

    what: str
    figure: float | None
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool | None:
        if self.figure is None:
            return None
        if self.at_least is not None:
            return self.figure >= self.at_least
        return self.at_most is None or self.figure <= self.at_most

    @property
    def wanted(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def line(self) -> str:
        shown = "not measured" if self.figure is None else f"{self.figure:.2f} {self.unit}".strip()
        word = {True: "holds ", False: "MISSED", None: "      "}[self.holds]
        return f"{word}  {self.what}: {shown} (target {self.wanted} {self.unit}".rstrip() + ")"


def targets(figures: Figures) -> Iterator[Target]:
    """All of them, in the order of the measures."""
    yield from _queries(figures)
    yield from _bulk(figures)
    case = logins.case(1)
    ratio = figures.ratio(logins.MEASURE, case, PROXY, TOKEN, LOGINS)
    yield Target("logins one after another, rate to a direct IAM login's", ratio, "times", at_least=1.15)
    yield from _lent(figures)
    yield from _memory(figures)
    ratio = figures.ratio_of_cases(many.MEASURE, many.AMONG, many.ALONE, PROXY, QPS)
    yield Target("2,000 sessions open, 50 busy: rate to 50 open", ratio, "times", at_least=0.9)
    lag = figures.median(many.MEASURE, many.AMONG, PROXY, named("lag_p99_ms"))
    yield Target("2,000 sessions open, 50 busy: event-loop lag p99", lag, "ms", at_most=20)
    seconds = named("seconds")
    listening = figures.median(startup.MEASURE, startup.LISTENING, PROXY, seconds)
    yield Target("from start to listening", listening, "s", at_most=0.6)
    yield Target("--version", figures.median(startup.MEASURE, startup.VERSION, PROXY, seconds), "s", at_most=0.15)


def _queries(figures: Figures) -> Iterator[Target]:
    for connections in queries.POINT_SELECTS.connections:
        case = queries.POINT_SELECTS.case(connections)
        ratio = figures.ratio(queries.MEASURE, case, PROXY, ROUTER, PER_QUERY)
        yield Target(f"{case}: CPU to Router's", ratio, "times", at_most=0.6)
        ratio = figures.ratio(queries.MEASURE, case, PROXY, ROUTER, QPS)
        yield Target(f"{case}: rate to Router's", ratio, "times", at_least=1.2)
        ratio = figures.ratio(queries.MEASURE, case, PROXY, DIRECT, QPS)
        yield Target(f"{case}: rate to direct", ratio, "times", at_least=0.55)


def _bulk(figures: Figures) -> Iterator[Target]:
    for transfer in bulk.TRANSFERS:
        ratio = figures.ratio(bulk.MEASURE, transfer.case, PROXY, DIRECT, MBPS)
        yield Target(f"{transfer.case}: MB/s to direct", ratio, "times", at_least=0.95)
        ratio = figures.ratio(bulk.MEASURE, transfer.case, PROXY, ROUTER, PER_GIGABYTE)
        yield Target(f"{transfer.case}: CPU to Router's", ratio, "times", at_most=0.85)


def _lent(figures: Figures) -> Iterator[Target]:
    for case in figures.cases(lent.MEASURE):
        for base, name, least in (
            (TOKEN, "direct by token", 2.0),
            (ROUTER_SHARES, "Router that shares", 1.0),
            (ROUTER, "Router", 0.8),
        ):
            ratio = figures.ratio(lent.MEASURE, case, PROXY_LENDS, base, LOGINS)
            yield Target(f"{case}: lent logins, rate to {name}", ratio, "times", at_least=least)
        used = figures.median(lent.MEASURE, case, PROXY_LENDS, cpu("_ms"))
        yield Target(f"{case}: CPU of a lent login", used, "ms", at_most=1.0)
        ratio = figures.ratio(lent.MEASURE, case, PROXY_LENDS, PROXY, lambda values: values.get(SERVER_CPU, 0.0))
        yield Target(f"{case}: the server's CPU for a lent login to a new one's", ratio, "times", at_most=0.125)


def _memory(figures: Figures) -> Iterator[Target]:
    for what, name, most in (
        ("memory per idle session", "per_session", 42.0),
        ("memory per idle session that fetched 10 MB", "per_used_session", 46.0),
    ):
        found = figures.median(memory.MEASURE, memory.CASE, PROXY, named(name))
        yield Target(what, None if found is None else found / 1e3, "kB", at_most=most)
    rss = figures.median(memory.MEASURE, memory.CASE, PROXY, named("rss_before"))
    yield Target("RSS with one target after its first token", None if rss is None else rss / 1e6, "MB", at_most=80)
