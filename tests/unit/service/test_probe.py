"""A target that answers no more is tried again, whoever looks."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.dialect import Dialect
from rds_iam_proxy.errors.tree import LoginError, Unreachable
from rds_iam_proxy.rds.upstream import Upstream
from rds_iam_proxy.service.probe import RECOVERY_SECONDS, Probe
from rds_iam_proxy.stats.target import TargetStats

DOWN = Unreachable("unreachable", where="shop", why="Connection refused")


class Bench:
    """A probe that has had its first answer, of a target whose logins `fail` or not."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.stats = TargetStats(wall=lambda: 1.8e9 + loop.now)
        self.tries: list[float] = []
        self.fail: LoginError | None = None
        upstream = SimpleNamespace(stats=self.stats, breaker_open=False, target=SimpleNamespace(name="shop"))
        dialect = cast("Dialect[Any]", SimpleNamespace(has_answered=lambda: True, tried=lambda: None))
        self.probe = _Probe(cast(Upstream, upstream), dialect, "batch", wall=self.stats.wall)
        self.probe.bench = self
        self.probe.loop = loop


class _Probe(Probe):
    bench: Bench
    loop: VirtualTimeLoop

    async def log_in_once(self, db_user: str) -> None:
        self.bench.tries.append(self.loop.now)
        self.bench.stats.attempted(db_user, self.bench.fail)
        if self.bench.fail is not None:
            raise self.bench.fail


async def _during(bench: Bench, seconds: float) -> None:
    task = asyncio.ensure_future(bench.probe.run())
    await asyncio.sleep(seconds)
    task.cancel()


@pytest.mark.parametrize("user", ["batch", "somebody else"])
def test_tried_every_15_s_until_it_is_ready_and_then_left_alone(user: str) -> None:
    loop = VirtualTimeLoop()
    bench = Bench(loop)

    async def main() -> None:
        bench.stats.attempted(user, DOWN)
        bench.fail = DOWN
        await _during(bench, 3 * RECOVERY_SECONDS + 4)
        assert len(bench.tries) == 3
        bench.fail = None
        await _during(bench, 4 * RECOVERY_SECONDS)
        assert len(bench.tries) == 4

    run(main(), loop)


def test_logins_of_clients_count_as_tries() -> None:
    loop = VirtualTimeLoop()
    bench = Bench(loop)

    async def main() -> None:
        task = asyncio.ensure_future(bench.probe.run())
        for _ in range(10):
            bench.stats.attempted("batch", DOWN)
            await asyncio.sleep(RECOVERY_SECONDS - 1)
        assert bench.tries == []
        task.cancel()

    run(main(), loop)


def test_a_target_that_is_ready_is_not_asked() -> None:
    loop = VirtualTimeLoop()
    bench = Bench(loop)

    async def main() -> None:
        bench.stats.attempted("batch", None)
        await _during(bench, 1000)
        assert bench.tries == []

    run(main(), loop)
