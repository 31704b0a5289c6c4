"""What `make fleet-run` found: rows of figures, whether each is as it should be, and the tables of docs/fleet.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.scenarios import Figures, Latency, Throttling

MOST_ABOVE = 10
"""Logins by which the fullest window may exceed rate * t."""

LEAST_USED = {
    "saturated": 0.97,
    "store stopped": 0.80,
    "store emptied": 0.88,
    "store killed": 0.80,
    "failover": 0.85,
    "proxy stopped": 0.88,
    "proxy killed": 0.85,
}
"""Of the rate, over the whole scenario: what each outage may cost at most."""

LEAST_MEANWHILE = {"store stopped": 0.90, "proxy stopped": 0.70, "proxy killed": 0.70}
"""While it lasts: all shares, or all but that of the one that is gone, less what a moment more or less makes."""

LEAST_AFTERWARDS = 0.93

LEAST_SETTLED = 0.70
"""Of what a server bears that throttles: below it, but not far."""

MEDIAN_MS, P99_MS = 1.0, 5.0
"""What a permit may take beyond a call to the store at half load."""

DENIED = "1045"

Found = dict[str, Any]
"""The figures of one store, as they stand in docs/fleet.json."""


def row(figures: Figures) -> Found:
    """Of one scenario."""
    meanwhile = figures.meanwhile
    return {
        "kind": figures.kind,
        "name": figures.name,
        "used": round(figures.used, 3),
        "meanwhile": None if meanwhile is None else round(meanwhile, 3),
        "afterwards": round(figures.afterwards, 3),
        "most above": round(figures.most_above, 1),
        "per proxy": figures.per_proxy,
        "errors": {str(code): count for code, count in sorted(figures.codes.items())},
    }


def throttling_row(throttling: Throttling) -> Found:
    """Of the server that bears less."""
    figures = throttling.figures
    return {
        "name": figures.name,
        "limit": throttling.limit,
        "accepted": round(throttling.accepted_later, 1),
        "tried": round(throttling.tried_later, 1),
        "refused": len(figures.refused_by_server),
        "rates": throttling.rates,
        "most above": round(figures.most_above, 1),
        "per proxy": figures.per_proxy,
        "errors": {str(code): count for code, count in sorted(figures.codes.items())},
    }


def latency_row(latency: Latency) -> Found:
    """Milliseconds."""
    names = {"call p50": (latency.calls, 0.5), "call p99": (latency.calls, 0.99)}
    names |= {"permit p50": (latency.permits, 0.5), "permit p99": (latency.permits, 0.99)}
    rounded = {name: round(values[int(len(values) * part)] * 1000, 2) for name, (values, part) in names.items()}
    return {"permits": len(latency.permits), "calls": len(latency.calls), **rounded}


# --- is it as it should be? ---


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target, and what was measured."""

    store: str
    about: str
    met: bool
    text: str

    def __str__(self) -> str:
        return f"{'met    ' if self.met else 'NOT MET'}  {self.store}, {self.about}: {self.text}"


def verdicts(stores: Mapping[str, Found]) -> list[Verdict]:
    """One for each target; what was not measured is not met."""
    return [verdict for store, found in stores.items() for verdict in _of_store(store, found)]


def _of_store(store: str, found: Found) -> Iterator[Verdict]:
    rows = {row["kind"]: row for row in found.get("scenarios", ())}
    for kind in LEAST_USED:
        if kind in rows:
            yield from (Verdict(store, rows[kind]["name"], *verdict) for verdict in _of_outage(rows[kind]))
        else:
            yield Verdict(store, kind, False, "was not run to its end")
    for about, judge in (("throttling", _of_throttling), ("half load", _of_latency)):
        if about in found:
            yield from (Verdict(store, about, *verdict) for verdict in judge(found[about]))
        else:
            yield Verdict(store, about, False, "was not run to its end")


def _of_outage(row: Found) -> Iterator[tuple[bool, str]]:
    kind = row["kind"]
    yield _at_most("logins above rate·t in the fullest window", row["most above"], MOST_ABOVE)
    yield _at_least("of the rate used", row["used"], LEAST_USED[kind])
    if kind in LEAST_MEANWHILE:
        yield _at_least("of the rate used meanwhile", row["meanwhile"] or 0.0, LEAST_MEANWHILE[kind])
    yield _at_least("of the rate used afterwards", row["afterwards"], LEAST_AFTERWARDS)
    yield not row["errors"], f"errors that clients saw: {_errors(row)}"


def _of_throttling(row: Found) -> Iterator[tuple[bool, str]]:
    yield _at_most("logins tried a second, in the second half", row["tried"], row["limit"])
    yield _at_least("logins accepted a second, in the second half", row["accepted"], LEAST_SETTLED * row["limit"])
    rates = ", ".join(f"{rate:g}" for rate in row["rates"])
    all_low = len(row["rates"]) == len(row["per proxy"]) and max(row["rates"]) <= row["limit"]
    yield all_low, f"the rate that each proxy was told last: {rates or 'none'} (at most {row['limit']})"
    yield not set(row["errors"]) - {"1040"}, f"errors that clients saw: {_errors(row)} (none but 1040: no {DENIED})"


def _of_latency(row: Found) -> Iterator[tuple[bool, str]]:
    for part, most in (("p50", MEDIAN_MS), ("p99", P99_MS)):
        permit, call = row[f"permit {part}"], row[f"call {part}"]
        yield permit <= call + most, f"a permit {part} {permit} ms, a call {call} ms (at most {most:g} ms more)"


def _at_most(what: str, value: float, most: float) -> tuple[bool, str]:
    return value <= most, f"{value:g} {what} (at most {most:g})"


def _at_least(what: str, value: float, least: float) -> tuple[bool, str]:
    return value >= least, f"{value:g} {what} (at least {least:g})"


# --- for readers ---

OUTAGE_HEAD = (
    "",
    "store",
    "used of the rate",
    "meanwhile",
    "afterwards",
    "most above rate·t",
    "logins by proxy",
    "errors",
)
THROTTLING_HEAD = "a server that throttles", "store", "tried/s", "accepted/s", "refused", "each proxy's rate", "errors"
LATENCY_HEAD = "half load, milliseconds", "call p50", "call p99", "permit p50", "permit p99"


def page_part(results: Found) -> str:
    """The tables of docs/fleet.md."""
    stores = results["stores"]
    lines = [f"Measured on {results['processors']} processors, load {results['load']} at the start, {results['day']}."]
    outages = [_outage_cells(store, row) for store, found in stores.items() for row in found["scenarios"]]
    lines += ["", *_table(OUTAGE_HEAD, outages), ""]
    lines += ["*Meanwhile*: from two seconds after something stopped until it went on. *Afterwards*: the last 3 s.", ""]
    lines += _table(THROTTLING_HEAD, [_throttling_cells(store, found["throttling"]) for store, found in stores.items()])
    lines += [
        "",
        "Tried and accepted: in the second half of 30 s. Refused: in all of them; the proxy tried those again.",
        "",
    ]
    lines += _table(LATENCY_HEAD, [(store, *_latency_cells(found["half load"])) for store, found in stores.items()])
    lines += ["", "Calls and permits of the same 20 s; four members in one process, no database behind them."]
    return "\n".join(lines) + "\n"


def _outage_cells(store: str, row: Found) -> tuple[str, ...]:
    meanwhile = "" if row["meanwhile"] is None else f"{row['meanwhile']:.3f}"
    shares = f"{row['used']:.3f}", meanwhile, f"{row['afterwards']:.3f}", f"{row['most above']:g}"
    return row["name"], store, *shares, ", ".join(map(str, row["per proxy"])), _errors(row)


def _throttling_cells(store: str, row: Found) -> tuple[str, ...]:
    numbers = f"{row['tried']:g}", f"{row['accepted']:g}", str(row["refused"])
    return f"at {row['limit']}/s", store, *numbers, ", ".join(f"{rate:g}" for rate in row["rates"]), _errors(row)


def _latency_cells(row: Found) -> Iterator[str]:
    return (f"{row[name]:.2f}" for name in ("call p50", "call p99", "permit p50", "permit p99"))


def _errors(row: Found) -> str:
    return ", ".join(f"{count} of {code}" for code, count in row["errors"].items()) or "none"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = (head, ["---"] * len(head), *rows)
    return ["| " + " | ".join(cells) + " |" for cells in lines]
