"""The status of a running proxy for a terminal: what the status page shows. Reads the JSON of /status; asks nobody."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..logs import escaped

BARS = "▁▂▃▄▅▆▇█"
CHART_POINTS = 30
SECONDS_PER_POINT = 10
MAX_FAULTS = 5
"""Of a reload that are shown; the log has all."""

_MARKS = {
    "ready": ("●", "green"),
    "starting": ("◐", "yellow"),
    "draining": ("▽", "yellow"),
    "refused": ("▲", "red"),
    "down": ("■", "red"),
    "not ready": ("■", "red"),
}
_ACTIVITIES = {"running": "bold cyan", "idle": "default"}

Status = Mapping[str, Any]


def view(status: Status) -> RenderableType:
    """All of it. Names are put in as text: no markup of rich, no control characters."""
    parts: list[RenderableType] = [_head(status), *_reload(status), Text(), _targets(status["targets"])]
    for target in status["targets"]:
        if target["why"]:
            style = "yellow" if target["health"] in ("ready", "starting") else "red"
            parts.append(Padding(_text(f"{target['name']}: {target['why']}", style), (0, 0, 0, 2)))
        if tunnel := target.get("tunnel"):  # an older proxy says nothing of it
            line = f"{target['name']}: tunnel {tunnel['way']} is {tunnel['state']}"
            parts.append(
                Padding(_text(line, "dim" if tunnel["state"] in ("open", "closed") else "yellow"), (0, 0, 0, 2))
            )
    parts += [_budget(budget) for budget in status.get("budgets", ())]
    parts += [Text(), _title(f"Sessions ({status['sessions_total']})")]
    parts.append(_sessions(status["sessions"]) if status["sessions"] else _quiet("Nobody is connected."))
    parts += [Text(), _title("Recent errors")]
    if not status["errors"]:
        parts.append(_quiet("No login was refused since the start."))
    for error in status["errors"]:
        parts += _error(error, status["now"])
    return Group(*parts)


def _head(status: Status) -> Text:
    line = Text.assemble(("rds-iam-proxy ", "bold"), _text(status["version"], "dim"), "  ")
    return line.append_text(_mark(status["state"])).append(f"  up {duration(status['now'] - status['started'])}", "dim")


def _reload(status: Status) -> list[RenderableType]:
    """A reload that was refused, as long as it was the last; an older proxy says nothing of it."""
    last = status.get("reload")
    if not last or not last["faults"]:
        return []
    head = f"The last reload, {duration(status['now'] - last['at'])} ago, was refused; all stayed as it was:"
    lines: list[RenderableType] = [_text(head, "red")]
    lines += [Padding(_text(fault, "red"), (0, 0, 0, 2)) for fault in last["faults"][:MAX_FAULTS]]
    if len(last["faults"]) > MAX_FAULTS:
        lines.append(_quiet(f"and {len(last['faults']) - MAX_FAULTS} more, in the log"))
    return lines


def _budget(budget: Status) -> RenderableType:
    """A login budget that several proxies share; an older proxy says nothing of it."""
    rate, style = f"{budget['rate']:g} of {budget['rate_limit']:g} logins/s", "dim"
    if not budget["store"]:
        text = f"this proxy has {rate}, one of {budget['size']} in the fleet"
    elif budget["source"] == "store":
        text = f"the fleet has {rate}, {budget['members']} of {budget['size']} proxies are heard by {budget['store']}"
        if not budget["store_up"]:
            text, style = f"{text}, which does not answer: {budget['store_fault']}", "yellow"
    else:
        style = "yellow"
        text = f"this proxy keeps to its share, {rate}, because {budget['store']} is silent: {budget['store_fault']}"
    return Padding(_text(f"budget {budget['name']}: {text}", style), (0, 0, 0, 2))


def _targets(targets: Iterable[Status]) -> Table:
    table = _table("Target", "Health", "Sessions", "Logins/s", "Waiting", "Logins, 5 min", "Let in", "Lent", "Refused")
    for target in targets:
        history = target["history"]
        done = [a + r for a, r in zip(history["accepted"], history["refused"], strict=True)]
        table.add_row(
            _text(target["name"], "bold"),
            _mark(target["health"]),
            f"{target['sessions']}/{target['max_sessions']}",
            f"{sum(history['accepted'][-3:]) / 3:.1f}/{target['rate']:g}",
            str(target["waiting"]),
            Text(bars(done), "cyan"),
            str(target["accepted"]),
            _lent(target),
            Text(str(target["refused"]), "red" if target["refused"] else "default"),
        )
    return table


def _lent(target: Status) -> str:
    """Logins that a used session served, and how many sessions wait; an older proxy says nothing of it."""
    lent, parked = target.get("lent", 0), target.get("parked", 0)
    return f"{lent} (+{parked})" if lent or parked else "0"


def _sessions(sessions: Iterable[Status]) -> Table:
    table = _table("Account", "Client", "Program", "Target", "Doing", "Age", "Sent", "Received", "Id")
    for session in sessions:
        doing = session["activity"]
        if doing == "idle":
            doing = f"idle {duration(session['quiet'])}"
        account = session["account"] or "-"
        if session["db_user"] and session["db_user"] != account:
            account += f" as {session['db_user']}"
        table.add_row(
            _text(account),
            _text(session["peer"]),
            _text(session["program"] or "-"),
            _text(session["target"]),
            _text(doing, _ACTIVITIES.get(session["activity"], "yellow")),
            duration(session["age"]),
            size(session["bytes_from_client"]),
            size(session["bytes_from_rds"]),
            _text(str(session["id"]), "dim"),
        )
    return table


def _error(error: Status, now: float) -> list[RenderableType]:
    times = f", {error['count']} times" if error["count"] > 1 else ""
    head = Text.assemble(
        (f"{duration(now - error['last'])} ago{times}  ", "dim"),
        _text(f"{error['code']} {error['reason']}", "red"),
        _text(f"  {error['user'] or '-'} from {error['peer']} to {error['target']}"),
    )
    lines: list[RenderableType] = [head, Padding(_text(error["text"]), (0, 0, 0, 4))]
    if error["detail"]:
        lines.append(Padding(_text(f"RDS: {error['detail']}", "dim"), (0, 0, 0, 4)))
    if error["remedy"]:
        lines.append(Padding(_text(f"{error['cause']} {error['remedy']}", "dim"), (0, 0, 0, 4)))
    return lines


def _title(text: str) -> Rule:
    return Rule(Text(text, "bold"), align="left", style="dim")


def _quiet(text: str) -> Padding:
    return Padding(Text(text, "dim"), (0, 0, 0, 2))


def _table(*columns: str) -> Table:
    numbers = {"Sessions", "Logins/s", "Waiting", "Let in", "Refused", "Age", "Sent", "Received"}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=column in numbers)
    return table


def _mark(state: str) -> Text:
    mark, style = _MARKS.get(state, ("?", "default"))
    return _text(f"{mark} {state}", style)


def _text(text: str, style: str = "") -> Text:
    return Text(escaped(text), style)


def bars(values: Sequence[float]) -> str:
    """A chart of one line, the newest at the right; empty where there were none."""
    ends = range(len(values), 0, -SECONDS_PER_POINT)
    sums = [sum(values[max(0, end - SECONDS_PER_POINT) : end]) for end in ends]
    most = max(sums, default=0) or 1
    shown = ["·" if not value else BARS[min(7, int(value / most * 7.99))] for value in reversed(sums)]
    return "".join(shown[-CHART_POINTS:]).rjust(CHART_POINTS)


def duration(seconds: float) -> str:
    s = max(0, int(seconds))
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min"
    return f"{s // 3600} h {s % 3600 // 60} min" if s < 86_400 else f"{s // 86_400} d {s % 86_400 // 3600} h"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
