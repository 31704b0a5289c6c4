"""Login, SELECT 1, quit: again and again, in some processes at once, each one after another."""

import json
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from bench.drivers.order import read_order, relay_cpu
from bench.subjects import Connector, Subject


def _log_in(connector: Connector) -> None:
    connection, _ = connector.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    connection.close()


def _work(subject: Subject, seconds: float, barrier: Barrier, took: "multiprocessing.SimpleQueue[list[float]]") -> None:
    connector = Connector(subject)
    _log_in(connector)
    barrier.wait()
    times = []
    now = time.perf_counter()
    deadline = now + seconds
    while now < deadline:
        before = now
        _log_in(connector)
        now = time.perf_counter()
        times.append(now - before)
    barrier.wait()
    took.put(times)


def main() -> None:
    subject, order = read_order()
    context = multiprocessing.get_context("fork")
    at_once = order["at_once"]
    barrier = context.Barrier(at_once + 1)
    took: multiprocessing.SimpleQueue[list[float]] = context.SimpleQueue()
    workers = [
        context.Process(target=_work, args=(subject, order["seconds"], barrier, took), daemon=True)
        for _ in range(at_once)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(60)
    cpu, began = relay_cpu(subject), time.perf_counter()
    barrier.wait(order["seconds"] + 60)
    used, seconds = relay_cpu(subject), time.perf_counter() - began
    times = sorted(one for _ in workers for one in took.get())
    print(
        json.dumps(
            {
                "logins_per_second": len(times) / seconds,
                "median_ms": times[len(times) // 2] * 1e3,
                "p95_ms": times[int(len(times) * 0.95)] * 1e3,
                "cpu_user_ms": (used[0] - cpu[0]) / len(times) * 1e3,
                "cpu_system_ms": (used[1] - cpu[1]) / len(times) * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
