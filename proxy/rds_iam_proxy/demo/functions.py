"""SQL functions of the demo, and the facts of a session that some of them tell."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from .data_types import SQLError, Value, not_in_demo, text_of
from .profile import ServerProfile
from .variables import Variables

MAX_REPEAT = 64 * 1024 * 1024  # bytes that REPEAT() may make
MAX_SLEEP = 3600.0  # seconds


@dataclass(slots=True)
class Facts:
    """What a session knows of itself."""

    connection_id: int
    user: str
    host: str
    profile: ServerProfile
    variables: Variables
    database: str | None = None
    user_variables: dict[str, Value] = field(default_factory=dict)
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    in_transaction: bool = False
    sleep: float = 0.0  # seconds that the statement under way wants to sleep

    def variable(self, name: str, scope: str) -> Value:
        value = self.variables.get(name, scope)
        return int(value) if isinstance(value, bool) else value

    def user_variable(self, name: str) -> Value:
        return self.user_variables.get(name)


def call(name: str, arguments: list[Value], facts: Facts) -> Value:
    """Call a function; NULL in gives NULL out, as with most of MySQL's."""
    known, value = call_without_parentheses(name, facts) if not arguments else (False, None)
    if known:
        return value
    if not arguments and name in _OF_SESSION:
        return _OF_SESSION[name](facts)
    if name == "SLEEP" and len(arguments) == 1:
        facts.sleep = min(facts.sleep + _non_negative(arguments[0]), MAX_SLEEP)
        return 0
    if name in ("IFNULL", "COALESCE"):
        return next((argument for argument in arguments if argument is not None), None)
    if name == "IF" and len(arguments) == 3:
        return arguments[1] if arguments[0] else arguments[2]
    if name == "CONVERT_TZ" and len(arguments) == 3:
        return arguments[0]  # Django asks only whether it is NULL
    arity, function = _OF_VALUES.get(name, (0, None))
    if function is None:
        raise not_in_demo(f"{name}()")
    if len(arguments) != arity:
        raise SQLError(1582, "42000", f"Incorrect parameter count in the call to native function '{name}'")
    return None if None in arguments else function(*arguments)


def call_without_parentheses(name: str, facts: Facts) -> tuple[bool, Value]:
    """Functions that MySQL also knows as bare words: (whether this is one, its value)."""
    if name == "CURRENT_USER":
        return True, f"{facts.user}@%"
    if name in ("CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"):
        return True, _now(facts)
    return False, None


def _non_negative(value: Value) -> float:
    try:
        seconds = float(text_of(value))
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # also NaN
        raise SQLError(1210, "HY000", "Incorrect arguments to sleep.")
    return seconds


def _now(facts: Facts) -> datetime.datetime:
    return facts.now().replace(tzinfo=None, microsecond=0)


def _repeat(text: Value, count: Value) -> Value:
    unit, times = text_of(text), int(_non_negative(count))
    return unit * times if len(unit.encode()) * times <= MAX_REPEAT else None  # as with max_allowed_packet


def _sum(values: list[Value]) -> Value:
    return sum((Decimal(text_of(value)) for value in values), Decimal(0)) if values else None


AGGREGATES: dict[str, Callable[[list[Value]], Value]] = {
    "COUNT": len,
    "MIN": lambda values: min(values, default=None),  # type: ignore[type-var]  # one column, one type
    "MAX": lambda values: max(values, default=None),  # type: ignore[type-var]
    "SUM": _sum,
}
_OF_SESSION: dict[str, Callable[[Facts], Value]] = {
    "CONNECTION_ID": lambda facts: facts.connection_id,
    "DATABASE": lambda facts: facts.database,
    "SCHEMA": lambda facts: facts.database,
    "USER": lambda facts: f"{facts.user}@{facts.host}",
    "SESSION_USER": lambda facts: f"{facts.user}@{facts.host}",
    "SYSTEM_USER": lambda facts: f"{facts.user}@{facts.host}",
    "VERSION": lambda facts: facts.variables.get("version", ""),
    "NOW": _now,
    "UTC_TIMESTAMP": _now,
    "LAST_INSERT_ID": lambda _facts: 0,
    "ROW_COUNT": lambda _facts: -1,
    "FOUND_ROWS": lambda _facts: 0,
    "CURRENT_ROLE": lambda _facts: "NONE",
}
_OF_VALUES: dict[str, tuple[int, Callable[..., Value]]] = {
    "REPEAT": (2, _repeat),
    "LENGTH": (1, lambda value: len(text_of(value).encode())),
    "CHAR_LENGTH": (1, lambda value: len(text_of(value))),
    "UPPER": (1, lambda value: text_of(value).upper()),
    "LOWER": (1, lambda value: text_of(value).lower()),
}
