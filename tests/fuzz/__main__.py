"""`python -m fuzz [--seconds SECONDS] [TARGET …]`: each target for so long; exit code 1 if one of them found something.

What a target finds is in build/fuzz/, ready to be looked at and to be put into the corpus, as are inputs that reach new
code, which the next run begins with.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "build" / "fuzz"
MAX_INPUT_BYTES = 2048
START_SECONDS = 120
"""For a child to load and to end, beyond the time that it fuzzes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one target's run came to."""

    target: str
    inputs: int
    failed: bool
    output: str


def fuzz(target: str, seconds: int) -> Outcome:
    """Run one target in a process of its own."""
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        "-timeout=10",
        "-print_final_stats=1",
        f"-artifact_prefix={FOUND}/{target}-",
        str(found),
        str(CORPUS / target),
    ]
    command = [sys.executable, "-m", "fuzz.one", target, *arguments]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=seconds + START_SECONDS,
    )  # fmt: skip
    output = ran.stdout.decode("utf-8", "replace")
    counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    return Outcome(target, int(counted[1]) if counted else 0, ran.returncode != 0, output)


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    failed = False
    for target in arguments.targets or TARGETS:
        outcome = fuzz(target, arguments.seconds)
        failed = failed or outcome.failed
        sys.stdout.write(f"{target}: {outcome.inputs:,} inputs, {'FAILED' if outcome.failed else 'nothing found'}\n")
        sys.stdout.write(outcome.output if outcome.failed else "")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
