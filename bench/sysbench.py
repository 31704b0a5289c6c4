"""Runs sysbench and reads what it prints; also installs it where this is Debian and we are root."""

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servers import debian

from .accounting import CPU, cpu_of
from .process import BrokenRun
from .subjects import DATABASE, Subject

_SECOND = re.compile(r"^\[ (\d+)s \] thds: \d+ tps: [\d.]+ qps: ([\d.]+) ")
_BUCKET = re.compile(r"^\s*([\d.]+) \|.* (\d+)$")
_ERRORS = re.compile(r"^\s*ignored errors:\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the seconds in the middle of one run: the logins before it are left out, except in the latencies."""

    queries_per_second: float
    queries: float
    cpu: CPU | None  # of the relaying process
    latencies: Sequence[tuple[float, int]]  # milliseconds (of a transaction) and how many took about that

    def latency(self, percent: float) -> float:
        """Milliseconds within which so many percent were done."""
        left = sum(count for _, count in self.latencies) * percent / 100
        for milliseconds, count in self.latencies:
            left -= count
            if left <= 0:
                return milliseconds
        return self.latencies[-1][0]


def require_sysbench() -> str:
    """Its version. Raises BrokenRun when it is not there and cannot be installed."""
    if shutil.which("sysbench") is None:
        if os.geteuid() != 0:
            raise BrokenRun("sysbench is not installed (Debian: apt-get install sysbench)")
        log = Path(tempfile.gettempdir()) / "rds-iam-proxy-bench-install.log"
        debian.update_host(log=log)
        debian.install_on_host(["sysbench"], log=log)
    return subprocess.run(["sysbench", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def prepare_tables(socket_path: Path, options: Sequence[str]) -> None:
    """Makes the tables, through the server's Unix socket as its superuser."""
    connection = [f"--mysql-socket={socket_path}", "--mysql-user=root", f"--mysql-db={DATABASE}"]
    command = ["sysbench", "oltp_read_write", *connection, *options, "prepare"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise BrokenRun(f"sysbench could not make its tables:\n{(done.stdout + done.stderr)[-2000:]}")


def run(subject: Subject, script: str, options: Sequence[str], *, threads: int, seconds: int, tls: Path) -> Figures:
    """One run of `seconds` (at least 3). `tls`: the folder with the files that sysbench's TLS wants."""
    command = [
        "sysbench",
        script,
        "--mysql-host=127.0.0.1",
        f"--mysql-port={subject.port}",
        f"--mysql-user={subject.user}",
        f"--mysql-password={subject.password}",
        f"--mysql-db={DATABASE}",
        f"--mysql-ssl={'on' if subject.tls else 'off'}",
        f"--threads={threads}",
        f"--time={seconds}",
        "--report-interval=1",
        "--histogram=on",
        *options,
        "run",
    ]
    marks: list[tuple[int, float, CPU | None]] = []
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tls
    ) as process:
        for line in process.stdout or ():
            if found := _SECOND.match(line):
                marks.append((int(found[1]), float(found[2]), cpu_of(subject.pid) if subject.pid else None))
            lines.append(line)
    if process.returncode != 0 or len(marks) < 2:
        raise BrokenRun(f"sysbench {script} through {subject.name} failed:\n{''.join(lines)[-2000:]}")
    return _figures(marks, lines)


def _figures(marks: list[tuple[int, float, CPU | None]], lines: list[str]) -> Figures:
    seconds = marks[-1][0] - marks[0][0]
    queries = sum(mark[1] * (mark[0] - before[0]) for before, mark in itertools.pairwise(marks))
    first, last = marks[0][2], marks[-1][2]
    latencies = [(float(found[1]), int(found[2])) for found in map(_BUCKET.match, lines) if found]
    return Figures(queries / seconds, queries, last - first if first and last else None, latencies)
