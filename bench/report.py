"""Writes docs/benchmarks.md and its charts from runs. Judges nothing that `targets` does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import gains
from .charts import Bar, Group, bar_chart
from .figures import Figures, Value, cpu, named
from .lab import DIRECT, DIRECT_WAYS, PROXY, ROUTER, TITLES, TOKEN
from .measures import bulk, lent, logins, many, memory, queries, startup
from .postgres_figures import PostgresRun
from .samples import Run
from .targets import LOGINS, MBPS, PER_GIGABYTE, PER_QUERY, QPS, SERVER_CPU, targets

QUIET_LOAD = 0.5
COLOURS = {DIRECT: "#2f6fb7", TOKEN: "#2f6fb7", PROXY: "#d9822b", ROUTER: "#4f9d69"}
NOTES = Path(__file__).parent / "notes.md"

Cell = Callable[[Figures, str, str], float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a figure of a case and subject."""

    title: str
    cell: Cell
    format: str


def write(runs: Sequence[Run], docs: Path) -> None:
    """`docs`: the folder that gets benchmarks.md, and benchmarks/ with charts and the runs themselves."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, 1):
        run.save(folder / f"run-{number}.json")
    figures = [Figures(run) for run in runs]
    charts = _charts(figures[-1])
    for name, svg in charts.items():
        (folder / f"{name}.svg").write_text(svg)
    pictures = "\n\n".join(f"![{name.replace('-', ' ')}](benchmarks/{name}.svg)" for name in charts)
    parts = [
        "# Benchmarks\n",
        gains.text(figures[-1]),
        _head(runs),
        _targets(figures),
        f"## Charts\n\nOf the last run.\n\n{pictures}\n",
        *_tables(figures),
        postgres.section() if (postgres := PostgresRun.load(folder)) else "",
        NOTES.read_text() if NOTES.exists() else "",
    ]
    (docs / "benchmarks.md").write_text("\n".join(part for part in parts if part))


def _head(runs: Sequence[Run]) -> str:
    lines = [
        "## How it was measured",
        "",
        "Written by `make bench` from the figures of its runs, which are in [benchmarks/](benchmarks/). One MySQL "
        "server, and three ways to it: directly over TLS, through this proxy, and through MySQL Router "
        "(`client_ssl_mode=PREFERRED`, `server_ssl_mode=REQUIRED`, `connection_sharing=0`). Clients speak to proxy and "
        "Router without TLS unless a row says otherwise; both speak TLS to the server. Everything runs on one machine, "
        "so client, relay and server share its cores.",
        "",
        "Every case is measured in rounds, each way once per round. A figure is the median of the rounds, a ratio is "
        "the median of the rounds' ratios. CPU is that of the relaying process, as the kernel accounts for it.",
        "",
        "| | " + " | ".join(f"run {number}" for number, _ in enumerate(runs, 1)) + " |",
        "| --- |" + " --- |" * len(runs),
        _row("began", [run.began for run in runs]),
        _row("took", [f"{run.seconds / 60:.0f} minutes, {run.rounds} rounds" for run in runs]),
        _row("load before", [f"{run.load_before:.2f}{_provisional(run)}" for run in runs]),
    ]
    lines += [_row(name, [run.machine.get(name, "") for run in runs]) for name in runs[-1].machine]
    return "\n".join(lines) + "\n"


def _provisional(run: Run) -> str:
    faults = [text for text, wrong in (("short", run.scale < 1), ("not quiet", run.load_before >= QUIET_LOAD)) if wrong]
    return f" (provisional: {' and '.join(faults)})" if faults else ""


def _targets(runs: Sequence[Figures]) -> str:
    lines = [
        "## Targets",
        "",
        "| | wanted | " + " | ".join(f"run {number}" for number, _ in enumerate(runs, 1)) + " |",
        "| --- | --- |" + " ---: |" * len(runs),
    ]
    for same in zip(*map(targets, runs), strict=True):
        cells = [
            "-" if one.figure is None else f"{one.figure:.2f} {'holds' if one.holds else '**missed**'}" for one in same
        ]
        lines.append(_row(same[0].what, [f"{same[0].wanted} {same[0].unit}", *cells]))
    return "\n".join(lines) + "\n"


def _median(measure: str, value: Value) -> Cell:
    return lambda figures, case, subject: figures.median(measure, case, subject, value)


def _ratio(measure: str, base: str, value: Value) -> Cell:
    return lambda figures, case, subject: (
        figures.ratio(measure, case, subject, base, value) if subject != base else None
    )


def _tables(runs: Sequence[Figures]) -> list[str]:
    many_runs = f" Each cell: {' / '.join(f'run {n}' for n, _ in enumerate(runs, 1))}." if len(runs) > 1 else ""
    q, b, g = queries.MEASURE, bulk.MEASURE, logins.MEASURE
    return [
        _table(
            runs,
            q,
            "Queries",
            f"sysbench, 4 tables of 10,000 rows. Latencies are of a whole transaction.{many_runs}",
            Column("queries/s", _median(q, QPS), ",.0f"),
            Column("to direct", _ratio(q, DIRECT, QPS), ".2f"),
            Column("to Router", _ratio(q, ROUTER, QPS), ".2f"),
            *(Column(f"p{p} ms", _median(q, named(f"p{p}_ms")), ".2f") for p in (50, 95, 99)),
            Column("user µs/query", _median(q, _if_there("cpu_user_us")), ".1f"),
            Column("system µs/query", _median(q, _if_there("cpu_system_us")), ".1f"),
            Column("CPU to Router", _ratio_if_relayed(q, PER_QUERY), ".2f"),
        ),
        _table(
            runs,
            b,
            "Big results and statements",
            f"One connection; the client only counts bytes.{many_runs}",
            Column("MB/s", _median(b, MBPS), ",.0f"),
            Column("to direct", _ratio(b, DIRECT, MBPS), ".2f"),
            Column("CPU s/GB", _median_if_relayed(b, PER_GIGABYTE), ".2f"),
            Column("CPU to Router", _ratio_if_relayed(b, PER_GIGABYTE), ".2f"),
        ),
        _table(
            runs,
            g,
            "Logins",
            f"PyMySQL: connect, `SELECT 1`, quit; at once: each client in a process of its own.{many_runs}",
            Column("logins/s", _median(g, LOGINS), ",.0f"),
            Column("to direct by token", _ratio(g, TOKEN, LOGINS), ".2f"),
            Column("median ms", _median(g, named("median_ms")), ".2f"),
            Column("p95 ms", _median(g, named("p95_ms")), ".2f"),
            Column("CPU ms/login", _median_if_relayed(g, cpu("_ms")), ".2f"),
        ),
        _table(
            runs,
            lent.MEASURE,
            "Logins that are lent a session",
            f"Connect, `SELECT 1`, quit. Router pools used connections with `connection_sharing=0` too.{many_runs}",
            Column("logins/s", _median(lent.MEASURE, LOGINS), ",.0f"),
            Column("to direct by token", _ratio(lent.MEASURE, TOKEN, LOGINS), ".2f"),
            Column("to Router", _ratio(lent.MEASURE, ROUTER, LOGINS), ".2f"),
            Column("median ms", _median(lent.MEASURE, named("median_ms")), ".2f"),
            Column("p95 ms", _median(lent.MEASURE, named("p95_ms")), ".2f"),
            Column("CPU ms/login", _median_if_relayed(lent.MEASURE, cpu("_ms")), ".2f"),
            Column("server's CPU ms/login", _median(lent.MEASURE, _if_there(SERVER_CPU)), ".2f"),
        ),
        _table(
            runs,
            logins.PHASES,
            "Where the time of a login goes",
            f"Medians in ms, on a proxy with clocks in it; what the client does is in the first alone.{many_runs}",
            *(Column(p, _median(logins.PHASES, named(f"{p}_ms")), ".2f") for p in logins.PARTS),
        ),
        _table(
            runs,
            memory.MEASURE,
            "Memory",
            f"{memory.COUNT:,} idle sessions. RSS without them, and how much anonymous memory each adds.{many_runs}",
            Column("RSS, MB", _median(memory.MEASURE, _scaled("rss_before", 1e6)), ".1f"),
            Column("kB/session", _median(memory.MEASURE, _scaled("per_session", 1e3)), ".1f"),
            Column("kB/session after 10 MB", _median(memory.MEASURE, _scaled("per_used_session", 1e3)), ".1f"),
        ),
        _table(
            runs,
            many.MEASURE,
            "Many sessions",
            f"Point selects on the busy ones, the others idle.{many_runs}",
            Column("queries/s", _median(many.MEASURE, QPS), ",.0f"),
            Column("event-loop lag p50 ms", _median(many.MEASURE, named("lag_p50_ms")), ".2f"),
            Column("p99 ms", _median(many.MEASURE, named("lag_p99_ms")), ".2f"),
        ),
        _table(
            runs,
            startup.MEASURE,
            "Start",
            many_runs.strip(),
            Column("seconds", _median(startup.MEASURE, named("seconds")), ".3f"),
        ),
    ]


def _if_there(name: str) -> Value:
    return lambda values: values.get(name, float("nan"))


def _scaled(name: str, divisor: float) -> Value:
    return lambda values: values[name] / divisor


def _median_if_relayed(measure: str, value: Value) -> Cell:
    def cell(figures: Figures, case: str, subject: str) -> float | None:
        return None if subject in DIRECT_WAYS else figures.median(measure, case, subject, value)

    return cell


def _ratio_if_relayed(measure: str, value: Value) -> Cell:
    def cell(figures: Figures, case: str, subject: str) -> float | None:
        if subject in (*DIRECT_WAYS, ROUTER):
            return None
        return figures.ratio(measure, case, subject, ROUTER, value)

    return cell


def _table(runs: Sequence[Figures], measure: str, title: str, text: str, *columns: Column) -> str:
    cases = runs[-1].cases(measure)
    if not cases:
        return ""
    lines = [
        f"## {title}",
        "",
        *([text, ""] if text else []),
        "| | | " + " | ".join(column.title for column in columns) + " |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for case in cases:
        shown = sorted(runs[-1].subjects(measure, case), key=list(TITLES).index)
        for subject in shown:
            cells = [
                " / ".join(_shown(column.cell(run, case, subject), column.format) for run in runs) for column in columns
            ]
            cells = ["" if not set(cell) - set("- /") else cell for cell in cells]
            lines.append(_row(case if subject == shown[0] else "", [TITLES[subject], *cells]))
    return "\n".join(lines) + "\n"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None or value != value else format(value, form)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _charts(figures: Figures) -> dict[str, str]:
    points = [queries.POINT_SELECTS.case(n) for n in queries.POINT_SELECTS.connections]
    user, system = named("cpu_user_us"), named("cpu_system_us")
    split = (user, system)
    charts = {
        "cpu-per-query": _chart(
            figures, "CPU of the relay per point select, µs", queries.MEASURE, points, (PROXY, ROUTER), split, ".1f",
            note="dark: user, pale: system",
        ),
        "queries-per-second": _chart(
            figures, "Point selects per second", queries.MEASURE, points, (DIRECT, PROXY, ROUTER), (QPS,), ",.0f"
        ),
        "bulk": _chart(
            figures, "Big results and statements, MB/s", bulk.MEASURE, figures.cases(bulk.MEASURE),
            (DIRECT, PROXY, ROUTER), (MBPS,), ",.0f",
        ),
        "logins": _chart(
            figures, "Logins per second", logins.MEASURE, figures.cases(logins.MEASURE),
            (TOKEN, PROXY, ROUTER), (LOGINS,), ",.0f",
        ),
        "memory": _chart(
            figures, "Memory per idle session that fetched 10 MB, kB", memory.MEASURE, figures.cases(memory.MEASURE),
            (PROXY, ROUTER), (_scaled("per_used_session", 1e3),), ".1f",
        ),
    }  # fmt: skip
    return {name: svg for name, svg in charts.items() if svg}


def _chart(
    figures: Figures,
    title: str,
    measure: str,
    cases: Sequence[str],
    subjects: Sequence[str],
    parts: Sequence[Value],
    form: str,
    note: str = "",
) -> str:
    groups = []
    for case in cases:
        bars = []
        for subject in subjects:
            if subject in figures.subjects(measure, case):
                values = tuple(figures.median(measure, case, subject, part) or 0.0 for part in parts)
                bars.append(Bar(COLOURS[subject], values, format(sum(values), form)))
        if bars:
            groups.append(Group(case, tuple(bars)))
    series = {TITLES[subject]: COLOURS[subject] for subject in subjects}
    return bar_chart(title, series, groups, note) if groups else ""
