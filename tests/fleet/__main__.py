"""`make fleet-run`: every scenario with a Redis and a Valkey store, 20 seconds each; the figures go to docs/fleet.md.

Leave the machine alone meanwhile: half of it is about milliseconds.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from fleet import scenarios
from fleet.scenarios import Figures, Latency
from servers.real_server import start_server
from servers.stores import STORES

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS, PAGE = DOCS / "fleet.json", DOCS / "fleet.md"
BEGIN, END = "<!-- figures: made by `make fleet-run` -->", "<!-- end of figures -->"


def main() -> int:
    """0: everything was within its limits."""
    results: dict[str, Any] = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "stores": {}}
    for store in STORES:
        results["stores"][store] = _run(store)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + page_part(results) + END + rest.partition(END)[2])
    faults = list(_faults(results))
    for fault in faults:
        _say(f"NOT MET: {fault}")
    return 1 if faults else 0


def _run(store: str) -> dict[str, Any]:
    server = start_server("mysql-9.7")
    try:
        rows = []
        with scenarios.stage(server, store) as stage:
            for outage in scenarios.OUTAGES:
                rows.append(_row(outage(stage)))
                _say(f"{store}: {rows[-1]}")
        with scenarios.stage(server, store) as stage:
            throttled = scenarios.throttled(stage)
            settled = sum(throttled.seconds / 2 <= at for at in throttled.accepted) / (throttled.seconds / 2)
            rows.append(_row(throttled) | {"settled": round(settled, 1)})
            _say(f"{store}: {rows[-1]}")
    finally:
        server.stop()
    latency = _latency(scenarios.half_load(store))
    _say(f"{store}: half load {latency}")
    return {"scenarios": rows, "half load": latency}


def _row(figures: Figures) -> dict[str, Any]:
    return {
        "name": figures.name,
        "used": round(figures.used, 3),
        "most above": round(figures.most_above, 1),
        "per proxy": figures.per_proxy,
        "errors": {str(code): count for code, count in sorted(figures.codes.items())},
        "refused by the server": len(figures.refused_by_server),
    }


def _latency(latency: Latency) -> dict[str, float]:
    """Milliseconds."""
    names = {"call p50": (latency.calls, 0.5), "call p99": (latency.calls, 0.99)}
    names |= {"permit p50": (latency.permits, 0.5), "permit p99": (latency.permits, 0.99)}
    return {name: round(values[int(len(values) * part)] * 1000, 2) for name, (values, part) in names.items()}


def page_part(results: dict[str, Any]) -> str:
    """The tables of docs/fleet.md."""
    lines = [f"Measured on {results['processors']} processors, load {results['load']} at the start.", ""]
    lines += ["| | store | used of the rate | most above rate·t, any window | logins of each proxy | clients saw |"]
    lines += ["| --- | --- | ---: | ---: | --- | --- |"]
    for store, found in results["stores"].items():
        for row in found["scenarios"]:
            errors = ", ".join(f"{count} of {code}" for code, count in row["errors"].items()) or "no error"
            each = ", ".join(map(str, row["per proxy"]))
            lines.append(f"| {row['name']} | {store} | {row['used']:.3f} | {row['most above']:g} | {each} | {errors} |")
    lines += ["", "| half load, milliseconds | call p50 | call p99 | permit p50 | permit p99 |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for store, found in results["stores"].items():
        lines.append(f"| {store} | " + " | ".join(f"{value:.2f}" for value in found["half load"].values()) + " |")
    return "\n".join(lines) + "\n"


def _faults(results: dict[str, Any]) -> list[str]:
    """What is not as it should be on a quiet machine."""
    faults = []
    for store, found in results["stores"].items():
        for row in found["scenarios"]:
            if row["most above"] > 10:
                faults.append(f"{store}, {row['name']}: {row['most above']} above the rate")
            if set(row["errors"]) - {"1040"}:
                faults.append(f"{store}, {row['name']}: clients saw {row['errors']}")
            if row["name"] == "saturated" and row["used"] < 0.97:
                faults.append(f"{store}: {row['used']} of the rate used")
        ms = found["half load"]
        if ms["permit p50"] > ms["call p50"] + 1 or ms["permit p99"] > ms["call p99"] + 5:
            faults.append(f"{store}: {ms}")
    return faults


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
