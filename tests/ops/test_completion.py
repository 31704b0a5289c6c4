"""What the shell is told when somebody presses Tab."""

import subprocess
import sys
from pathlib import Path

import pytest

from kit.running_proxy import MODULE, clean_environment


def completed(folder: Path, words: str) -> list[str]:
    environment = clean_environment(folder, None) | {
        "_RDS_IAM_PROXY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, *MODULE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return [line.partition(",")[2] for line in done.stdout.split()]


def test_commands_and_flags_are_completed(tmp_path: Path) -> None:
    assert {"serve", "run", "grants", "demo"} <= set(completed(tmp_path, "rds-iam-proxy "))
    assert completed(tmp_path, "rds-iam-proxy serve --quit") == ["--quit-after-idle"]
    assert "--env-prefix" in completed(tmp_path, "rds-iam-proxy run --")


def test_script_for_the_shell_is_printed(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path, None) | {"SHELL": "/bin/bash"}
    script = f"{sys.executable} {' '.join(MODULE)} --show-completion; true"
    shell = ["/bin/bash", "-c", script]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert "complete -o nosort -F" in done.stdout, done.stderr


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_script_is_added_once_to_the_shells_file(tmp_path: Path, shell: str, file: str) -> None:
    environment = clean_environment(tmp_path, None) | {"SHELL": f"/usr/bin/{shell}"}
    (tmp_path / file).write_text("# mine")
    command = [sys.executable, *MODULE, "--install-completion"]
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == f"Completion for {shell} is in {tmp_path / file}; it works in new shells.\n"
    text = (tmp_path / file).read_text()
    assert text.startswith("# mine\n")
    assert text.count("_rds_iam_proxy_completion()") == 1


@pytest.mark.parametrize("flag", ["--install-completion", "--show-completion"])
@pytest.mark.parametrize("shell", [None, "", "/bin/dash"])
def test_shell_that_cannot_be_told_is_to_be_named(tmp_path: Path, flag: str, shell: str | None) -> None:
    """As in a process that no shell began, and in a shell without completion."""
    environment = clean_environment(tmp_path, None)
    environment.pop("SHELL", None)
    environment |= {} if shell is None else {"SHELL": shell}
    command = [sys.executable, *MODULE, flag]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "unexpected error" not in done.stderr
    assert "Traceback" not in done.stderr
    *_, line = done.stderr.splitlines()

    told = ["/bin/bash", "-c", line.replace("rds-iam-proxy >>", f"{sys.executable} {' '.join(MODULE)} >>")]
    subprocess.run(told, env=environment, timeout=30, check=True)
    loaded = ["/bin/bash", "-c", ". ~/.bashrc; complete -p rds-iam-proxy"]
    done = subprocess.run(loaded, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert "-F _rds_iam_proxy_completion" in done.stdout, done.stderr
