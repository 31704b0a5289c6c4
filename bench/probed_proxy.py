"""The proxy's command line with clocks in it: how late its event loop is, and where the time of a login goes.

Writes lines of JSON to the file that BENCH_PROBE names, about one a second. Only for figures that cannot be had from
outside; everything else is measured on the proxy as it is.
"""

import asyncio
import functools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from rds_iam_proxy.cli import app as cli
from rds_iam_proxy.commands import serve as server
from rds_iam_proxy.limits import limiter
from rds_iam_proxy.mysql import front_login
from rds_iam_proxy.rds import upstream
from rds_iam_proxy.stats.phases import PhaseTimer

LAG_INTERVAL = 0.01
WRITE_INTERVAL = 0.5

P = ParamSpec("P")
T = TypeVar("T")


class Probe:
    """Collects seconds by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, list[float]] = {}

    def add(self, name: str, seconds: float) -> None:
        self._seconds.setdefault(name, []).append(round(seconds, 6))

    def timed(self, name: str, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """The same function; the seconds of each call that succeeds are kept."""

        @functools.wraps(function)
        async def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.perf_counter()
            result = await function(*args, **kwargs)
            self.add(name, time.perf_counter() - began)
            return result

        return measured

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


class ProbedPhases:
    """In the place of the proxy's own PhaseTimer: tells the probe too."""

    def __init__(self, probe: Probe, timer: PhaseTimer) -> None:
        self._probe = probe
        self._timer = timer
        self._step = "connect"
        self._since = time.perf_counter()

    def __call__(self, step: Enum) -> None:
        now = time.perf_counter()
        self._probe.add(self._step, now - self._since)
        self._step, self._since = step.name.lower(), now
        self._timer(step)


def install(probe: Probe) -> None:
    """Puts the clocks into the proxy's own functions."""
    places: tuple[tuple[str, Any, str], ...] = (
        ("front", front_login.FrontLogin, "authenticate"),
        ("wait", limiter.Limiter, "acquire"),
    )
    for name, owner, attribute in places:
        setattr(owner, attribute, probe.timed(name, getattr(owner, attribute)))
    vars(upstream)["PhaseTimer"] = lambda *args: ProbedPhases(probe, PhaseTimer(*args))

    serve = server.serve

    async def probed_serve(*args: Any, **kwargs: Any) -> int:
        watching = asyncio.create_task(probe.watch_loop())
        try:
            return await serve(*args, **kwargs)
        finally:
            watching.cancel()

    server.serve = probed_serve


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
    install(Probe(Path(os.environ["BENCH_PROBE"])))
    sys.exit(cli.run(sys.argv[1:]))
