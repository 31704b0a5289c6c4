"""`serve` as it is typed: flags only, on a terminal and without one, and everything that can be wrong with them."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean, eventually_connected
from kit.running_proxy import PASSWORD, USER, clean_environment, config_text, serve_command, start_serve
from servers.real_server import RealServer
from servers.settings import AccessKey

SECONDS = 30.0
ENDPOINT = "shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"


def flags(server: RealServer, *others: str) -> list[str]:
    """What a developer with a tunnel would type."""
    return [
        *(server.endpoint, "--listen", "127.0.0.1:0", "--db-user", "user_batch"),
        *("--dial", f"{server.host}:{server.port}", "--ca-file", str(server.ca_file)),
        *others,
    ]


def password_file(folder: Path, text: str = PASSWORD + "\n") -> Path:
    path = folder / "password"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_flags_are_enough(mysql_9_7: RealServer, tmp_path: Path) -> None:
    arguments = flags(mysql_9_7, "--user", USER, "--password-file", str(password_file(tmp_path)))
    with start_serve(arguments, key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            assert cursor.fetchall() == (("user_batch@%",),)
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_user_is_the_db_user_where_none_is_given(mysql_9_7: RealServer) -> None:
    with start_serve(flags(mysql_9_7, "--password-env", "LEGACY_APP_PASSWORD"), key=mysql_9_7.key) as proxy:
        proxy.connect(user="user_batch").close()
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            proxy.connect()
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_variables_are_flags_too(mysql_9_7: RealServer, tmp_path: Path) -> None:
    variables = {
        "RDS_IAM_PROXY_LISTEN": "127.0.0.1:0",
        "RDS_IAM_PROXY_DB_USER": "user_report",  # the flag is over it
        "RDS_IAM_PROXY_DIAL": f"{mysql_9_7.host}:{mysql_9_7.port}",
        "RDS_IAM_PROXY_CA_FILE": str(mysql_9_7.ca_file),
        "RDS_IAM_PROXY_PASSWORD_FILE": str(password_file(tmp_path)),
        "RDS_IAM_PROXY_MAX_SESSIONS": "1",
    }
    arguments = [mysql_9_7.endpoint, "--db-user", "user_batch", "--logins-per-second", "50"]
    with start_serve(arguments, key=mysql_9_7.key, environment=variables) as proxy:
        with (
            contextlib.closing(eventually_connected(proxy, user="user_batch")),
            pytest.raises(pymysql.err.OperationalError, match="all 1 sessions"),
        ):
            proxy.connect(user="user_batch")
        assert proxy.stop() == 0


# --- faults ---


def refused(
    arguments: list[str], home: Path, *, key: AccessKey | None = None, variables: dict[str, str] | None = None
) -> str:
    """What it says when it does not even start: exit code 2, one message, nothing on stdout."""
    done = subprocess.run(
        [*serve_command(dev_mode=False), *arguments],  # else asyncio's remarks get in between on a busy machine
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=clean_environment(home, key, variables),
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("rds-iam-proxy: ")
    return done.stderr


def test_without_a_terminal_a_password_must_be_given(tmp_path: Path) -> None:
    said = refused([ENDPOINT, "--db-user", "user_batch", "--listen", "127.0.0.1:0"], tmp_path)
    assert "--password-env" in said
    assert "--password-file" in said


def test_all_faults_of_the_flags_are_named_at_once(tmp_path: Path) -> None:
    arguments = [
        *("db.example.com", "--listen", "0.0.0.0:3306", "--password-file", str(tmp_path / "nothing")),
        *("--max-sessions", "0", "--log-level", "loud"),
    ]
    said = refused(arguments, tmp_path)
    for part in ("ENDPOINT", "--listen", "--db-user", "--password-file", "--max-sessions", "--log-level"):
        assert part in said


def test_all_faults_of_the_file_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(
        f"""
        [targets.shop]
        endpoint = "{ENDPOINT}"
        ca_flie = "x"
        max_sessions = "many"
        [[listeners]]
        bind = "127.0.0.1:0"
        target = "shpo"
        [[accounts]]
        user = "app"
        password_env = "NOT_SET_ANYWHERE"
        """
    )
    said = refused(["--config", str(path)], tmp_path)
    for part in ("ca_flie", "ca_file", "max_sessions", "shpo", "NOT_SET_ANYWHERE"):
        assert part in said


@pytest.mark.parametrize(
    ("text", "part"),
    [("[targets.shop", "TOML"), ("", "targets"), ("\xff\0", "")],
    ids=["no TOML", "empty", "no text"],
)
def test_file_that_is_no_configuration(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(text, encoding="latin-1")
    assert part in refused(["--config", str(path)], tmp_path)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    assert "nothing.toml" in refused(["--config", str(tmp_path / "nothing.toml")], tmp_path)


def test_flags_that_belong_into_the_file(mysql_9_7: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(config_text(mysql_9_7))
    said = refused(["--config", str(path), "--db-user", "user_batch", "--max-sessions", "3"], tmp_path)
    assert "--db-user" in said
    assert "--max-sessions" in said


def test_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = [ENDPOINT, "--db-user", "u", "--listen", address, "--password-env", "LEGACY_APP_PASSWORD"]
        said = refused(arguments, tmp_path)
    assert f"cannot listen on {address}" in said
    assert "Address already in use" in said


def test_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = refused([ENDPOINT, "--db-user", "u", f"--password={PASSWORD}"], tmp_path)
    assert "--password-file" in said
    assert PASSWORD not in said


def test_password_file_that_others_can_read(tmp_path: Path) -> None:
    path = password_file(tmp_path)
    path.chmod(0o644)
    said = refused([ENDPOINT, "--db-user", "u", "--password-file", str(path)], tmp_path)
    assert "chmod 600" in said
    assert PASSWORD not in said


# --- on a terminal ---


@dataclass(slots=True)
class Terminal:
    """A pseudo-terminal with the program in its foreground."""

    process: "subprocess.Popen[bytes]"
    master: int
    shown: str = field(default="")

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.shown, re.MULTILINE)) is None:
            assert self._read(deadline), f"no {pattern!r} in:\n{self.shown}"
        return found

    def to_the_end(self) -> int:
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        return self.process.wait(SECONDS)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:  # EIO: nobody has it open any more
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)


@contextlib.contextmanager
def on_a_terminal(arguments: list[str], home: Path, key: AccessKey) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    try:
        # The kernel sends SIGINT for Ctrl-C only where it is the controlling terminal.
        command = ["setsid", "--ctty", *serve_command(), *arguments]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=clean_environment(home, key))
    finally:
        os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def user_of(port: int, password: str) -> str:
    """Logs in as the printed lines say; the user that the server sees."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user="user_batch", password=password, ssl_disabled=True)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        ((user,),) = cursor.fetchall()
    return str(user)


def test_on_a_terminal_a_random_password_is_made_and_shown_once(mysql_9_7: RealServer, tmp_path: Path) -> None:
    with on_a_terminal(flags(mysql_9_7), tmp_path, mysql_9_7.key) as terminal:
        port = int(terminal.wait_for(r"mysql -h 127\.0\.0\.1 -P (\d+) -u user_batch -p$")[1])
        password = terminal.wait_for(r"^\s*([A-Za-z0-9]{24})$")[1]
        assert f"jdbc:mysql://127.0.0.1:{port}/?user=user_batch" in terminal.shown
        assert "Workbench" in terminal.shown
        assert user_of(port, password) == "user_batch@%"
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            user_of(port, password[::-1])
        terminal.wait_for(r"login refused")
        assert password not in Path(f"/proc/{terminal.process.pid}/cmdline").read_text()
        terminal.type("\x03")
        assert terminal.to_the_end() == 0
        assert terminal.shown.count(password) == 1
        assert "stopped" in terminal.shown
        for trace in ("Traceback", "Warning:", "{"):
            assert trace not in terminal.shown, "text for people"


def test_each_start_makes_another_password(mysql_9_7: RealServer, tmp_path: Path) -> None:
    passwords = set()
    for _ in range(2):
        with on_a_terminal(flags(mysql_9_7), tmp_path, mysql_9_7.key) as terminal:
            passwords.add(terminal.wait_for(r"^\s*([A-Za-z0-9]{24})$")[1])
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.to_the_end() == 0
    assert len(passwords) == 2


def test_on_a_terminal_a_given_password_is_never_shown(mysql_9_7: RealServer, tmp_path: Path) -> None:
    arguments = flags(mysql_9_7, "--password-env", "LEGACY_APP_PASSWORD")
    with on_a_terminal(arguments, tmp_path, mysql_9_7.key) as terminal:
        port = int(terminal.wait_for(r"mysql -h 127\.0\.0\.1 -P (\d+) -u user_batch -p$")[1])
        assert user_of(port, PASSWORD) == "user_batch@%"
        terminal.type("\x03")
        assert terminal.to_the_end() == 0
        assert PASSWORD not in terminal.shown
        assert re.search(r"^\s*[A-Za-z0-9]{24}$", terminal.shown, re.MULTILINE) is None
