"""A tunnel's life, with small programs that make none: the shell listens nowhere, Python's does."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from rds_iam_proxy.config import CommandTunnel, Target
from rds_iam_proxy.errors.tree import Unreachable
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.tunnel.process import MAX_UNHEARD_LINES, Process
from rds_iam_proxy.rds.tunnel.tunnel import State, Tunnel

ENDPOINT = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
ENVIRON = {"PATH": os.environ["PATH"]}
SILENT = ("sleep", "600", "{local_port}")
LISTENS = (
    sys.executable,
    "-ISc",
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)",
    "{local_port}",
)


def ends_with(code: int, words: str) -> tuple[str, ...]:
    return "sh", "-c", f"echo '{words}' >&2; exit {code} # {{local_port}}"


@contextlib.asynccontextmanager
async def tunnel_by(words: tuple[str, ...], *, idle: float | None = None) -> AsyncIterator[Tunnel]:
    """It is ended, as the proxy ends it, by cancelling its task."""
    tasks: list[asyncio.Task[None]] = []

    def spawn(coroutine: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.create_task(coroutine))

    target = Target(
        "shop", ENDPOINT, ENDPOINT, "eu-central-1", tunnel=CommandTunnel(words), tunnel_idle=idle, profile="dev"
    )
    try:
        yield Tunnel(target, ENVIRON, spawn)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def row_of(tunnel: Tunnel, seconds: float) -> str:
    with pytest.raises(Unreachable) as caught:
        await tunnel.near_end(seconds)
    assert "shop" in caught.value.text or str(tunnel) in caught.value.text
    return caught.value.row.key


async def until(is_so: Callable[[], object]) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - processes set no Event
            await asyncio.sleep(0.01)


async def test_program_that_is_nowhere_fails_at_once() -> None:
    async with tunnel_by(("rds-iam-proxy-no-such-program", "{local_port}")) as tunnel:
        began = time.monotonic()
        assert await row_of(tunnel, 30) == "tunnel-program"
        assert time.monotonic() - began < 5


async def test_program_that_ends_is_tried_again_while_somebody_waits() -> None:
    async with tunnel_by(ends_with(7, "no route")) as tunnel:
        assert await row_of(tunnel, 1.0) == "tunnel-ended"
        assert tunnel.starts >= 2
        assert tunnel.failure is not None
        assert "exit code 7, it said: no route" in tunnel.failure.text


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ("Permission denied (publickey).", "tunnel-key"),
        ("TargetNotConnected", "tunnel-not-connected"),
        ("SessionManagerPlugin is not found.", "tunnel-plugin"),
        ("Token has expired and refresh failed", "tunnel-credentials"),
    ],
)
async def test_what_waiting_does_not_mend_fails_at_once(said: str, row: str) -> None:
    async with tunnel_by(ends_with(255, said)) as tunnel:
        began = time.monotonic()
        assert await row_of(tunnel, 30) == row
        assert time.monotonic() - began < 5
        assert tunnel.starts == 1


async def test_program_that_opens_nothing() -> None:
    async with tunnel_by(SILENT) as tunnel:
        assert await row_of(tunnel, 0.3) == "tunnel-late"
        assert tunnel.state is State.OPENING, "it goes on"


async def test_many_wait_for_one_program() -> None:
    async with tunnel_by(LISTENS) as tunnel:
        near = await asyncio.gather(*(tunnel.near_end(20) for _ in range(200)))
        assert len(set(near)) == 1
        assert tunnel.starts == 1


async def test_what_is_not_answered_twice_is_opened_anew() -> None:
    async with tunnel_by(LISTENS) as tunnel:
        first = await tunnel.near_end(20)
        tunnel.unanswered()
        tunnel.answered()
        tunnel.unanswered()
        await asyncio.sleep(0.1)
        assert tunnel.state is State.OPEN
        tunnel.unanswered()
        await until(lambda: tunnel.state is not State.OPEN)
        assert await tunnel.near_end(20) != first
        assert tunnel.starts == 2


async def test_idle_only_without_a_session() -> None:
    async with tunnel_by(LISTENS, idle=0.2) as tunnel:
        tunnel.enter()
        await tunnel.near_end(20)
        await asyncio.sleep(0.4)
        assert tunnel.state is State.OPEN
        tunnel.leave()
        tunnel.enter()
        await asyncio.sleep(0.4)
        assert tunnel.state is State.OPEN
        tunnel.leave()
        await until(lambda: tunnel.state is State.CLOSED)
        await tunnel.near_end(20)


async def test_retired_ends_with_its_last_session() -> None:
    async with tunnel_by(LISTENS) as tunnel:
        tunnel.enter()
        await tunnel.near_end(20)
        tunnel.retire()
        await asyncio.sleep(0.1)
        assert tunnel.state is State.OPEN
        tunnel.leave()
        await until(lambda: tunnel.state is State.CLOSED)


async def test_refused_ways_are_explained() -> None:
    lost = Unreachable("hung-up", where="shop", step="reading the greeting", why="closed")
    for said, row in (("administratively prohibited", "tunnel-forbidden"), ("connect failed", "tunnel-far-end")):
        listens = (*LISTENS[:2], f"print('channel 2: open failed: {said}', flush=True); {LISTENS[2]}", LISTENS[3])
        async with tunnel_by(listens) as tunnel:
            await tunnel.near_end(20)
            explained = await tunnel.explained(lost)
            assert explained.row.key == row
    async with tunnel_by(LISTENS) as tunnel:
        await tunnel.near_end(20)
        assert await tunnel.explained(lost) is lost, "it knows nothing of that"


# --- the process ---


async def test_what_the_program_started_ends_with_it() -> None:
    heard: list[bytes] = []
    script = "trap '' TERM; sleep 613 & sleep 617 & echo $!; wait"
    process = Process(("sh", "-c", script), ENVIRON, heard.append, None)
    await until(lambda: heard)
    sleeper = int(heard[0])
    process.stop()
    process.stop()
    await asyncio.wait_for(process.ended, 5)
    await until(lambda: not Path(f"/proc/{sleeper}").exists())


async def test_stopped_before_it_started() -> None:
    process = Process(("sleep", "600"), ENVIRON, lambda _: None, None)
    process.stop()
    await asyncio.wait_for(process.ended, 5)


async def test_flood_of_lines_is_not_kept() -> None:
    heard: list[bytes] = []
    process = Process(("yes",), ENVIRON, heard.append, None)
    await until(lambda: heard)
    time.sleep(0.5)  # noqa: ASYNC251 - the loop hears nothing
    before = len(heard)
    await asyncio.sleep(0)
    assert len(heard) - before <= MAX_UNHEARD_LINES + 1
    process.stop()
    await asyncio.wait_for(process.ended, 5)


async def test_folder_goes_with_the_program(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "s").touch()
    process = Process(("sleep", "600"), ENVIRON, lambda _: None, folder)
    await asyncio.sleep(0.1)
    process.stop()
    await asyncio.wait_for(process.ended, 5)
    await until(lambda: not folder.exists())
