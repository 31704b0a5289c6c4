"""The script of the store, run here, with a clock that the test sets. What real servers do with it, others test."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lupa.lua51 import LuaRuntime

from rds_iam_proxy.limits.shared_budget import Answer, Ask, Fleet
from rds_iam_proxy.limits.store import keys_of, script

BUDGET = "db"


class LuaStore:
    """The commands that the script uses, on dictionaries. `now` is its clock, in seconds since 1970."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.hashes: dict[str, dict[str, str]] = {}
        self._lua = LuaRuntime(unpack_returned_tuples=True)
        self._lua.globals().redis = self._lua.table(call=self._call)
        load: Callable[[str], Callable[[], Any]] = self._lua.globals().loadstring
        self._script = load(script())

    def run(self, keys: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """EVAL."""
        scope = self._lua.globals()
        scope.KEYS, scope.ARGV = self._lua.table(*keys), self._lua.table(*arguments)
        return list(self._script().values())

    def ask(self, proxy: str, fleet: Fleet, ask: Ask, *, burst: int = 1) -> Answer:
        """One call of a proxy."""
        return Answer.decode(self.run(keys_of(BUDGET), ask.arguments(proxy, replace(fleet, burst=burst))))

    def leave(self, proxy: str) -> None:
        self.run(keys_of(BUDGET), ["leave", proxy])

    def flush(self) -> None:
        self.hashes.clear()

    def snapshot(self) -> dict[str, dict[str, str]]:
        """What a replica has."""
        return {key: dict(fields) for key, fields in self.hashes.items()}

    def members(self) -> list[str]:
        return list(self.hashes.get(keys_of(BUDGET)[1], ()))

    def _call(self, command: str, *words: Any) -> Any:
        words = tuple(_text(word) for word in words)
        if command == "TIME":
            seconds, rest = divmod(round(self.now * 1e6), 1_000_000)
            return self._lua.table(str(seconds), str(rest))
        key, *rest_ = words
        assert fnmatch.fnmatch(key, "rds-iam-proxy:*")
        fields = self.hashes.setdefault(key, {})
        if command == "HMGET":
            return self._lua.table(*(fields.get(name, False) for name in rest_))
        if command == "HGETALL":
            return self._lua.table(*(word for pair in fields.items() for word in pair))
        if command == "HSET":
            fields.update(zip(rest_[::2], rest_[1::2], strict=True))
            return len(rest_) // 2
        if command == "HDEL":
            return sum(fields.pop(name, None) is not None for name in rest_)
        assert command == "PEXPIRE"
        return 1


def _text(word: object) -> str:
    """As Redis takes what a script passes it: whole numbers without a point."""
    return f"{word:.17g}" if isinstance(word, float) else str(word)
