"""The status of a running proxy for a terminal: what the status page shows. Reads the JSON of /status; asks nobody."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..logs import escaped

BARS = "▁▂▃▄▅▆▇█"
CHART_POINTS = 30
MIN_CHART_POINTS = 6
SECONDS_PER_POINT = 10
MAX_ERRORS = 5
MAX_SESSIONS = 20
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
    """All of it, what needs somebody first. Names are put in as text: no markup of rich, no control characters."""
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
    errors = status["errors"]
    parts += [Text(), _title(f"Recent errors ({len(errors)})" if errors else "Recent errors")]
    if not errors:
        parts.append(_quiet("No login was refused since the start."))
    explained: set[str] = set()
    for error in errors[:MAX_ERRORS]:
        parts += _error(error, status["now"], explain=error["cause"] not in explained)
        explained.add(error["cause"])
    if len(errors) > MAX_ERRORS:
        parts.append(_quiet(f"and {len(errors) - MAX_ERRORS} more, on the status page"))
    return Group(*parts, Text(), *_all_sessions(status))


def _all_sessions(status: Status) -> list[RenderableType]:
    total, found = status["sessions_total"], status.get("sessions_found", status["sessions_total"])
    title = _title(f"Sessions ({total})" if found == total else f"Sessions ({found} of {total})")
    shown = status["sessions"][:MAX_SESSIONS]
    if not shown:
        return [title, _quiet("No session like that." if total else "Nobody is connected.")]
    parts: list[RenderableType] = [title, _sessions(shown)]
    if found > len(shown):
        parts.append(_quiet(f"and {found - len(shown)} more: --find shows those with a part of a name or a number"))
    return parts


def _head(status: Status) -> Text:
    line = Text.assemble(("rds-iam-proxy ", "bold"), _text(status["version"], "dim"), "  ")
    line.append_text(_mark(status["state"]))
    down = sum(target["health"] in ("down", "refused") for target in status["targets"])
    if down:
        line.append(f"  {down} of {len(status['targets'])} targets down", "bold red")
    return line.append(f"  up {duration(status['now'] - status['started'])}", "dim")


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
            why = f"does not answer: {budget['store_fault']}" if budget["store_fault"] else "has not answered yet"
            text, style = f"{text}, which {why}", "yellow"
        elif budget["members"] > budget["size"]:
            text, style = f"{text}: raise [fleet] size, or they exceed the rate when it is silent", "yellow"
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
            Chart(bars(done)),
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
    table = _table("Account", "Client", "Program", "Target", "Doing", "Age", "Sent", "Received", "Id", "At RDS")
    for session in sessions:
        doing = session["activity"]
        if doing in ("idle", "in transaction"):
            doing += f" {duration(session['quiet'])}"
        account = session["account"] or "-"
        if session["db_user"] and session["db_user"] != account:
            account += f" as {session['db_user']}"
        table.add_row(
            _text(account),
            _text(f"{session['peer']}:{session['port']}" if session.get("port") else session["peer"]),
            _text(session["program"] or "-"),
            _text(session["target"]),
            _text(doing, _ACTIVITIES.get(session["activity"], "yellow")),
            duration(session["age"]),
            size(session["bytes_from_client"]),
            size(session["bytes_from_rds"]),
            _text(str(session["id"]), "dim"),
            _text(str(session.get("rds_connection_id") or "-"), "dim"),
        )
    return table


def _error(error: Status, now: float, *, explain: bool) -> list[RenderableType]:
    times = f", {error['count']} times" if error["count"] > 1 else ""
    head = Text.assemble(
        (f"{clock(error['last'])}, {duration(now - error['last'])} ago{times}  ", "dim"),
        _text(f"{error['code']} {error['reason']}", "red"),
        _text(f"  {error['user'] or '-'} from {error['peer']} to {error['target']}"),
    )
    lines: list[RenderableType] = [head, Padding(_text(error["text"]), (0, 0, 0, 4))]
    if error["detail"]:
        lines.append(Padding(_text(f"RDS: {error['detail']}", "dim"), (0, 0, 0, 4)))
    if explain and error["remedy"]:
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


@dataclass(frozen=True, slots=True)
class Chart:
    """Of one line; where there is no room for it, the oldest points go."""

    drawn: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(MIN_CHART_POINTS, len(self.drawn))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(self.drawn[-options.max_width :], "cyan", no_wrap=True)


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


def clock(at: float) -> str:
    """Local time; with the day if that was not today."""
    then, now = (datetime.fromtimestamp(time, UTC).astimezone() for time in (at, datetime.now(UTC).timestamp()))
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
