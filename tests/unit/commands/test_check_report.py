import io
import os

import pytest

from rds_iam_proxy.commands.check.report import WIDTH, Finding, Report, Status, width_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("200", 200), ("20", 60)])
def test_lines_are_as_long_as_the_terminal_is_wide(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    stream = Terminal()
    report = Report(stream, width=width_of(stream))
    report.add("x", Finding("login", Status.FAILED, "some words " * 60, advice="what to do " * 60))
    longest = max(map(len, stream.getvalue().splitlines()))
    assert width - 12 < longest <= width


def test_without_a_terminal_the_width_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert width_of(io.StringIO()) == WIDTH
    assert os.environ["COLUMNS"] == "20"
