"""What the shell is told when somebody presses Tab."""

import subprocess
import sys
from pathlib import Path

from running_proxy import MODULE, clean_environment


def completed(folder: Path, words: str) -> list[str]:
    environment = clean_environment(folder, None) | {
        "_RDS_IAM_PROXY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, *MODULE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.split()


def test_commands_and_flags_are_completed(tmp_path: Path) -> None:
    assert {"serve", "run", "grants", "demo"} <= set(completed(tmp_path, "rds-iam-proxy "))
    assert completed(tmp_path, "rds-iam-proxy serve --quit") == ["--quit-after-idle"]
    assert "--env-prefix" in completed(tmp_path, "rds-iam-proxy run --")


def test_script_for_the_shell_is_printed(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path, None) | {"SHELL": "/bin/bash"}
    script = f"{sys.executable} {' '.join(MODULE)} --show-completion; true"
    shell = ["/bin/bash", "-c", script]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert "complete -o default -F" in done.stdout, done.stderr
