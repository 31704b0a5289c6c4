"""From the start of the process until it listens; and the time of `--version`."""

import subprocess
import sys
import time
from collections.abc import Iterator

from ..lab import PROXY, Lab
from ..process import free_port, started, wait_until_listening
from ..proxy import prepare
from ..samples import Sample
from ..schedule import Scale

MEASURE = "startup"
LISTENING, VERSION = "start until listening", "--version"
TIMES = 4
"""Per round."""


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    folder = lab.folder / "startup"
    folder.mkdir()
    for number in range(1 if scale.smoke else TIMES * scale.rounds):
        yield Sample(MEASURE, LISTENING, PROXY, number + 1, {"seconds": _until_listening(lab)})
        yield Sample(MEASURE, VERSION, PROXY, number + 1, {"seconds": _version(lab)})


def _until_listening(lab: Lab) -> float:
    folder = lab.folder / "startup"
    port = free_port()
    command, environment = prepare(lab.server, folder, port)
    log = folder / "proxy.log"
    began = time.perf_counter()
    with started(command, log, environment) as process:
        wait_until_listening(process, port, log)
        return time.perf_counter() - began


def _version(lab: Lab) -> float:
    _, environment = prepare(lab.server, lab.folder / "startup", 0)
    began = time.perf_counter()
    command = [sys.executable, "-m", "rds_iam_proxy", "--version"]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=30)
    return time.perf_counter() - began
