"""All targets by name. A new one: a function of bytes that raises when something is wrong, and a line here."""

from collections.abc import Callable

from fuzz import wire

TARGETS: dict[str, Callable[[bytes], None]] = {**wire.TARGETS}

INSTRUMENTED = ("mysql_wire",)
"""Packages whose branches guide the fuzzer."""
