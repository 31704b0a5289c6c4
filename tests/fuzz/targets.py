"""All targets by name. A new one: a function of bytes that raises when something is wrong, and a line here."""

from collections.abc import Callable

from fuzz import postgres, wire

TARGETS: dict[str, Callable[[bytes], None]] = {**wire.TARGETS, **postgres.TARGETS}

INSTRUMENTED = ("mysql_wire", "pg_wire")
"""Packages whose branches guide the fuzzer."""
