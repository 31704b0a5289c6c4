"""That every measure of the benchmark works, each for a moment. No figure is judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.fixtures import ServerPool
from servers.real_server import RealServer

ROOT = Path(__file__).resolve().parent.parent
MEASURES = ("queries", "bulk", "logins", "lent sessions", "login phases", "memory", "many sessions", "startup")


@pytest.mark.timeout(240)
def test_every_measure_of_the_benchmark_runs(server_pool: ServerPool[RealServer]) -> None:
    server_pool.get("mysql-9.7")  # skips, or fails in CI, where it cannot be had
    done = subprocess.run(
        [sys.executable, "-m", "bench", "smoke"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    measured, _, targets = done.stdout.partition("Targets:")
    for measure in MEASURES:
        assert f"s  {measure}: " in measured
    assert all("point select" in line for line in targets.splitlines() if "not measured" in line)
