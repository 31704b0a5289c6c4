"""`status` and `wait` as users run them."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pymysql
import pytest

from kit.admin import (
    HOSTILE,
    Admin,
    RunningProxy,
    account_text,
    eventually,
    proxy_with_admin,
    target_text,
)
from kit.running_proxy import MODULE, clean_environment
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS


@pytest.fixture(scope="module")
def running(rds: EmbeddedRDS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningProxy, Admin]]:
    home = tmp_path_factory.mktemp("home")
    with proxy_with_admin(rds, target_text("shop", rds) + account_text("legacy_app"), home) as started:
        eventually(lambda: started[1].code("/readiness") == 200)
        yield started


def command(*arguments: str, home: Path, extra: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *MODULE, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(home, None, extra),
        timeout=30,
        check=False,
    )


@pytest.fixture
def unused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("name", ["status", "wait"])
def test_without_an_address_they_say_so(name: str, tmp_path: Path) -> None:
    done = command(name, home=tmp_path)
    assert done.returncode == 2
    assert "--admin HOST:PORT" in done.stderr
    assert "RDS_IAM_PROXY_ADMIN" in done.stderr


def test_a_wrong_address_is_a_fault(tmp_path: Path) -> None:
    done = command("status", "--admin", "http://localhost/", home=tmp_path)
    assert done.returncode == 2
    assert "--admin: write HOST:PORT only" in done.stderr


def test_status_shows_targets_sessions_and_errors(running: tuple[RunningProxy, Admin], tmp_path: Path) -> None:
    proxy, admin = running
    with pytest.raises(pymysql.err.OperationalError):
        proxy.connect(user="[bold]nobody[/bold]")
    with contextlib.closing(proxy.connect(program_name=HOSTILE)):
        done = command("status", home=tmp_path, extra={"RDS_IAM_PROXY_ADMIN": f"127.0.0.1:{admin.port}"})
    assert done.returncode == 0, done.stderr
    assert "● ready" in done.stdout
    assert "shop" in done.stdout
    assert "legacy_app as demo_user" in done.stdout
    assert "<img src=x" in done.stdout
    assert "\x1b" not in done.stdout
    assert "1045 unknown user  [bold]nobody[/bold] from 127.0.0.1 to shop" in done.stdout


def test_status_of_nobody(unused: str, tmp_path: Path) -> None:
    done = command("status", "--admin", unused, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"rds-iam-proxy: nobody answers at {unused} (Connection refused);"
        f" check that the proxy runs, with --admin {unused}\n"
    )


def test_status_of_something_else(running: tuple[RunningProxy, Admin], tmp_path: Path) -> None:
    done = command("status", "--admin", f"127.0.0.1:{running[0].port}", home=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_watch_refreshes_on_a_terminal_until_ctrl_c(running: tuple[RunningProxy, Admin], tmp_path: Path) -> None:
    proxy, admin = running
    outer, inner = pty.openpty()
    try:
        watching = subprocess.Popen(
            [sys.executable, *MODULE, "status", "--watch", "--admin", f"127.0.0.1:{admin.port}"],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=clean_environment(tmp_path, None, {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}),
        )
        seen = b""
        deadline = time.monotonic() + 20
        with contextlib.closing(proxy.connect(program_name="nightly-report")):
            while b"nightly-report" not in seen and time.monotonic() < deadline:
                seen += os.read(outer, 65536)
        while b"Nobody is connected" not in seen and time.monotonic() < deadline:
            seen += os.read(outer, 65536)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
        assert b"nightly-report" in seen
        assert b"Nobody is connected" in seen
    finally:
        os.close(outer)
        os.close(inner)


def test_wait_returns_when_it_is_ready(running: tuple[RunningProxy, Admin], tmp_path: Path) -> None:
    assert command("wait", "--admin", f"127.0.0.1:{running[1].port}", home=tmp_path).returncode == 0


def test_wait_gives_up_and_says_why(unused: str, tmp_path: Path) -> None:
    began = time.monotonic()
    done = command("wait", "--admin", unused, "--timeout", "0.5", home=tmp_path)
    assert done.returncode == 1
    assert "not ready after 0.5 s: nobody answers" in done.stderr
    assert time.monotonic() - began < 10


def test_wait_says_which_target_is_not_ready(rds: EmbeddedRDS, unused: str, tmp_path: Path) -> None:
    config = target_text("shop", rds).replace(f'dial = "{rds.address}"', f'dial = "{unused}"')
    with proxy_with_admin(rds, config + account_text("legacy_app"), tmp_path) as (_, admin):
        done = command("wait", "--admin", f"127.0.0.1:{admin.port}", "--timeout", "1", home=tmp_path)
    assert done.returncode == 1
    assert "target shop is down: cannot connect to" in done.stderr
