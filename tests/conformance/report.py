"""The table: on the terminal as it is made, and docs/conformance.md."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.cells import Cell, Run, Verdict
from conformance.postgres_script import CHECKS as POSTGRES_CHECKS
from conformance.postgres_script import LOGINS_IN_A_ROW
from conformance.script import CHECKS, LOGINS

LOGIN_PREFIX = "login: "
PASSED = frozenset({Verdict.SAME, Verdict.PROXY_ONLY})

HEADING = """# Conformance

Made by `make conformance`. Each client runs the same script twice on each server: through the proxy, with a local
password, and directly, with an ordinary account of the server's own kind (`caching_sha2_password` on MySQL,
`mysql_native_password` on MariaDB). A check passes when both give the same: rows, columns, types, counts, warnings,
error codes and texts; users, ports and times apart. Where the script says what an answer must be, both must give that.

- **script**: how many of the checks below passed; some are for one client or one kind of server only.
- **logins**: ways to log in, each with one `SELECT 1`: native or caching_sha2, with local TLS or without, with a
  database or without. Those that the server itself does not know run through the proxy only.
- A letter stands for a limit of the client itself, which the direct run shows too; or for one of the few things that
  differ by design, which say so.
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """A client that could not be run."""

    name: str
    title: str
    reason: str


def progress(run: Run) -> str:
    """One line as soon as a client is through."""
    verdicts = Counter(cell.verdict for cell in run.cells)
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in verdicts.items())
    seconds = " + ".join(f"{value:.0f}" for value in run.seconds.values())
    return f"{run.client.name:20} {run.server:14} {counts} ({seconds} s)"


def faults(runs: Iterable[Run]) -> list[str]:
    """What is wrong, with the details."""
    return [
        f"{run.client.name} on {run.server}: {cell.check}\n" + "\n".join(f"    {detail}" for detail in cell.details)
        for run in runs
        for cell in run.cells
        if cell.verdict is Verdict.FAULT
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, readable as text too."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    first, *others = [f"| {line} |" for line in lines]
    return [first, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *others]


class Reasons:
    """Gives each reason a letter."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def letter(self, reason: str) -> str:
        if reason not in self.letters:
            number = len(self.letters)
            self.letters[reason] = ("" if number < 26 else chr(96 + number // 26)) + chr(97 + number % 26)
        return self.letters[reason]


def _share(cells: Sequence[Cell], reasons: Reasons) -> str:
    if not cells:
        return ""
    good = sum(cell.verdict in PASSED for cell in cells)
    bad = sum(cell.verdict is Verdict.FAULT for cell in cells)
    letters = sorted({reasons.letter(cell.reason) for cell in cells if cell.reason}, key=lambda text: (len(text), text))
    text = f"{good}/{len(cells)}" + (f", {bad} ✗" if bad else "")
    return f"{text} {' '.join(letters)}".strip()


def _parts(run: Run, count: int) -> tuple[list[Cell], list[Cell], list[Cell]]:
    logins = [cell for cell in run.cells if cell.check.startswith(LOGIN_PREFIX)]
    many = [cell for cell in run.cells if cell.check.startswith(f"{count} logins")]
    script = [cell for cell in run.cells if cell not in logins and cell not in many]
    return script, logins, many


POSTGRES_HEADING = """# PostgreSQL

The same for PostgreSQL: through the proxy in clear, with a password; directly over TLS, with a token, which is what the
server insists on. Texts for the end of a connection apart, which differ between clear and TLS, both must give the
same, with the same SQLSTATE.

- **script**: the checks below; COPY is of 100 MB each way. pgbench has a list of its own: all of its modes, each of
  which must do all of its transactions. pgcli, which ends a script at the first error, has those without errors.
- **logins**: through the proxy only: in clear, TLS, TLS at once (`sslnegotiation=direct`), Unix socket, wrong password
  and unknown user (28P01).

psycopg 3, psycopg2, asyncpg and pg8000 are in `tests/conformance/test_postgres.py`, which runs with all tests.
"""


def document(runs: Sequence[Run], missing: Sequence[Missing], versions: Mapping[str, str]) -> str:
    """MySQL's and MariaDB's chapter of docs/conformance.md."""
    return _chapter(HEADING, LOGINS, [check.name for check in CHECKS], runs, missing, versions)


def postgres_document(runs: Sequence[Run], missing: Sequence[Missing], versions: Mapping[str, str]) -> str:
    """PostgreSQL's chapter of docs/conformance.md."""
    names = [check.name for check in POSTGRES_CHECKS]
    return _chapter(POSTGRES_HEADING, LOGINS_IN_A_ROW, names, runs, missing, versions)


def _chapter(
    heading: str,
    logins: int,
    checks: Sequence[str],
    runs: Sequence[Run],
    missing: Sequence[Missing],
    versions: Mapping[str, str],
) -> str:
    reasons = Reasons()
    by_client: dict[str, dict[str, Run]] = {}
    for run in runs:
        by_client.setdefault(f"{run.client.title} {run.client.version()}", {})[run.server] = run
    head = ["client"]
    for server in versions:
        head += [f"{server}: script", "logins", f"{logins} in a row"]
    rows = [head]
    for title, servers in by_client.items():
        row = [title]
        for server in versions:
            row += (
                [_share(cells, reasons) for cells in _parts(servers[server], logins)]
                if server in servers
                else ["", "", ""]
            )
        rows.append(row)
    lines = [heading, "Servers: " + ", ".join(f"{name} ({version})" for name, version in versions.items()) + ".", ""]
    lines += ["## Clients", "", *table(rows), ""]
    lines += ["## Checks", "", *_check_table(checks, by_client, versions, reasons), ""]
    lines += ["## Letters", ""]
    lines += [f"- **{letter}** {reason}" for reason, letter in reasons.letters.items()]
    if missing:
        lines += ["", "## Not run", "", *(f"- {client.title}: {client.reason}" for client in missing)]
    return "\n".join(lines) + "\n"


def _check_table(
    checks: Sequence[str], by_client: Mapping[str, Mapping[str, Run]], versions: Mapping[str, str], reasons: Reasons
) -> list[str]:
    """Each check of the script: how many clients give the same on both sides, and the letters of the others."""
    rows = [["check", *versions]]
    for check in checks:
        row = [check]
        for server in versions:
            cells = [
                cell for servers in by_client.values() if server in servers
                for cell in servers[server].cells if cell.check == check
            ]  # fmt: skip
            row.append(_share(cells, reasons))
        rows.append(row)
    return table(rows)


def write_document(text: str, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
