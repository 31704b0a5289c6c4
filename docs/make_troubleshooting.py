"""Makes docs/troubleshooting.md from the table that the proxy itself takes its texts from (rds_iam_proxy.symptoms)."""

import re
import sys
from pathlib import Path
from string import Formatter

from mysql_wire.constants import ErrorCode
from rds_iam_proxy.errors.symptoms import AT_THE_START, CHAPTERS, Symptom

PATH = Path(__file__).resolve().parent / "troubleshooting.md"

_HEAD = """<!-- Made by `python docs/make_troubleshooting.py` from proxy/rds_iam_proxy/symptoms; change it there. -->

# When a login fails

RDS tells a client whose token it refuses only `1045 Access denied`. The proxy knows more, and says it twice: short in
the error that the client gets (one line, at most 400 bytes, beginning with `rds-iam-proxy:` where the text is its own),
and longer in its log, in the line `login refused` with `reason`, `code`, `text` and `detail`. Neither has a password, a
token or a key in it.

To go through a login step by step, without a client and without a listening port:

    rds-iam-proxy check ENDPOINT --db-user USER     # or: check --config FILE

Words in CAPITALS below are filled in.
"""


def text() -> str:
    """The whole document."""
    parts = [_HEAD]
    for title, rows in CHAPTERS:
        parts.append(f"## {title}\n")
        parts += [_section(row) for row in rows]
    parts.append("## Before any login\n\nFaults of the configuration; `serve` ends with exit code 2, `check` with 1.\n")
    for shown, cause, remedy in AT_THE_START:
        parts.append(f"### {shown}\n\n{cause}\n\n**What to do:** {remedy}\n")
    return "\n".join(parts)


def _section(row: Symptom) -> str:
    names = {code.value: code.sqlstate for code in ErrorCode}
    start = "" if row.verbatim else "rds-iam-proxy: "
    lines = [
        f"### {row.title}\n",
        f"    ERROR {int(row.code)} ({names.get(row.code, 'HY000')}): {start}{_shown(row.text)}\n",
    ]
    lines += [f"{row.cause}\n", f"**What to do:** {row.remedy}\n"]
    if row.detail:
        lines.append(f"In the log besides, as `detail`:\n\n    {_shown(row.detail)}\n")
    return "\n".join(lines)


def _shown(template: str) -> str:
    """A field right after a word begins with a space or a comma of its own, or is left out."""
    template = re.sub(r"(?<=\w)\{\w+\}", "…", template)
    fields = {field: field.upper() for field in _fields(template)}
    return template.format(**fields)


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


if __name__ == "__main__":
    made = text()
    if "--check" in sys.argv:
        sys.exit(PATH.read_text() != made)
    PATH.write_text(made)
