"""A listening socket that cannot accept."""

import asyncio
import logging
import socket

import pytest

from rds_iam_proxy.logs import UNTOLD_SECONDS
from rds_iam_proxy.net.accept import Acceptance


def test_failures_are_told_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    acceptance = Acceptance(now=lambda: now)
    times = []
    with caplog.at_level(logging.WARNING):
        for _ in range(1300):
            acceptance.failed(OSError(24, "Too many open files"))
            now += 0.1
        times = [record.rds_iam_proxy_fields["times"] for record in caplog.records]  # type: ignore[attr-defined]
    assert caplog.messages == ["cannot accept"] * 3
    assert times == [1, pytest.approx(UNTOLD_SECONDS * 10, abs=1), pytest.approx(UNTOLD_SECONDS * 10, abs=1)]


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_client_that_comes_when_accepting_ends_is_not_lost(turns: int) -> None:
    """It waits for whoever empties the backlog, or was handed over."""

    async def come_and_cancel() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            listening.setblocking(False)
            accepting = asyncio.create_task(Acceptance().accept(listening))
            await asyncio.sleep(0)
            client.connect(listening.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
            accepting.cancel()
            try:
                sock, _ = await accepting
            except asyncio.CancelledError:
                sock, _ = listening.accept()
            sock.close()

    asyncio.run(come_and_cancel())
