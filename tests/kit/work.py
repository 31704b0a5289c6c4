"""Counts work, so that a bound can be tested without a clock."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(call: Callable[[], object], *, below: str) -> int:
    """How many lines of files whose path contains `below` run during `call`."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if below not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


class Watched(bytes):
    """Bytes that count how many of them were looked at."""

    looked_at = 0

    def find(self, sub: Any, start: Any = None, end: Any = None) -> int:
        found = super().find(sub, start, end)
        self.looked_at += (len(self) if found < 0 else found + len(sub)) - start
        return found

    def rindex(self, sub: Any, *limits: Any) -> int:
        found = super().rindex(sub, *limits)
        self.looked_at += len(self) - found
        return found

    def startswith(self, prefix: Any, *limits: Any) -> bool:
        self.looked_at += len(prefix) if isinstance(prefix, bytes) else sum(map(len, prefix))
        return super().startswith(prefix, *limits)

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        self.looked_at += len(value) if isinstance(value, bytes) else 1
        return value
