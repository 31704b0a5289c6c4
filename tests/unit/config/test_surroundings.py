"""Who may read the environment: those who hand it on."""

import re
from pathlib import Path

import rds_iam_proxy

PACKAGE = Path(rds_iam_proxy.__file__).parent

READERS = {
    "aws/credentials.py": "AWS's own variables, for boto3",
    "commands/check/target.py": "the same",
    "commands/demo/program.py": "sets them for its own process",
}
"""And the command line, which hands it to everybody else."""


def test_only_the_command_line_reads_the_environment() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"os\.(environb?|getenvb?)\b|from os import .*env", path.read_text())
    }
    assert {name for name in found if not name.startswith("cli/")} == READERS.keys()
