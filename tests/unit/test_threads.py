"""Calls that block, as futures."""

import asyncio
import threading

import pytest

from rds_iam_proxy.threads import KeptThread, future_in_thread, in_thread


async def test_result_and_exception_come_from_a_daemon_thread() -> None:
    thread = await in_thread(threading.current_thread, 20, "test")
    assert thread.daemon
    assert thread.name == "rds-iam-proxy-test"

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_thread(fail, 20, "test")


async def test_a_call_that_hangs_is_left_to_itself() -> None:
    gate, over = threading.Event(), threading.Event()

    def hang() -> None:
        gate.wait()
        over.set()
        raise ValueError("nobody hears of it")

    with pytest.raises(TimeoutError):
        await in_thread(hang, 0.01, "test")
    gate.set()
    assert await asyncio.to_thread(over.wait, 20)
    await asyncio.sleep(0.01)


def test_a_call_that_outlives_the_loop_is_no_error() -> None:
    gate = threading.Event()

    async def main() -> threading.Thread:
        future_in_thread(gate.wait, "outlives")
        return next(thread for thread in threading.enumerate() if thread.name == "rds-iam-proxy-outlives")

    thread = asyncio.run(main())
    gate.set()
    thread.join(20)
    assert not thread.is_alive()


async def test_a_kept_thread_makes_all_calls_until_it_is_closed() -> None:
    kept = KeptThread("kept")
    first = await kept.future(threading.current_thread)
    assert await kept.future(threading.current_thread) is first
    assert first.daemon
    assert first.name == "rds-iam-proxy-kept"

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await kept.future(fail)
    last = kept.future(threading.current_thread)
    kept.close()
    assert await last is first
    await asyncio.to_thread(first.join, 20)
    assert not first.is_alive()
