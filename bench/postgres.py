"""PostgreSQL: this proxy beside pgbouncer (session pooling), both with verified TLS to one server.

`python -m bench.postgres [--seconds SECONDS] [--rounds ROUNDS]` prints which targets hold, keeps the figures and writes
docs/benchmarks.md again. CPU is that of the process that relays, the best of the rounds, which take turns; figures of
two machines cannot be compared.
"""

import argparse
import contextlib
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from kit.running_proxy import PASSWORD, USER, config_text, start_proxy
from servers.postgres_accounts import DATABASE, PLAIN_PASSWORD, PLAIN_USER
from servers.postgres_server import PostgresServer, start_postgres

from . import machine, report
from .accounting import cpu_of, memory_of
from .postgres_figures import COPY_OUT, IDLE, PGBOUNCER, PROXY, TRANSACTION, PostgresRun
from .process import BrokenRun, free_port, started, wait_until_listening
from .samples import Run

DOCS = Path(__file__).parent.parent / "docs"
SCALE = 5
CLIENTS = (1, 8, 32)
CLIENTS_PER_SECOND = 8  # that log in on a loaded machine
COPY_ROWS = 200_000
COPY_ROW_BYTES = 1000
IDLE_SESSIONS = 50
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Relay:
    """A process that relays, and how to log in at it."""

    name: str
    pid: int
    port: int
    user: str
    password: str = field(repr=False)

    def connect(self) -> "psycopg.Connection[object]":
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=DATABASE,
            sslmode="disable", autocommit=True,
        )  # fmt: skip


@contextlib.contextmanager
def running_pgbouncer(server: PostgresServer, folder: Path) -> Iterator[Relay]:
    """As the role that has a password, whose login is not what is measured. Raises BrokenRun."""
    program = _pgbouncer()
    if program is None:
        raise BrokenRun("there is no pgbouncer: apt-get install pgbouncer (and stop its service)")
    folder.mkdir()
    port = free_port()
    shutil.copy(server.ca_file, folder / "ca.pem")
    (folder / "users").write_text(f'"{PLAIN_USER}" "{PLAIN_PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(f"""
[databases]
{DATABASE} = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = session
default_pool_size = 500
max_client_conn = 1000
server_tls_sslmode = verify-ca
server_tls_ca_file = {folder}/ca.pem
""")
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    command = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        program,
        f"{folder}/pgbouncer.ini",
    ]
    with started(command, folder.with_suffix(".log"), os.environ) as process:
        wait_until_listening(process, port, folder.with_suffix(".log"))
        yield Relay(PGBOUNCER, process.pid, port, PLAIN_USER, PLAIN_PASSWORD)


def _pgbouncer() -> str | None:
    return shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")


def pgbouncer_version() -> str:
    """Empty: there is none."""
    program = _pgbouncer()
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[1]


@contextlib.contextmanager
def this_proxy(server: PostgresServer) -> Iterator[Relay]:
    config = config_text(server, target="max_sessions = 1000").replace('level = "debug"', 'level = "info"')
    with start_proxy(config, key=server.key, dev_mode=False) as proxy:
        yield Relay(PROXY, proxy.process.pid, proxy.port, USER, PASSWORD)


def pgbench(relay: Relay, protocol: str, clients: int, seconds: int) -> float:
    """Microseconds of the relay's CPU per transaction, without the logins'. Raises BrokenRun.

    A run of one transaction for each client tells what logins cost.
    """
    login_cpu, first = _pgbench(relay, protocol, clients, "-t", 1)
    # pgbench's clock runs while its clients log in.
    cpu, transactions = _pgbench(relay, protocol, clients, "-T", seconds + clients // CLIENTS_PER_SECOND)
    if transactions <= first:
        raise BrokenRun(f"pgbench through {relay.name}: {transactions} transactions in {seconds} s")
    return (cpu - login_cpu) / (transactions - first) * 1e6


def _pgbench(relay: Relay, protocol: str, clients: int, until: str, number: int) -> tuple[float, int]:
    """Seconds of the relay's CPU, and transactions."""
    before = cpu_of(relay.pid)
    where = ["-h", "127.0.0.1", "-p", str(relay.port), "-U", relay.user, DATABASE]
    done = subprocess.run(
        ["pgbench", "-n", "-S", "-M", protocol, "-c", str(clients), "-j", "1", until, str(number), *where],
        env={**os.environ, "PGPASSWORD": relay.password, "PGSSLMODE": "disable"},
        capture_output=True,
        text=True,
        check=False,
    )
    used = (cpu_of(relay.pid) - before).total
    found = re.search(r"transactions actually processed: (\d+)", done.stdout)
    if done.returncode or found is None:
        raise BrokenRun(f"pgbench through {relay.name}: {done.stderr[-500:]}")
    return used, int(found[1])


def copy_out(relay: Relay) -> float:
    """MB per second of the relay's CPU."""
    length = 0
    text = f"COPY (SELECT repeat('x', {COPY_ROW_BYTES - 1}) FROM generate_series(1, {COPY_ROWS})) TO STDOUT"
    with relay.connect() as connection, connection.cursor() as cursor:
        before = cpu_of(relay.pid)
        with cursor.copy(text) as copy:
            for part in copy:
                length += len(part)
        return length / 1e6 / (cpu_of(relay.pid) - before).total


def idle_session(relay: Relay) -> float:
    """kB of the relay's own memory for one more idle session: those of a second fifty.

    Later ones of one process find room that earlier ones have left.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_SESSIONS):
            stack.enter_context(relay.connect()).execute("SELECT 1")
        before = memory_of(relay.pid).own
        for _ in range(IDLE_SESSIONS):
            stack.enter_context(relay.connect()).execute("SELECT 1")
        return (memory_of(relay.pid).own - before) / IDLE_SESSIONS / 1000


def measures(seconds: int) -> dict[str, tuple[Callable[[Relay], float], bool]]:
    """Each with whether the least of the rounds counts, and not the most."""
    found: dict[str, tuple[Callable[[Relay], float], bool]] = {IDLE: (idle_session, False)}
    for protocol in ("simple", "prepared"):
        for clients in CLIENTS:
            found[f"{TRANSACTION}{protocol}, {clients} client{'s' if clients > 1 else ''}"] = (
                lambda relay, p=protocol, c=clients: pgbench(relay, p, c, seconds),  # type: ignore[misc]
                True,
            )
    found[COPY_OUT] = (copy_out, False)
    return found


def prepare(server: PostgresServer) -> None:
    """pgbench's tables."""
    where = ["-h", str(server.folder), "-p", str(server.port), "-U", "master", DATABASE]
    subprocess.run(["pgbench", "-i", "-q", "-s", str(SCALE), *where], capture_output=True, check=True)
    with server.admin(DATABASE) as admin:
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.postgres", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each run of pgbench")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    server = start_postgres("postgres-15")
    try:
        prepare(server)
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch, contextlib.ExitStack() as stack:
            Path(scratch).chmod(0o755)
            relays = [stack.enter_context(this_proxy(server))]
            try:
                relays.append(stack.enter_context(running_pgbouncer(server, Path(scratch) / "pgbouncer")))
            except BrokenRun as exc:
                sys.stderr.write(f"{exc}\n")
            run = _run(relays, arguments.seconds, arguments.rounds)
    finally:
        server.stop()
    sys.stdout.writelines(f"{target.line()}\n" for target in run.targets())
    folder = DOCS / "benchmarks"
    run.save(folder)
    report.write([Run.load(path) for path in sorted(folder.glob("run-*.json"))], DOCS)
    return 0


def _run(relays: list[Relay], seconds: int, rounds: int) -> PostgresRun:
    load = machine.load()
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    figures: dict[str, dict[str, float]] = {}
    for name, (measure, less) in measures(seconds).items():
        found: dict[str, list[float]] = {relay.name: [] for relay in relays}
        for _ in range(rounds):
            for relay in relays:
                found[relay.name].append(measure(relay))
        figures[name] = {relay: round(min(values) if less else max(values), 2) for relay, values in found.items()}
        sys.stdout.write(f"{name}: {figures[name]}\n")
        sys.stdout.flush()
    return PostgresRun(began, rounds, seconds, load, pgbouncer_version(), figures)


if __name__ == "__main__":
    sys.exit(main())
