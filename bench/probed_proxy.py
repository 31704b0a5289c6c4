"""The proxy's command line with clocks in it: how late its event loop is, and where the time of a login goes.

Writes lines of JSON to the file that BENCH_PROBE names, about one a second. Only for figures that cannot be had from
outside; everything else is measured on the proxy as it is.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from rds_iam_proxy.cli import app as cli
from rds_iam_proxy.cli.programs import OnReady, Programs
from rds_iam_proxy.commands.serve import new_event_loop, serve
from rds_iam_proxy.config import Config
from rds_iam_proxy.service.lifecycle import Lifecycle
from rds_iam_proxy.stats.histogram import Histogram
from rds_iam_proxy.stats.phases import Phase
from rds_iam_proxy.stats.target import TargetStats

LAG_INTERVAL = 0.01
WRITE_INTERVAL = 0.5


class Probe:
    """Collects seconds by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, list[float]] = {}

    def add(self, name: str, seconds: float) -> None:
        self._seconds.setdefault(name, []).append(round(seconds, 6))

    def stats(self) -> TargetStats:
        """The proxy's own counters of a target, of which each value of a login is kept too."""
        return TargetStats(
            client_login=Kept(self, "front"),
            permit_wait=Kept(self, "wait"),
            phases={phase: Kept(self, phase.value) for phase in Phase},
        )

    async def watch_loop(self) -> None:
        """How much later than asked for the loop gets to something."""
        written = time.monotonic()
        while True:
            began = time.monotonic()
            await asyncio.sleep(LAG_INTERVAL)
            now = time.monotonic()
            self.add("lag", max(0.0, now - began - LAG_INTERVAL))
            if now - written >= WRITE_INTERVAL:
                written = now
                self._write(now)

    def _write(self, now: float) -> None:
        seconds, self._seconds = self._seconds, {}
        with self._path.open("a") as file:
            file.write(json.dumps({"monotonic": now, **seconds}) + "\n")


class Kept(Histogram):
    """Tells the probe of each value."""

    def __init__(self, probe: Probe, name: str) -> None:
        super().__init__()
        self._probe = probe
        self._name = name

    def observe(self, value: float) -> None:
        super().observe(value)
        self._probe.add(self._name, value)


def probed_serve(config: Config, *, on_ready: OnReady, lifecycle: Lifecycle) -> int:
    """`commands.serve.run`, with the probe's counters."""
    probe = Probe(Path(os.environ["BENCH_PROBE"]))

    async def serving() -> int:
        watching = asyncio.create_task(probe.watch_loop())
        try:
            return await serve(config, on_ready=on_ready, lifecycle=replace(lifecycle, new_stats=probe.stats))
        finally:
            watching.cancel()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(serving())


def read(path: Path, since: float, until: float) -> dict[str, list[float]]:
    """What a probed proxy wrote between two moments of the monotonic clock."""
    found: dict[str, list[float]] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if since <= entry.pop("monotonic") <= until:
            for name, seconds in entry.items():
                found.setdefault(name, []).extend(seconds)
    return found


if __name__ == "__main__":
    sys.exit(cli.run(sys.argv[1:], programs=Programs(serve=probed_serve)))
