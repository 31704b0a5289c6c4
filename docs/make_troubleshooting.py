"""Makes docs/troubleshooting.md from the table that the proxy itself takes its texts from (errors/symptoms)."""

import sys
from pathlib import Path
from string import Formatter

from mysql_wire.constants import ErrorCode
from rds_iam_proxy.errors.symptoms import AT_THE_START, CHAPTERS, WHILE_IT_RUNS, Symptom
from rds_iam_proxy.mysql.refusals import CODES, EXPLAINED

PATH = Path(__file__).resolve().parent / "troubleshooting.md"

_HEAD = """<!-- Made by `python docs/make_troubleshooting.py` from rds_iam_proxy/errors/symptoms; change it there. -->

# When a login fails

RDS tells a client whose token it refuses only `1045 Access denied`. The proxy knows more, and says it twice: short in
the error that the client gets (one line, at most 400 bytes, beginning with `rds-iam-proxy:` where the text is its own),
and longer in its log, in the line `login refused` with `reason`, `code`, `text` and `detail`. Neither has a password, a
token or a key in it.

To go through a login step by step, without a client and without a listening port:

    rds-iam-proxy check orders.abc123def456.eu-west-1.rds.amazonaws.com --db-user user_batch     # or --config FILE

Words in CAPITALS below are filled in; SSO, LOGIN and CHECK are `aws sso login`, `aws login` and
`aws sts get-caller-identity`, with `--profile` where there is one.
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
    parts.append("## While it runs\n\nLines of the log that are about no login.\n")
    for shown, cause, remedy in WHILE_IT_RUNS:
        parts.append(f"### {shown}\n\n{cause}\n\n**What to do:** {remedy}\n")
    return "\n".join(parts)


def _section(row: Symptom) -> str:
    start = "" if row.verbatim else "rds-iam-proxy: "
    lines = [f"### {row.title}\n", f"    ERROR {_number(row)}: {start}{_shown(row.text)}\n"]
    lines += [f"{row.cause}\n", f"**What to do:** {row.remedy}\n"]
    if " " in row.detail:
        lines.append(f"In the log besides, as `detail`:\n\n    {_shown(row.detail)}\n")
    return "\n".join(lines)


def _number(row: Symptom) -> str:
    code = code_of(row)
    names = {code.value: code.sqlstate for code in ErrorCode}
    return "CODE (SQLSTATE)" if code is None else f"{code} ({names.get(code, 'HY000')})"


def code_of(row: Symptom) -> int | None:
    """Where there is no session yet, RDS's own number for what it said itself; None if that may be any."""
    if row.key == "passed-on":
        return None
    if row.key == "rate-limited":
        return int(ErrorCode.ER_CON_COUNT_ERROR)
    own = {key: code for code, key in EXPLAINED.items()}
    return int(own.get(row.key) or CODES.get(row.key) or CODES[row.reason or "unreachable"])


def _shown(template: str) -> str:
    """With each field's name in capitals; one right after a word begins with a space of its own, or is left out."""
    shown = ""
    for words, field, _, _ in Formatter().parse(template):
        shown += words
        if field is not None:
            shown += "…" if shown[-1:].isalnum() else field.upper()
    return shown


if __name__ == "__main__":
    made = text()
    if "--check" in sys.argv:
        sys.exit(PATH.read_text() != made)
    PATH.write_text(made)
