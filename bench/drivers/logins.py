"""Login, SELECT 1, quit: again and again, in some processes at once, each one after another."""

import json
import multiprocessing
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from bench.accounting import exact_cpu_of
from bench.drivers.order import read_order, relay_cpu
from bench.subjects import Connector, Subject
from conformance.places import php

PYMYSQL, MYSQLI, PDO = "PyMySQL", "mysqli", "PDO"

Times = list[float]
"""Seconds that each login took."""


def _log_in(connector: Connector) -> None:
    connection, _ = connector.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    connection.close()


def _pymysql(subject: Subject, seconds: float) -> Callable[[], Times]:
    connector = Connector(subject)
    _log_in(connector)

    def run() -> Times:
        times = []
        now = time.perf_counter()
        deadline = now + seconds
        while now < deadline:
            before = now
            _log_in(connector)
            now = time.perf_counter()
            times.append(now - before)
        return times

    return run


def _php(client: str, subject: Subject, seconds: float) -> Callable[[], Times]:
    command = [*php(), str(Path(__file__).with_suffix(".php")), client.lower()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    told, said = process.stdin, process.stdout
    told.write(f"{json.dumps(asdict(subject))}\n{seconds}\n")
    told.flush()
    if said.readline() != "ready\n":
        raise RuntimeError(f"{client} could not log in: {said.read()}")

    def run() -> Times:
        told.write("\n")
        told.flush()
        times: Times = json.loads(said.readline())
        process.wait(10)
        return times

    return run


def _work(
    client: str, subject: Subject, seconds: float, barrier: Barrier, took: "multiprocessing.SimpleQueue[Times]"
) -> None:
    """The first login, until which nothing is measured, is its preparation."""
    run = _pymysql(subject, seconds) if client == PYMYSQL else _php(client, subject, seconds)
    barrier.wait()
    times = run()
    barrier.wait()
    took.put(times)


def _cpu_of_server(order: Mapping[str, Any]) -> float:
    """0 where that is not asked for."""
    return exact_cpu_of(order["server"]) if "server" in order else 0.0


def main() -> None:
    subject, order = read_order()
    context = multiprocessing.get_context("fork")
    at_once = order["at_once"]
    barrier = context.Barrier(at_once + 1)
    took: multiprocessing.SimpleQueue[Times] = context.SimpleQueue()
    workers = [
        context.Process(target=_work, args=(order["client"], subject, order["seconds"], barrier, took), daemon=True)
        for _ in range(at_once)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(60)
    cpu, served, began = relay_cpu(subject), _cpu_of_server(order), time.perf_counter()
    barrier.wait(order["seconds"] + 60)
    used, seconds = relay_cpu(subject), time.perf_counter() - began
    served = _cpu_of_server(order) - served
    times = sorted(one for _ in workers for one in took.get())
    print(
        json.dumps(
            {
                "logins_per_second": len(times) / seconds,
                "median_ms": times[len(times) // 2] * 1e3,
                "p95_ms": times[int(len(times) * 0.95)] * 1e3,
                "cpu_user_ms": (used[0] - cpu[0]) / len(times) * 1e3,
                "cpu_system_ms": (used[1] - cpu[1]) / len(times) * 1e3,
                "server_cpu_ms": served / len(times) * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
