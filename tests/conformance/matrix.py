"""Runs many cells, two clients at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from conformance.cells import AnyGround, Run, Script, run_client
from conformance.clients import Client
from conformance.report import Missing, progress
from conformance.variants import all_checks
from servers.errors import Unavailable

WORKERS = 2
SLOWEST = ("mycli", "pgcli")


def run_all(
    clients: Sequence[Client],
    grounds: Sequence[AnyGround],
    script: Script = all_checks,
    *,
    say: Callable[[str], None],
    quick: bool = False,
) -> tuple[list[Run], list[Missing]]:
    """Each client on each server, in the order of the table; and the clients that are not installed."""
    present, missing = _present(clients)
    jobs = [(client, place) for client in present for place in grounds]
    jobs.sort(key=lambda job: job[0].name not in SLOWEST)
    runs: list[Run] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for run in pool.map(lambda job: run_client(job[0], job[1], script, quick=quick), jobs):
            say(progress(run))
            runs.append(run)
    order = [client.name for client in present]
    runs.sort(key=lambda run: order.index(run.client.name))
    return runs, missing


def _present(clients: Sequence[Client]) -> tuple[list[Client], list[Missing]]:
    present: list[Client] = []
    missing: list[Missing] = []
    for client in clients:
        try:
            client.command()
            present.append(client)
        except Unavailable as exc:
            missing.append(Missing(client.name, client.title, str(exc)))
    return present, missing
