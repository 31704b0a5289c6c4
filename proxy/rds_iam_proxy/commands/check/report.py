"""What `check` found, step by step: lines with ticks for people, JSON for programs."""

import json
import shutil
import textwrap
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TextIO

from ...logs import escaped

WIDTH = 110
"""Characters of a line where there is no terminal."""

_LEAST_WIDTH = 60


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # does not decide the exit code
    FAILED = "failed"
    SKIPPED = "skipped"


_TICKS = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗", Status.SKIPPED: "-"}
_WORDS = {Status.OK: "ok", Status.WARNING: "warn", Status.FAILED: "FAIL", Status.SKIPPED: "-"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One step and its outcome."""

    step: str
    status: Status
    text: str
    seconds: float | None = None
    details: tuple[str, ...] = ()
    advice: str = ""
    """What to do, where it failed."""


@dataclass(slots=True)
class Report:
    """Findings in their order. Text is written as it comes; JSON at the end, by `finish`."""

    stream: TextIO
    as_json: bool = False
    width: int = WIDTH
    """Characters of a line."""
    findings: list[tuple[str, Finding]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(finding.status is Status.FAILED for _, finding in self.findings)

    def begin(self, subject: str) -> None:
        """The target and DB user that the findings from here on are about."""
        self._write(f"\n{escaped(subject)}\n")

    def add(self, subject: str, finding: Finding) -> None:
        self.findings.append((subject, finding))
        self._write(self._lines(finding))

    def finish(self) -> None:
        if self.as_json:
            json.dump(self._as_dict(), self.stream, indent=2)
            self.stream.write("\n")
        else:
            self._write("\nSomething failed.\n" if self.failed else "\nAll is well.\n")
        self.stream.flush()

    def _write(self, text: str) -> None:
        if not self.as_json:
            encoding = self.stream.encoding or "ascii"
            self.stream.write(text.encode(encoding, "replace").decode(encoding))
            self.stream.flush()

    def _lines(self, finding: Finding) -> str:
        seconds = "" if finding.seconds is None else f"{finding.seconds:.3f} s"
        head = f"  {self._tick(finding.status)} {finding.step:<13} {seconds:>8}  "
        lines = self._wrapped(head, finding.text, " " * len(head))
        for detail in finding.details:
            lines += self._wrapped(" " * len(head), detail, " " * (len(head) + 2))
        if finding.advice:
            lines += ["", *self._wrapped("    ", f"What to do: {finding.advice}", "    "), ""]
        return "".join(f"{line}\n" for line in lines)

    def _tick(self, status: Status) -> str:
        tick = _TICKS[status]
        try:
            tick.encode(self.stream.encoding or "ascii")
        except UnicodeEncodeError:
            return f"{_WORDS[status]:<4}"
        return tick

    def _as_dict(self) -> dict[str, object]:
        """For --json."""
        subjects: dict[str, list[dict[str, object]]] = {}
        for subject, finding in self.findings:
            found: dict[str, object] = {"step": finding.step, "status": str(finding.status), "text": finding.text}
            if finding.seconds is not None:
                found["seconds"] = round(finding.seconds, 6)
            if finding.details:
                found["details"] = list(finding.details)
            if finding.advice:
                found["advice"] = finding.advice
            subjects.setdefault(subject, []).append(found)
        checks = [{"subject": subject, "steps": steps} for subject, steps in subjects.items()]
        return {"ok": not self.failed, "checks": checks}

    def _wrapped(self, head: str, text: str, indent: str) -> list[str]:
        """Commands and names are not broken: they are to be copied."""
        return textwrap.wrap(
            escaped(text),
            self.width,
            initial_indent=head,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [head]


def width_of(stream: TextIO) -> int:
    """Of the terminal, if it is one."""
    return max(_LEAST_WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns) if stream.isatty() else WIDTH
