"""`make fleet-run`: every scenario with a Redis and a Valkey store, 20 seconds each; the figures go to docs/fleet.md.

Leave the machine alone meanwhile: half of it is about milliseconds. `python -m fleet --seconds 12 --store redis-7.0`
shows in two minutes that it works, and writes nothing.
"""

import argparse
import datetime
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fleet import results, scenarios
from servers.real_server import RealServer, start_server
from servers.stores import STORES

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS, PAGE = DOCS / "fleet.json", DOCS / "fleet.md"
BEGIN, END = "<!-- figures: made by `make fleet-run` -->", "<!-- end of figures -->"
SECONDS = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0: everything was within its limits."""
    parser = argparse.ArgumentParser(prog="python -m fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--store", action="append", choices=STORES)
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "day": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "stores": {store: _run(store, options.seconds) for store in options.store or STORES},
    }
    verdicts = results.verdicts(found["stores"])
    _say("\n".join(map(str, verdicts)))
    whole = all("was not run" not in verdict.text for verdict in verdicts)
    if whole and options.seconds == SECONDS and not options.store:
        _write(found)
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _write(found: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + results.page_part(found) + END + rest.partition(END)[2])


def _run(store: str, seconds: float) -> results.Found:
    found: results.Found = {"scenarios": []}
    server = start_server("mysql-9.7")
    try:
        _try(store, lambda: _outages(server, store, seconds, found))
        _try(store, lambda: _throttling(server, store, seconds, found))
    finally:
        server.stop()
    _try(store, lambda: _half_load(store, seconds, found))
    return found


def _try(store: str, part: Callable[[], None]) -> None:
    """What fails costs its own figures, and not those of the minutes before."""
    try:
        part()
    except Exception:
        _say(f"{store}: {traceback.format_exc()}")


def _outages(server: RealServer, store: str, seconds: float, found: results.Found) -> None:
    with scenarios.stage(server, store) as stage:
        for outage in scenarios.OUTAGES:
            found["scenarios"].append(results.row(outage(stage, seconds)))
            _say(f"{store}: {found['scenarios'][-1]}")


def _throttling(server: RealServer, store: str, seconds: float, found: results.Found) -> None:
    with scenarios.stage(server, store) as stage:
        found["throttling"] = results.throttling_row(scenarios.throttled(stage, seconds=1.5 * seconds))
        _say(f"{store}: {found['throttling']}")


def _half_load(store: str, seconds: float, found: results.Found) -> None:
    found["half load"] = results.latency_row(scenarios.half_load(store, seconds=seconds))
    _say(f"{store}: {found['half load']}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
