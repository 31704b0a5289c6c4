"""A call that blocks, as a future: on a thread of its own that a process does not wait for when it ends.

Not an executor: its threads are few, so that one that hangs delays others, and they keep a stopping process alive.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

Work = Callable[[], None]


def future_in_thread(function: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """Its result or exception, in the running loop. `name`: of the thread, after `rds-iam-proxy-`.

    A future that was cancelled meanwhile stays so; the call goes on, and nobody hears of its end.
    """
    outcome, work = _as_work(function)
    _start(work, name)
    return outcome


async def in_thread(function: Callable[[], T], seconds: float, name: str) -> T:
    """Its result, or its exception. Raises TimeoutError; it goes on then, and nobody waits for it."""
    async with asyncio.timeout(seconds):
        return await future_in_thread(function, name)


class KeptThread:
    """For short calls that come again and again, one after the other: to start a thread takes longer than they do."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._todo: SimpleQueue[Work | None] = SimpleQueue()
        self._is_started = False

    def future(self, function: Callable[[], T]) -> "asyncio.Future[T]":
        """As `future_in_thread`; one that hangs holds up all later ones."""
        outcome, work = _as_work(function)
        self._todo.put(work)
        if not self._is_started:
            self._is_started = True
            _start(lambda: _work_off(self._todo), self._name)
        return outcome

    def close(self) -> None:
        """The thread ends after what was asked for; nothing more must be."""
        self._todo.put(None)


def _work_off(todo: "SimpleQueue[Work | None]") -> None:
    while (work := todo.get()) is not None:
        work()


def _start(work: Work, name: str) -> None:
    threading.Thread(target=work, name=f"rds-iam-proxy-{name}", daemon=True).start()


def _as_work(function: Callable[[], T]) -> "tuple[asyncio.Future[T], Work]":
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

    return outcome, work
