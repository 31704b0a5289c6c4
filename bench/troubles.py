"""What goes on beside churn's clients: reloads, silent connections to the admin address, a log that nobody reads."""

import contextlib
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

RELOAD_SECONDS = 5.0
SILENT_SECONDS = 0.1
"""From one silent connection to the next."""

MAX_SILENT = 200
"""Far more than the admin address keeps; those that it has closed are closed here when their turn comes."""

READS_SECONDS = 10.0
STOPS_SECONDS = 30.0
MAX_READ_BYTES = 64 * 1024


class LogReader:
    """Copies a proxy's log from a pipe to a file; now and then it reads nothing for a while."""

    def __init__(self, path: Path) -> None:
        self._read, self.writes = os.pipe()
        self._path = path
        self._steady = Event()
        self.stops = 0
        self._thread = Thread(target=self._copy, daemon=True)

    @contextlib.contextmanager
    def reading(self) -> "Iterator[LogReader]":
        """The proxy must have ended before the context does."""
        self._thread.start()
        try:
            yield self
        finally:
            self._steady.set()
            os.close(self.writes)
            self._thread.join()
            os.close(self._read)

    def read_on(self) -> None:
        """Without further stops."""
        self._steady.set()

    def _copy(self) -> None:
        next_stop = time.monotonic() + READS_SECONDS
        with self._path.open("ab", buffering=0) as out:
            while data := os.read(self._read, MAX_READ_BYTES):
                out.write(data)
                if time.monotonic() > next_stop and not self._steady.is_set():
                    self.stops += 1
                    self._steady.wait(STOPS_SECONDS)
                    next_stop = time.monotonic() + READS_SECONDS


@contextlib.contextmanager
def troubles(pid: int, admin: str) -> Iterator[None]:
    """Reloads the proxy and connects to its admin address in silence until the context ends."""
    host, _, port = admin.rpartition(":")
    silent: deque[socket.socket] = deque()

    def say_nothing() -> None:
        with contextlib.suppress(OSError):
            silent.append(socket.create_connection((host, int(port)), timeout=5))
        if len(silent) > MAX_SILENT:
            silent.popleft().close()

    ended = Event()
    threads = [
        Thread(target=_repeat, args=(ended, RELOAD_SECONDS, lambda: os.kill(pid, signal.SIGHUP)), daemon=True),
        Thread(target=_repeat, args=(ended, SILENT_SECONDS, say_nothing), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for sock in silent:
            sock.close()


def _repeat(ended: Event, seconds: float, deed: Callable[[], None]) -> None:
    while not ended.wait(seconds):
        deed()
