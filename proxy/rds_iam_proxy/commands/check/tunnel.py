"""The target's tunnel, open for as long as the check needs it."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager

from ...config import Target
from ...errors.tree import LoginError
from ...rds.tunnel.tunnel import Tunnel
from .report import Finding, Status
from .steps import failed


@asynccontextmanager
async def tunnel_of(target: Target, environ: Mapping[str, str]) -> AsyncIterator[Tunnel | None]:
    """None: the target has none. Not open yet; closed at the end."""
    tasks: list[asyncio.Task[None]] = []

    def spawn(coroutine: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.create_task(coroutine))

    try:
        yield None if target.tunnel is None else Tunnel(target, environ, spawn)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def open_tunnel(tunnel: Tunnel, seconds: float) -> Finding:
    """Whether it opens within the time that a login has."""
    began = time.monotonic()
    try:
        near = await tunnel.near_end(seconds)
    except LoginError as exc:
        finding = failed("tunnel", exc)
        return Finding("tunnel", Status.FAILED, finding.text, time.monotonic() - began, finding.details, finding.advice)
    return Finding("tunnel", Status.OK, f"{tunnel} is open at {near}", time.monotonic() - began)
