"""Connects, queries, disconnects and worse at full speed for minutes: does anything grow, or stay at the server?"""

import contextlib
import json
import secrets
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from servers.real_server import RealServer, start_server

from .accounting import descriptors_of, memory_of
from .drivers import order
from .process import BrokenRun, free_port
from .proxy import DB_USER, ProxyProcess, credentials, running_proxy
from .subjects import Connector, Subject
from .troubles import LogReader, troubles

SAMPLE_SECONDS = 10.0
SETTLE_SECONDS = 15.0
"""For the last sessions to end, after the clients have."""

GROWTH_BYTES = 2 * 1024 * 1024
GROWTH_SHARE = 0.03
LOOKS_A_MINUTE = round(60 / SAMPLE_SECONDS)
MEGABYTE = 1024 * 1024
LOG_END = 3000
MAX_ERRORS = 10

_LOGINS = "rds_iam_proxy_logins_total{"
_LAG = "rds_iam_proxy_event_loop_lag_seconds"
_DROPPED = "rds_iam_proxy_log_lines_dropped_total"
_RELOADED = "rds_iam_proxy_last_reload_successful"
_DROPPED_LINE = '"event": "log lines dropped"'


@dataclass(frozen=True, slots=True)
class Look:
    """The proxy at one moment. `late`: timers of its event loop, by how many seconds late they ran at most."""

    at: float
    rss: int
    descriptors: int
    logins: float
    late: dict[float, float]
    lines_dropped: float
    reloaded: bool
    """The last reload is in force."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients say of it."""

    served: Counter[str]
    failed: int
    surprises: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """The proxy, the address that tells how it is, and who reads its log."""

    proxy: ProxyProcess
    admin: str
    reader: LogReader

    def look(self) -> Look:
        """Raises BrokenRun when it has ended, with what it said last."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=20) as answer:
                lines = answer.read().decode().splitlines()
            pid = self.proxy.pid
            rss, descriptors = memory_of(pid).rss, descriptors_of(pid)
        except OSError as exc:
            raise BrokenRun(f"the proxy does not answer: {exc}; its log ends:\n{self._log_end()}") from exc
        values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
        logins = sum(value for name, value in values.items() if name.startswith(_LOGINS) and '"accepted"' in name)
        bucket = f'{_LAG}_bucket{{le="'
        late = {float(name[len(bucket) : -2]): value for name, value in values.items() if name.startswith(bucket)}
        reloaded = values.get(_RELOADED) == 1
        return Look(time.monotonic(), rss, descriptors, logins, late, values[_DROPPED], reloaded)

    def settled(self, descriptors: int) -> Look:
        """As soon as no more descriptors are open than these, or when the time is up."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            look = self.look()
            if look.descriptors <= descriptors or time.monotonic() > deadline:
                return look
            time.sleep(0.5)

    def errors(self) -> list[str]:
        """Lines of its log that no client should be able to cause."""
        with self._log.open(errors="replace") as log:
            return [line.strip() for line in log if '"level": "error"' in line or not line.startswith("{")]

    def dropped_lines(self) -> int:
        """How many the log itself says are missing."""
        with self._log.open(errors="replace") as log:
            return sum(json.loads(line)["lines"] for line in log if _DROPPED_LINE in line)

    @property
    def _log(self) -> Path:
        return self.proxy.folder / "proxy.log"

    def _log_end(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - LOG_END))
            return log.read().decode(errors="replace")


def run(minutes: float, clients: int, *, on_asyncio: bool = False) -> bool:
    """Prints a line a minute and the verdict; returns whether all is flat. Raises BrokenRun, Unavailable, Broken."""
    server = start_server("mysql-9.7")
    try:
        with tempfile.TemporaryDirectory(prefix="rip-churn-") as name:
            admin = f"127.0.0.1:{free_port()}"
            tables = f'[admin]\nbind = "{admin}"\n'
            folder = Path(name) / "proxy"
            folder.mkdir()
            _lift_limits(server)
            with (
                LogReader(folder / "proxy.log").reading() as reader,
                running_proxy(
                    server, folder, on_asyncio=on_asyncio, tables=tables, output=reader.writes, level="debug"
                ) as proxy,
            ):
                return _churn(Watched(proxy, admin, reader), server, minutes * 60, clients)
    finally:
        server.stop()


def _lift_limits(server: RealServer) -> None:
    """Clients that vanish are the server's connect errors; it must not shut the proxy out for them."""
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL max_connections = 6000")
        cursor.execute("SET GLOBAL max_connect_errors = 1000000000")


def _churn(watched: "Watched", server: RealServer, seconds: float, clients: int) -> bool:
    user, password = credentials()
    plain = Subject("proxy", watched.proxy.port, user, password, watched.proxy.pid)
    with_tls = replace(plain, tls=True, tls_name="localhost", ca_file=str(server.ca_file))
    for subject in (plain, with_tls):  # what is made once, the first login makes
        Connector(subject).connect()[0].close()
    time.sleep(2)
    idle = watched.look()
    print(f"idle: {_megabytes(idle.rss)}, {idle.descriptors} file descriptors; {clients} clients begin", flush=True)
    looks = [idle]
    with troubles(plain.pid or 0, watched.admin), _drivers(plain, with_tls, seconds, clients) as drivers:
        for number in range(1, round(seconds / SAMPLE_SECONDS) + 1):
            time.sleep(max(0.0, idle.at + number * SAMPLE_SECONDS - time.monotonic()))
            looks.append(watched.look())
            if number % LOOKS_A_MINUTE == 0:
                _print_minute(looks)
        outcome = _outcome(drivers)
    watched.reader.read_on()
    end = watched.settled(idle.descriptors)
    is_flat = _verdict(looks, end, outcome, watched.errors())
    return _is_clean(watched, end, _sessions_left(server)) and is_flat


def _sessions_left(server: RealServer) -> list[str]:
    """What sessions of the proxy's the server still has, once it had time to notice that their clients are gone."""
    deadline = time.monotonic() + SETTLE_SECONDS
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT CONCAT_WS(' ', id, command, time, state, info) FROM performance_schema.processlist"
                " WHERE user = %s",
                (DB_USER,),
            )
            left = [str(row[0]) for row in cursor.fetchall()]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)


@contextlib.contextmanager
def _drivers(
    plain: Subject, with_tls: Subject, seconds: float, clients: int
) -> "Iterator[list[subprocess.Popen[str]]]":
    """So many processes, each one client after another."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    drivers = [order.start("churn") for _ in range(clients)]
    try:
        for number, driver in enumerate(drivers):
            assert driver.stdin is not None
            driver.stdin.write(plain.order(with_tls=asdict(with_tls), seconds=seconds, seed=seed + number) + "\n")
            driver.stdin.flush()
        yield drivers
    finally:
        for driver in drivers:
            driver.kill()
            driver.communicate()


def _outcome(drivers: "Sequence[subprocess.Popen[str]]") -> Outcome:
    served: Counter[str] = Counter()
    failed, surprises = 0, []
    for driver in drivers:
        out, _ = driver.communicate(timeout=60)
        if driver.returncode != 0:
            raise BrokenRun(f"a client process ended with status {driver.returncode}")
        said = json.loads(out)
        served.update(said["served"])
        failed += said["failed"]
        surprises += said["surprises"]
    return Outcome(served, failed, tuple(surprises))


def _print_minute(looks: Sequence[Look]) -> None:
    now, before = looks[-1], looks[-1 - LOOKS_A_MINUTE]
    logins = now.logins - before.logins
    late = {bound: count - before.late.get(bound, 0) for bound, count in now.late.items()}
    bound = min((bound for bound in late if late[bound] >= 0.99 * max(late.values())), default=0.0)
    print(
        f"minute {len(looks) // LOOKS_A_MINUTE:3}: {logins:6,.0f} logins ({logins / (now.at - before.at):,.0f}/s),"
        f" {_megabytes(now.rss)}, {now.descriptors} file descriptors, 99 % of timers at most {bound:g} s late",
        flush=True,
    )


def _verdict(looks: Sequence[Look], end: Look, outcome: Outcome, errors: Sequence[str]) -> bool:
    idle, quarter = looks[0], max(1, len(looks) // 4)
    second, last = looks[quarter : 2 * quarter], looks[-quarter:]
    before, after = (sum(look.rss for look in part) / len(part) for part in (second, last))
    flat = after - before <= max(GROWTH_BYTES, GROWTH_SHARE * before)
    closed = end.descriptors <= idle.descriptors
    print(f"clients: {', '.join(f'{kind} {count:,}' for kind, count in sorted(outcome.served.items()))}")
    for line in (*outcome.surprises, *errors[:MAX_ERRORS]):
        print(f"  {line}")
    print(f"logins: {end.logins - idle.logins:,.0f}; memory after them: {_megabytes(end.rss)}")
    print(f"clients that did nothing wrong and were not served: {outcome.failed} ({_said(outcome.failed == 0)})")
    print(f"errors in the proxy's log: {len(errors)} ({_said(not errors)})")
    print(f"memory: {_megabytes(before)} in the second quarter, {_megabytes(after)} in the last ({_said(flat)})")
    print(f"file descriptors: {idle.descriptors} before, {end.descriptors} after ({_said(closed)})")
    return flat and closed and not outcome.failed and not errors


def _is_clean(watched: Watched, end: Look, left: Sequence[str]) -> bool:
    """That nothing is left at the server, that lost lines were told, and that the last reload is in force."""
    told = watched.dropped_lines()
    for line in left[:MAX_ERRORS]:
        print(f"  {line}")
    print(f"sessions left at the server: {len(left)} ({_said(not left)})")
    print(
        f"the log's reader stopped {watched.reader.stops} times: {end.lines_dropped:.0f} lines were dropped,"
        f" the log tells of {told} ({_said(told == end.lines_dropped)})"
    )
    print(f"the last reload is {'' if end.reloaded else 'not '}in force ({_said(end.reloaded)})")
    return not left and told == end.lines_dropped and end.reloaded


def _said(good: bool) -> str:
    return "as it should be" if good else "NOT as it should be"


def _megabytes(count: float) -> str:
    return f"{count / MEGABYTE:.1f} MB"
