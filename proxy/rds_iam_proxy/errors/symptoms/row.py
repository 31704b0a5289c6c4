"""One row of the table of symptoms."""

import re
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True, slots=True)
class Symptom:
    """How a login fails: what the client reads, why, and what to do. Fields in braces are filled in."""

    key: str
    title: str
    code: int
    text: str
    """What the client reads."""
    cause: str
    remedy: str
    detail: str = ""
    """What the log says besides."""
    verbatim: bool = False
    """The text is a server's own, so the proxy's name is not put in front."""

    def reads(self, text: str) -> bool:
        """Whether this is the row's text, with whatever in its fields."""
        return re.fullmatch(pattern(self.text), text, re.DOTALL) is not None


def pattern(template: str) -> str:
    """A regular expression for what can be made of the template."""
    return "".join(re.escape(words) + (".*" if field else "") for words, field, _, _ in Formatter().parse(template))
