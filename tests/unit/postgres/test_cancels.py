"""Requests to cancel that anybody may send, as many as he likes."""

import asyncio
import logging
from collections.abc import Iterator
from typing import cast

import pytest

from kit.virtual_time import VirtualTimeLoop, run
from pg_wire.messages import CancelRequest
from rds_iam_proxy.front.ids import LiveSessions
from rds_iam_proxy.logs import UNTOLD_SECONDS
from rds_iam_proxy.postgres.cancel import MAX_WAITING, REQUEST_BURST, REQUESTS_PER_SECOND, Cancels
from rds_iam_proxy.rds.upstream import Upstream

GUESS = CancelRequest(1, b"\0\0\0\0")


class Clock:
    """The part of an `Upstream` that a wrong key needs; counts who asks."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        return self._loop.time()


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    yield loop
    loop.close()


async def flood(cancels: Cancels, clock: Clock, requests: int) -> None:
    live, upstream = LiveSessions(), cast(Upstream, clock)
    await asyncio.gather(*(cancels.run(GUESS, live, "orders", upstream) for _ in range(requests)))


def test_keys_cannot_be_guessed_faster_than_the_limit(loop: VirtualTimeLoop) -> None:
    began = loop.time()
    run(flood(Cancels(), Clock(loop), MAX_WAITING), loop)
    assert loop.time() - began >= (MAX_WAITING - REQUEST_BURST) / REQUESTS_PER_SECOND - 0.01


def test_each_of_a_flood_costs_as_much_as_one_alone(loop: VirtualTimeLoop) -> None:
    clock = Clock(loop)
    run(flood(Cancels(), clock, MAX_WAITING), loop)
    assert clock.looks < 5 * MAX_WAITING


def test_a_flood_does_not_fill_the_log(loop: VirtualTimeLoop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def for_a_minute() -> None:
        cancels = Cancels()
        for _ in range(2):
            await flood(cancels, Clock(loop), MAX_WAITING + 1000)
            await asyncio.sleep(UNTOLD_SECONDS)

    run(for_a_minute(), loop)
    assert caplog.messages == ["cancel request dropped"] * 2
    assert [record.rds_iam_proxy_fields["times"] for record in caplog.records] == [1, 1000 - REQUEST_BURST]  # type: ignore[attr-defined]
