"""SIGHUP: a reload, or the end of the terminal that the proxy runs in the foreground of. From the first moment on."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

_TERMINAL = "/dev/tty"
"""The process's own; it cannot be opened when there is none any more."""


class Hangup:
    """Made when the process starts: a SIGHUP that comes before `watch` is kept for it. `close` undoes it."""

    def __init__(self) -> None:
        self._has_come = False
        self._had_terminal = False
        self._before: Any = None
        if hasattr(signal, "SIGHUP"):
            # nohup has it ignored, and a shell's `&` puts it in the background: then it is to outlive its terminal.
            is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            self._had_terminal = not is_ignored and is_in_foreground()
            with suppress(ValueError):  # not in the main thread
                self._before = signal.signal(signal.SIGHUP, self._early)

    def watch(self, on_reload: Callable[[], None], on_end: Callable[[], None]) -> None:
        """From now on in the running loop. `on_end`: the terminal is gone."""

        def on_signal() -> None:
            if self.terminal_is_gone:
                on_end()
            else:
                on_reload()

        with suppress(NotImplementedError, AttributeError):  # Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_signal)
            if self._has_come:
                on_signal()

    @property
    def terminal_is_gone(self) -> bool:
        return self._had_terminal and not _has_terminal()

    def close(self) -> None:
        if self._before is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGHUP, self._before)

    def _early(self, number: int, _: FrameType | None) -> None:
        if self.terminal_is_gone:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._has_come = True


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def is_in_foreground() -> bool:
    """What is typed at the terminal goes to us, and so to all of the same process group."""
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
