"""`python -m bench run | smoke | report | churn`: measures, prints which targets hold, writes docs/benchmarks.md."""

import argparse
import datetime
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from servers.errors import Broken, Unavailable

from . import churn, machine, report
from .figures import Figures
from .lab import Lab, open_lab
from .measures import bulk, lent, logins, many, memory, queries, startup
from .process import BrokenRun
from .samples import Run, Sample
from .schedule import FULL_ROUNDS, Scale
from .sysbench import require_sysbench
from .targets import targets

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"
SMOKE = Scale(rounds=1, factor=0.05, smoke=True)

Measure = Callable[[Lab, Scale], Iterator[Sample]]

MEASURES: Mapping[str, Measure] = {
    "queries": queries.measure,
    "bulk": bulk.measure,
    "logins": logins.measure,
    "lent": lent.measure,
    "phases": logins.measure_phases,
    "memory": memory.measure,
    "many": many.measure,
    "startup": startup.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: it ran, whatever the figures say; 1: a part of it did not work, or after `churn` something has grown."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "report":
            report.write([Run.load(path) for path in options.results or _latest()], DOCS)
            return 0
        if options.command == "churn":
            return 0 if churn.run(options.minutes, options.clients, on_asyncio=options.asyncio) else 1
        smoke = options.command == "smoke"
        scale = SMOKE if smoke else Scale(options.rounds, options.factor)
        run = _run(None if smoke else options.only, scale)
    except (BrokenRun, Broken, Unavailable) as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    _print_targets(run)
    if not smoke:
        path = RESULTS / f"{run.began.replace(':', '')}.json"
        run.save(path)
        print(f"bench: the figures are in {path}")
        if not options.only:
            report.write([Run.load(found) for found in _latest()], DOCS)
            print(f"bench: wrote {DOCS / 'benchmarks.md'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="all measures, about 35 minutes; leave the machine alone meanwhile")
    run.add_argument("--rounds", type=int, default=FULL_ROUNDS)
    run.add_argument("--factor", type=float, default=1.0, help="of all durations and counts; below 1 is provisional")
    run.add_argument("--only", action="append", choices=list(MEASURES), help="this measure; may be repeated")
    commands.add_parser("smoke", help="every measure for a moment; fails only if something does not work")
    flat = commands.add_parser(
        "churn", help="clients of all kinds at full speed; fails if anything grows or is left over"
    )
    flat.add_argument("--minutes", type=float, default=20.0)
    flat.add_argument("--clients", type=int, default=8, help="processes; default 8")
    flat.add_argument("--asyncio", action="store_true", help="the proxy without uvloop")
    again = commands.add_parser("report", help="write docs/benchmarks.md again from the last two runs, or from these")
    again.add_argument("results", type=Path, nargs="*")
    return parser


def _latest() -> list[Path]:
    """The last two complete runs."""
    found = []
    for path in sorted(RESULTS.glob("*.json"), reverse=True):
        if {sample.measure for sample in Run.load(path).samples} >= {queries.MEASURE, startup.MEASURE, memory.MEASURE}:
            found.append(path)
        if len(found) == 2:
            break
    if not found:
        raise BrokenRun(f"there is no complete run in {RESULTS}")
    return found[::-1]


def _run(only: Sequence[str] | None, scale: Scale) -> Run:
    require_sysbench()
    load, began = machine.load(), time.monotonic()
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    samples: list[Sample] = []
    with open_lab() as lab:
        for name in only or MEASURES:
            for sample in MEASURES[name](lab, scale):
                samples.append(sample)
                print(f"{time.monotonic() - began:6.0f} s  {_line(sample)}", flush=True)
        described = machine.describe(lab)
    return Run(at, round(time.monotonic() - began), scale.rounds, scale.factor, load, described, tuple(samples))


def _line(sample: Sample) -> str:
    values = "  ".join(
        f"{name}={value:,.3g}" if value < 1000 else f"{name}={value:,.0f}" for name, value in sample.values.items()
    )
    return f"{sample.measure}: {sample.case}, {sample.subject}, round {sample.round}: {values}"


def _print_targets(run: Run) -> None:
    print("\nTargets:")
    for target in targets(Figures(run)):
        print(f"  {target.line()}")


if __name__ == "__main__":
    sys.exit(main())
