"""`wait` as health checks call it, every few seconds: without loading the parser and what the other commands need."""

import os
import sys
from collections.abc import Mapping, Sequence

WAIT_SECONDS = 30.0
"""How long `wait` waits by default."""

_PREFIX = "RDS_IAM_PROXY_"


def wait(args: Sequence[str], environ: Mapping[str, str] = os.environ) -> int | None:
    """The exit code; None where `args` are anything but plain --admin and --timeout: then the parser has its turn."""
    # An HTTP client is a fourth of the time that `--help` and completion take, which need none.
    from ..commands.status_client import NoAnswer, wait_until_ready
    from ..net.address import ADMIN_PORT, Address

    told = {name: environ.get(_PREFIX + name.upper()) for name in ("admin", "timeout")}
    words = [word for arg in args for word in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    if len(words) % 2 or not set(words[::2]) <= {"--admin", "--timeout"}:
        return None
    told |= {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    try:
        address = Address.parse(told["admin"] or "", default_port=ADMIN_PORT)
        seconds = float(told["timeout"] or WAIT_SECONDS)
    except ValueError:
        return None
    if seconds < 0:
        return None
    try:
        wait_until_ready(address, seconds)
    except NoAnswer as exc:
        sys.stderr.write(f"rds-iam-proxy: {exc.shown}\n")
        return 1
    return 0
