"""What is being read and what is wrong with it: `Reading` collects the faults, each with the place where it stands."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from .flags import Flags, name_of
from .lines import Lines, TablePath
from .surroundings import Surroundings
from .tables import Table

TableT = TypeVar("TableT", bound=Table)

_MAX_NOTE = 40
"""Characters of a user's name beside the number of its table."""


@dataclass(frozen=True, slots=True)
class Spot:
    """`targets.orders.dial, line 7`; `1st [[accounts]], line 12: user`; `--dial`."""

    name: str
    line: int | None = None
    key: str = ""
    """Where the name is only that of the table."""

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.name}{line}" + (f": {self.key}" if self.key else "")


@dataclass(frozen=True, slots=True)
class Place:
    """A table of the file, with the flags that stand for some of its keys; or one that flags alone make up."""

    path: TablePath = ()
    note: str = ""
    """Whom it is about."""
    lines: Lines = field(default_factory=Lines)
    flags: Flags = field(default_factory=dict)
    """Those given for this table, by its keys."""
    is_flags: bool = False

    @property
    def name(self) -> str:
        """`targets.orders`, `1st [[accounts]]`"""
        table, *rest = map(str, self.path) if self.path else [""]
        return f"{_ordinal(self.path[1])} [[{table}]]" if self._is_array else ".".join((table, *rest))

    @property
    def spot(self) -> Spot:
        """For a fault of the whole table."""
        return Spot("" if self.is_flags else self.name + self.note, self.lines.of(self.path))

    def key(self, key: str) -> Spot:
        if key in self.flags or self.is_flags:
            return Spot(self.short(key))
        line = self.lines.of((*self.path, key))
        if self._is_array:
            return Spot(self.name + self.note, line, key)
        return Spot(f"{self.name}.{key}" if self.path else key, line)

    def short(self, key: str) -> str:
        """The key in a text that already says which table is meant."""
        if key in self.flags:
            return self.flags[key].name
        table = str(self.path[0]) + "." if self.path else ""
        return name_of(table + key) if self.is_flags else key

    @property
    def _is_array(self) -> bool:
        return len(self.path) > 1 and isinstance(self.path[1], int)


@dataclass(frozen=True, slots=True)
class Entry(Generic[TableT]):
    """A table as far as it could be read. A faulty key is None in `table` but is in `given`."""

    table: TableT
    given: frozenset[str]
    place: Place


@dataclass(slots=True)
class Reading:
    """One configuration on its way from text to values."""

    around: Surroundings
    flags: Flags = field(default_factory=dict)
    is_flags: bool = False
    """There is no file."""
    lines: Lines = field(default_factory=Lines)
    warnings: list[str] = field(default_factory=list)
    _faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def faults(self) -> tuple[str, ...]:
        """In the order of the file; first those that are on no line of it."""
        return tuple(text for _, text in sorted(self._faults, key=lambda fault: fault[0]))

    def fault(self, spot: Spot | str, text: str) -> None:
        name, line = (spot, None) if isinstance(spot, str) else (str(spot), spot.line)
        self._faults.append((line or 0, f"{name}: {text}" if name else text))

    def warn(self, spot: Spot, text: str) -> None:
        self.warnings.append(f"{spot}: {text}")

    def place(self, *path: str | int, note: str = "") -> Place:
        before = f"{path[0]}." if path else ""
        of_table = {key.removeprefix(before): flag for key, flag in self.flags.items() if key.startswith(before)}
        flags = {key: flag for key, flag in of_table.items() if "." not in key}
        return Place(path, note, self.lines, flags, self.is_flags)

    def table(self, model: type[TableT], raw: object, place: Place) -> Entry[TableT]:
        """Read one table, its flags over it, and report the faults of its keys."""
        if not isinstance(raw, dict):
            self.fault(place.spot, "must be a table")
            raw = {}
        by_flag = {key: flag.value for key, flag in place.flags.items()}
        table = self._validated(model, raw, replace(place, flags={}), strict=True)
        over = self._validated(model, by_flag, place, strict=False)  # a flag's number is text
        table = table.model_copy(update={key: getattr(over, key) for key in over.model_fields_set})
        return Entry(table, frozenset(raw) | by_flag.keys(), place)

    def _validated(self, model: type[TableT], given: Mapping[str, Any], place: Place, *, strict: bool) -> TableT:
        try:
            return model.model_validate(given, strict=strict)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False)
        bad = {str(error["loc"][0]) for error in errors}
        for error in errors:
            key = str(error["loc"][0])
            if error["type"] == "extra_forbidden":
                text = f"unknown key; {suggestion(key, model.model_fields)}"
            else:
                text = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            self.fault(place.key(key), text)
        rest = {key: value for key, value in given.items() if key not in bad}
        return model.model_validate(rest, strict=strict)

    def known_targets(self, names: Iterable[str], targets: Collection[str], spot: Spot) -> None:
        for name in names:
            if name not in targets:
                self.fault(spot, f"no target is called {name}; {suggestion(name, targets)}")


def note_of(table: object) -> str:
    """Whom the table is about, because nobody likes to count tables."""
    user = table.get("user") if isinstance(table, dict) else None
    return f" (user {user})" if isinstance(user, str) and 0 < len(user) <= _MAX_NOTE else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown name."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there is: {', '.join(known)}" if known else "there is none"


def _ordinal(index: str | int) -> str:
    number = int(index) + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
