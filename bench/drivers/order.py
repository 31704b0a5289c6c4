"""How a driver is told what to do, and tells what it saw."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from bench.accounting import cpu_of
from bench.process import BrokenRun
from bench.subjects import Subject

DRIVER_SECONDS = 600.0


def read_order() -> tuple[Subject, dict[str, Any]]:
    """In the driver: the subject, and the details."""
    order = json.loads(sys.stdin.readline())
    return Subject(**order.pop("subject")), order


def relay_cpu(subject: Subject) -> tuple[float, float]:
    """In the driver: user and system seconds of the relaying process so far; 0 where there is none."""
    if subject.pid is None:
        return 0.0, 0.0
    cpu = cpu_of(subject.pid)
    return cpu.user, cpu.system


def start(driver: str) -> "subprocess.Popen[str]":
    """A driver that waits for its order."""
    command = [sys.executable, "-m", f"bench.drivers.{driver}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(driver: str, subject: Subject, **details: object) -> Mapping[str, float]:
    """One run of a driver, to its figures. Raises BrokenRun."""
    with start(driver) as process:
        try:
            out, _ = process.communicate(subject.order(**details) + "\n", timeout=DRIVER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise BrokenRun(f"{driver} through {subject.name} took more than {DRIVER_SECONDS:.0f} s") from None
    if process.returncode != 0:
        raise BrokenRun(f"{driver} through {subject.name} ended with status {process.returncode}")
    figures: dict[str, float] = json.loads(out)
    return figures
