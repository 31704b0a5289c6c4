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

from conformance.clients import CLIENTS, Client
from conformance.ground import Ground, ground
from conformance.matrix import run_all
from conformance.report import document, faults, write_document
from servers.real_server import start_server

SERVERS = ("mysql-9.7", "mariadb-10.11")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def main(arguments: Sequence[str]) -> int:
    """0 when every cell is green or has a reason; 1 otherwise."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    clients = options.clients or list(CLIENTS.values())
    with contextlib.ExitStack() as stack:
        grounds = [stack.enter_context(_started(name, reuse=options.reuse)) for name in SERVERS]
        runs, missing = run_all(clients, grounds, say=_say)
        versions = {place.server.name: place.version() for place in grounds}
        if options.reuse:
            _say_what_was_lent(grounds)
    text = document(runs, missing, versions)
    wrong = faults(runs)
    _say(f"\n{text}")
    for fault in wrong:
        _say(fault)
    if not options.clients and not options.reuse:
        write_document(text, DOCUMENT)
    cells = sum(len(run.cells) for run in runs)
    _say(f"{cells} cells, {len(wrong)} wrong, {len(missing)} clients missing, {time.monotonic() - started:.0f} s")
    return 1 if wrong or missing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("clients", metavar="CLIENT", nargs="*", type=_client, help="only these")
    parser.add_argument("--reuse", action="store_true", help="the proxy lends used sessions again")
    return parser


def _client(name: str) -> Client:
    if name not in CLIENTS:
        raise argparse.ArgumentTypeError(f"no client {name!r}; there are {', '.join(CLIENTS)}")
    return CLIENTS[name]


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


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
