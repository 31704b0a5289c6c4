"""Why a login failed and what to do, for a text that a client has read: from the table of symptoms."""

from functools import lru_cache

from ..errors.symptoms import SYMPTOMS, Symptom
from ..errors.symptoms.row import pattern

_OURS = "rds-iam-proxy: "
_LITERAL = 12
"""Characters of a row's text, besides its fields, from which on it says something."""


@lru_cache(maxsize=512)
def explain(code: int, text: str) -> Symptom | None:
    """The row of the table that reads so; None if there is none, as for most errors of a database's own."""
    words = text.removeprefix(_OURS)
    return next((row for row in _rows() if row.code == code and row.reads(words)), None)


@lru_cache(maxsize=1)
def _rows() -> tuple[Symptom, ...]:
    """The most exact ones first."""
    length = {row.key: len(pattern(row.text).replace(".*", "")) for row in SYMPTOMS.values()}
    telling = (row for row in SYMPTOMS.values() if length[row.key] >= _LITERAL)
    return tuple(sorted(telling, key=lambda row: -length[row.key]))
