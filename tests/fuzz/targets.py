"""All targets by name. A new one: a function of bytes that raises when something is wrong, and a line in its room."""

from collections.abc import Callable

from fuzz import configuration, postgres, wire

TARGETS: dict[str, Callable[[bytes], None]] = {**wire.TARGETS, **postgres.TARGETS, **configuration.TARGETS}
