"""Files that are damaged or no files at all, while the proxy runs; SIGHUP as a reload and as the end of a terminal."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.admin import account_text, running_rds, target_text
from kit.running_proxy import PASSWORD, STOP_SECONDS, USER, RunningProxy, clean_environment, serve_command, start_serve
from ops.test_log_reader import free_port
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from servers.settings import AccessKey

REFUSED = "not reloaded, all stays as it was"


@pytest.fixture(scope="module")
def rds() -> Iterator[EmbeddedRDS]:
    with running_rds() as started:
        yield started


def write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def config_of(rds: EmbeddedRDS, folder: Path) -> str:
    account = account_text(USER).replace('password_env = "LEGACY_APP_PASSWORD"', f'password_file = "{folder}/password"')
    return f'{target_text("shop", rds)}{account}[log]\nformat = "json"\nlevel = "debug"\n'


@contextlib.contextmanager
def serving(rds: EmbeddedRDS, folder: Path, environment: dict[str, str] | None = None) -> Iterator[RunningProxy]:
    write_private(folder / "password", PASSWORD)
    write_private(folder / "proxy.toml", config_of(rds, folder))
    key = AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)
    variables = {"XDG_STATE_HOME": str(folder / "state"), **(environment or {})}
    with start_serve(["--config", str(folder / "proxy.toml")], key=key, home=folder, environment=variables) as proxy:
        yield proxy


def reload(proxy: RunningProxy, event: str = "reloaded") -> dict[str, Any]:
    position = proxy.log_position()
    proxy.process.send_signal(signal.SIGHUP)
    return proxy.wait_for(event, since=position)


def test_a_damaged_state_certificate_stops_neither_a_start_nor_a_reload(rds: EmbeddedRDS, tmp_path: Path) -> None:
    pem = tmp_path / "state" / "rds-iam-proxy" / "local-tls.pem"
    pem.parent.mkdir(parents=True, mode=0o700)
    write_private(pem, "")
    with serving(rds, tmp_path) as proxy:
        assert pem.read_text().startswith("-----BEGIN CERTIFICATE-----")
        write_private(pem, "damaged")
        reload(proxy)
        reload(proxy)
        proxy.connect().close()
        assert proxy.stop() == 0


def test_a_fifo_is_refused_at_once_and_the_next_reload_and_sigterm_work(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with serving(rds, tmp_path) as proxy:
        (tmp_path / "password").unlink()
        os.mkfifo(tmp_path / "password", 0o600)
        assert "it is a FIFO" in reload(proxy, REFUSED)["fault"]
        (tmp_path / "proxy.toml").unlink()
        os.mkfifo(tmp_path / "proxy.toml", 0o600)
        assert "it is a FIFO" in reload(proxy, REFUSED)["fault"]
        proxy.connect().close()
        (tmp_path / "proxy.toml").unlink()
        write_private(tmp_path / "password", "another password")
        write_private(tmp_path / "proxy.toml", config_of(rds, tmp_path))
        reload(proxy)
        proxy.connect(password="another password").close()
        assert proxy.stop() == 0


def test_an_absurd_configuration_is_a_fault_and_the_next_reload_works(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with serving(rds, tmp_path) as proxy:
        write_private(tmp_path / "proxy.toml", "".join(f"[{'.'.join(['a'] * 2000)}]\n" for _ in range(1)))
        assert reload(proxy, REFUSED)["fault"]
        write_private(tmp_path / "proxy.toml", "x = " + "[" * 5000)
        assert "nested too deeply" in reload(proxy, REFUSED)["fault"]
        write_private(tmp_path / "proxy.toml", config_of(rds, tmp_path))
        reload(proxy)
        assert proxy.stop() == 0


def test_systemd_hears_ready_after_every_reload_and_what_came_of_it(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        with serving(rds, tmp_path, {"NOTIFY_SOCKET": str(tmp_path / "notify")}) as proxy:
            assert systemd.recv(4096).startswith(b"READY=1\nSTATUS=listening on ")
            write_private(tmp_path / "proxy.toml", "nonsense")
            reload(proxy, REFUSED)
            assert systemd.recv(4096).startswith(b"RELOADING=1\n")
            told = systemd.recv(4096)
            assert told.startswith(b"READY=1\nSTATUS=listening on ")
            assert b"; the last reload was refused: " in told
            write_private(tmp_path / "proxy.toml", config_of(rds, tmp_path))
            reload(proxy)
            assert systemd.recv(4096).startswith(b"RELOADING=1\n")
            assert b"refused" not in systemd.recv(4096)
            assert proxy.stop() == 0


def test_sighup_while_it_starts_is_a_reload_afterwards(rds: EmbeddedRDS, tmp_path: Path) -> None:
    """Sent again and again from the first moment that anything is set up, by whoever restarts too eagerly."""
    write_private(tmp_path / "password", PASSWORD)
    write_private(tmp_path / "proxy.toml", config_of(rds, tmp_path))
    key = AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*serve_command(), "--config", str(tmp_path / "proxy.toml")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=clean_environment(tmp_path, key),
            start_new_session=True,
        )
    proxy = RunningProxy(process, log, "127.0.0.1", 0)
    try:
        deadline = time.monotonic() + 20
        while not _catches_sighup(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert not proxy.events("listening"), "it is still starting"
        process.send_signal(signal.SIGHUP)
        proxy.wait_for("listening")
        proxy.wait_for("reloaded")
        assert proxy.stop() == 0
    finally:
        process.kill()
        process.wait()


def _catches_sighup(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGHUP - 1))


@pytest.mark.parametrize("ignored", [False, True], ids=["in a terminal", "with nohup"])
def test_it_ends_with_the_terminal_that_it_was_started_in_unless_it_is_to_stay(
    rds: EmbeddedRDS, tmp_path: Path, ignored: bool
) -> None:
    port = free_port()
    write_private(tmp_path / "password", PASSWORD)
    write_private(tmp_path / "proxy.toml", config_of(rds, tmp_path).replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    key = AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)
    variables = clean_environment(tmp_path, key)
    command = [*serve_command(), "--config", str(tmp_path / "proxy.toml")]
    if ignored:
        command = ["nohup", *command]
    pid, terminal = pty.fork()
    if pid == 0:  # the leader of the terminal's session, as a shell that was told to exec
        os.execvpe(command[0], command, variables)  # noqa: S606
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.close(terminal)
        if ignored:
            time.sleep(1)
            assert os.waitpid(pid, os.WNOHANG) == (0, 0)
            socket.create_connection(("127.0.0.1", port), 5).close()
            os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(_wait(pid)) == 0
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _wait(pid: int) -> int:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.05)
    raise AssertionError("it goes on")
