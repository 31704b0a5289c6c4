"""One row of the table of symptoms."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symptom:
    """How a login fails: what the client reads, why, and what to do. Fields in braces are filled in."""

    key: str
    title: str
    reason: str
    """A word or two for logs and metrics; empty where the failure in the field `last` has it."""
    text: str
    """What the client reads."""
    cause: str
    remedy: str
    detail: str = ""
    """What the log says besides."""
    verbatim: bool = False
    """The text is a server's own, so the proxy's name is not put in front."""
