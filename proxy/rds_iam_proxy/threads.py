"""A call that blocks, as a future: on a thread of its own that a process does not wait for when it ends.

Not an executor: its threads are few, so that one that hangs delays others, and they keep a stopping process alive.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def future_in_thread(function: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """Its result or exception, in the running loop. `name`: of the thread, after `rds-iam-proxy-`.

    A future that was cancelled meanwhile stays so; the call goes on, and nobody hears of its end.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, failure: Exception | None) -> None:
        if outcome.done():
            return
        if failure is not None:
            outcome.set_exception(failure)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, failure = None, None
        try:
            result = function()
        except Exception as exc:
            failure = exc
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, name=f"rds-iam-proxy-{name}", daemon=True).start()
    return outcome


async def in_thread(function: Callable[[], T], seconds: float, name: str) -> T:
    """Its result, or its exception. Raises TimeoutError; it goes on then, and nobody waits for it."""
    async with asyncio.timeout(seconds):
        return await future_in_thread(function, name)
