"""Starts the processes that are measured and waits until they listen; ends each in the context that started it."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

START_SECONDS = 20.0


class BrokenRun(Exception):
    """A part of the benchmark did not work, so there is no figure."""


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str], *, output: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose output goes to `log`, or to this descriptor. A SIGHUP of this terminal is not meant for it."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out if output is None else output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Raises BrokenRun when it ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BrokenRun(f"nothing listens on port {port}; the log ends:\n{log.read_text()[-2000:]}")
        time.sleep(0.002)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
