"""Ctrl-C in the command line clients cancels the running query, and only that."""

import contextlib
import os
import pty
import signal
import subprocess
import threading
import time

import pytest

from kit.running_proxy import PASSWORD, USER, config_text, start_proxy
from servers.real_server import RealServer
from servers.trees import cli_command
from test_command_shapes import Sleeper, wait_until_sleeping


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self.screen = ""
        pid, self._master = pty.fork()
        if pid == 0:
            os.execvp(command[0], command)  # noqa: S606
        self.pid = pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.screen:
            assert time.monotonic() < deadline, f"no {text!r} on the screen:\n{self.screen}"
            time.sleep(0.01)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 4096):
                self.screen += data.decode(errors="replace")


@pytest.mark.parametrize("cli", ["mysql-9.7", "mariadb-10.11", "mariadb-11.8"])
def test_ctrl_c_cancels_the_query_and_no_other(real_server: RealServer, cli: str) -> None:
    with (
        start_proxy(config_text(real_server), key=real_server.key) as proxy,
        contextlib.closing(proxy.connect()) as other,
    ):
        address = ["-h127.0.0.1", f"-P{proxy.port}", f"-u{USER}", f"-p{PASSWORD}"]
        with contextlib.closing(Terminal([*cli_command(cli), *address])) as terminal:
            terminal.wait_for("> ")
            bystander = Sleeper(other, 3)
            terminal.type("SELECT SLEEP(60);\n")
            wait_until_sleeping(real_server, 2)
            started = time.monotonic()
            terminal.type("\x03")
            while not ("sec)" in terminal.screen or "1317" in terminal.screen):
                assert time.monotonic() - started < 1.0, terminal.screen
                time.sleep(0.01)
            terminal.type("SELECT 40 + 2;\n")
            terminal.wait_for("42")
            assert bystander.wait(10) == 0


def test_the_clients_are_what_they_say() -> None:
    for name, says in (("mysql-9.7", "9.7"), ("mariadb-10.11", "10.11"), ("mariadb-11.8", "11.8")):
        done = subprocess.run([*cli_command(name), "--version"], capture_output=True, text=True, check=True)
        assert says in done.stdout
