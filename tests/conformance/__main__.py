"""`python -m conformance [--reuse] [CLIENT ...]`: the whole matrix; prints the table and writes docs/conformance.md.

With clients named only those run, and nothing is written. With --reuse the proxy lends used sessions again, and nothing
is written either.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.clients import CLIENTS, POSTGRES_CLIENTS, Client
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


def main(arguments: Sequence[str]) -> int:
    """0 when every cell is green or has a reason; 1 otherwise."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    chosen = options.clients or [*CLIENTS.values(), *(() if options.reuse else POSTGRES_CLIENTS.values())]
    mysql = [client for client in CLIENTS.values() if client in chosen]
    postgres = [client for client in POSTGRES_CLIENTS.values() if client in chosen]
    with contextlib.ExitStack() as stack:
        grounds = [stack.enter_context(_started(name, reuse=options.reuse)) for name in SERVERS if mysql]
        runs, missing = run_all(mysql, grounds, say=_say)
        versions = {place.server.name: place.version() for place in grounds}
        if options.reuse:
            _say_what_was_lent(grounds)
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_started_postgres(name)) for name in POSTGRES_RELEASES if postgres]
        more, absent = run_all(postgres, places, postgres_checks, say=_say)
        their_versions = {place.server.name: place.version() for place in places}
    text = f"{document(runs, missing, versions)}\n{postgres_document(more, absent, their_versions)}"
    wrong = faults([*runs, *more])
    _say(f"\n{text}")
    for fault in wrong:
        _say(fault)
    if not options.clients and not options.reuse:
        write_document(text, DOCUMENT)
    cells = sum(len(run.cells) for run in (*runs, *more))
    lacking = len(missing) + len(absent)
    _say(f"{cells} cells, {len(wrong)} wrong, {lacking} clients missing, {time.monotonic() - started:.0f} s")
    return 1 if wrong or lacking else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("clients", metavar="CLIENT", nargs="*", type=_client, help="only these")
    parser.add_argument("--reuse", action="store_true", help="the proxy lends used sessions again")
    return parser


def _client(name: str) -> Client:
    known = {**CLIENTS, **POSTGRES_CLIENTS}
    if name not in known:
        raise argparse.ArgumentTypeError(f"no client {name!r}; there are {', '.join(known)}")
    return known[name]


def _say_what_was_lent(grounds: Sequence[Ground]) -> None:
    for place in grounds:
        ended = place.proxy.events("session ended")
        lent = sum(bool(session["reused"]) for session in ended)
        _say(f"{place.server.name}: {lent} of {len(ended)} clients had a session that another one had before")


@contextlib.contextmanager
def _started(name: str, *, reuse: bool) -> Iterator[Ground]:
    server = start_server(name)
    try:
        with ground(server, reuse=reuse) as place:
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
