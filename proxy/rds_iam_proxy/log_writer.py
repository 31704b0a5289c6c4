"""Carries log lines to whoever reads them, from a thread of its own: a reader that stops delays nobody.

Knows nothing of levels and formats.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import TextIO

MAX_WAITING_CHARACTERS = 1 << 20
"""Of lines that wait for the reader; those that find no room are dropped."""

GATHER_SECONDS = 0.01
"""From one write to the next: to wake the thread for each of many lines costs the event loop more than a line does."""


class LogWriter:
    """`put` never waits. Lines are written in their order, and where some were dropped `note(how many)` is written."""

    def __init__(
        self,
        write: Callable[[str], None],
        note: Callable[[int], str],
        *,
        most: int = MAX_WAITING_CHARACTERS,
    ) -> None:
        """`write` may block, and raises an exception if nobody reads any more. Both run in the thread."""
        self.dropped = 0
        """Lines that nobody will read, since the start."""
        self._write = write
        self._note = note
        self._most = most
        self._lines: list[str] = []
        self._characters = 0
        self._untold = 0
        self._is_writing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Without its line end."""
        with self._changed:
            if self._characters + len(line) > self._most:
                self._drop(1)
                return
            self._lines.append(line)
            self._characters += len(line) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rds-iam-proxy-log", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait, at most so long, until everything is written. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._is_writing, seconds)

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines

    def _run(self) -> None:
        while True:
            lines, untold = self._take()
            try:
                noted = [*lines, self._note(untold)] if untold else lines
                self._write("".join(f"{line}\n" for line in noted))
                was_written = True
            except Exception:  # nobody reads any more; and a thread that dies would lose all later lines
                was_written = False
            with self._changed:
                self._is_writing = False
                if not was_written:
                    self._drop(len(lines))
                    self._untold += untold
                self._changed.notify_all()
            time.sleep(GATHER_SECONDS)

    def _take(self) -> tuple[list[str], int]:
        """All lines that wait, and how many were dropped behind them: there was no room then, and now there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines)
            lines, self._lines, self._characters = self._lines, [], 0
            untold, self._untold, self._is_writing = self._untold, 0, True
            return lines, untold


def to_descriptor(descriptor: int, encoding: str) -> Callable[[str], None]:
    """Past Python's own buffer: a thread that hangs while it holds that one makes the process abort when it ends."""

    def write(text: str) -> None:
        left = memoryview(text.encode(encoding, "backslashreplace"))
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # whoever shares the terminal or pipe may have made it so
                select.select([], [descriptor], [])

    return write


def writer_to(stream: TextIO) -> Callable[[str], None]:
    """For a LogWriter: to the stream's descriptor, or to itself if it has none."""
    with contextlib.suppress(OSError, AttributeError):
        return to_descriptor(stream.fileno(), stream.encoding or "utf-8")

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write
