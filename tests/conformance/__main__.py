"""`python -m conformance [CLIENT ...]`: the whole matrix; prints the table and writes docs/conformance.md.

With clients named only those run, and nothing is written.
"""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.clients import CLIENTS, POSTGRES_CLIENTS
from conformance.ground import Ground, ground
from conformance.matrix import run_all
from conformance.postgres_ground import PostgresGround, postgres_ground
from conformance.postgres_script import postgres_checks
from conformance.report import document, faults, postgres_document, write_document
from servers.postgres_server import start_postgres
from servers.real_server import start_server
from servers.releases import POSTGRES_RELEASES

SERVERS = ("mysql-9.7", "mariadb-10.11")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def main(names: Sequence[str]) -> int:
    """0 when every cell is green or has a reason; 1 otherwise."""
    started = time.monotonic()
    mysql = [client for name, client in CLIENTS.items() if not names or name in names]
    postgres = [client for name, client in POSTGRES_CLIENTS.items() if not names or name in names]
    with contextlib.ExitStack() as stack:
        grounds = [stack.enter_context(_started(name)) for name in SERVERS if mysql]
        runs, missing = run_all(mysql, grounds, say=_say)
        versions = {place.server.name: place.version() for place in grounds}
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_started_postgres(name)) for name in POSTGRES_RELEASES if postgres]
        more, absent = run_all(postgres, places, postgres_checks, say=_say)
        their_versions = {place.server.name: place.version() for place in places}
    text = f"{document(runs, missing, versions)}\n{postgres_document(more, absent, their_versions)}"
    wrong = faults([*runs, *more])
    _say(f"\n{text}")
    for fault in wrong:
        _say(fault)
    if not names:
        write_document(text, DOCUMENT)
    cells = sum(len(run.cells) for run in (*runs, *more))
    lacking = len(missing) + len(absent)
    _say(f"{cells} cells, {len(wrong)} wrong, {lacking} clients missing, {time.monotonic() - started:.0f} s")
    return 1 if wrong or lacking else 0


@contextlib.contextmanager
def _started(name: str) -> Iterator[Ground]:
    server = start_server(name)
    try:
        with ground(server) as place:
            yield place
    finally:
        server.stop()


@contextlib.contextmanager
def _started_postgres(name: str) -> Iterator[PostgresGround]:
    server = start_postgres(name)
    try:
        with postgres_ground(server) as place:
            yield place
    finally:
        server.stop()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
