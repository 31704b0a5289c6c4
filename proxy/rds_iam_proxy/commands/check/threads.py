"""Calls that block, on threads that a process does not wait for when it ends."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], seconds: float) -> T:
    """Its result, or its exception. Raises TimeoutError; it goes on then, and nobody waits for it."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, exception: Exception | None) -> None:
        if outcome.done():
            return
        if exception is not None:
            outcome.set_exception(exception)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, exception = None, None
        try:
            result = function()
        except Exception as exc:
            exception = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, result, exception)

    threading.Thread(target=work, name="rds-iam-proxy-check", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await outcome
