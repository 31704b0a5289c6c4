"""Every command of the README and the docs that can be run here is run: as it stands, by a shell, at a real server.

What is lent to it are variables (the CA of the server, a free port, a password); what is replaced are a tunnel, which
tests/tunnel has, and the path of the configuration. Commands of other programs are not run.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.running_proxy import clean_environment
from servers.errors import Unavailable
from servers.real_server import RealServer, start_server

pytestmark = pytest.mark.alone  # ports are those of the documents

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("clients", "operations", "upgrading")))
HOST = "orders.abc123def456.eu-west-1.rds.amazonaws.com"
SECONDS = 60.0
CONFIG_PATHS = re.compile(r"/etc/rds-iam-proxy/proxy\.toml|\bconfig\.toml")
PASSWORD_FLAGS = ("--password-file", "--password-env", "--config")
OTHER_TESTS = ("status --watch",)
"""They go on for ever: tests/admin/test_commands.py runs them."""
_COMMAND = re.compile(r"^ {4,7}(rds-iam-proxy (?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """Where commands run: a home folder, and a server that plays the endpoint of the documents."""

    home: Path
    server: RealServer

    def __post_init__(self) -> None:
        (self.home / "aws-config").touch()
        keys = self.server.key.environment()
        text = "".join(f"{name.lower()} = {value}\n" for name, value in keys.items())
        (self.home / "aws-credentials").write_text("".join(f"[{name}]\n{text}" for name in ("dev", "orders")))
        (self.home / "proxy.toml").write_text(self._config())
        (self.home / "proxy.toml").chmod(0o600)

    def _config(self) -> str:
        """That of the cron jobs as it stands on the page, with a hash for the dots, and a way to the server."""
        page = (ROOT / "docs" / "operations.md").read_text()
        block = re.search(r"^ {4}\[targets\.orders\]\n(?: {4}.*\n|\n)+", page, re.MULTILINE)
        assert block is not None
        way = f'dial = "{self.dial}"\nca_file = "{self.server.ca_file}"\n\n[[listeners]]'
        text = re.sub(r"^ {4}", "", block[0], flags=re.MULTILINE).replace("[[listeners]]", way, 1)
        made = self.run("rds-iam-proxy hash-password", given="a password of this test\n")
        return text.replace("native:…,sha2:…", made.strip()).replace(":3306", ":0").replace(f"{HOST}:0", f"{HOST}:3306")

    @property
    def dial(self) -> str:
        return f"{self.server.host}:{self.server.port}"

    def variables(self, command: str) -> Mapping[str, str]:
        more = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.home)}
        if HOST in command and " grants " not in command:
            more["RDS_IAM_PROXY_CA_FILE"] = str(self.server.ca_file)
            if "--dial" not in command and "--tunnel" not in command:
                more["RDS_IAM_PROXY_DIAL"] = self.dial
            if " serve " in command:
                more["RDS_IAM_PROXY_LISTEN"] = "127.0.0.1:0"
                if not any(flag in command for flag in PASSWORD_FLAGS):
                    more |= {"RDS_IAM_PROXY_PASSWORD_ENV": "OURS", "OURS": "a password of this test"}
        key = None if "--profile" in command else self.server.key
        return clean_environment(self.home, key, more)

    def adapted(self, command: str) -> str:
        text = CONFIG_PATHS.sub(str(self.home / "proxy.toml"), command)
        text = re.sub(r"--tunnel \S+|--dial 127\.0\.0\.1:13306", f"--dial {self.dial}", text)
        # The dump needs a client of MySQL's, which is not asked for here: that the job has its socket is.
        return text.replace('mysqldump --socket="$DB_SOCKET" shop > shop.sql', 'test -S "$DB_SOCKET"')

    def run(self, command: str, *, given: str = "") -> str:
        """Its output; it must work."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.adapted(command)],
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=self.variables(command),
            cwd=self.home,
            check=False,
        )
        assert done.returncode == 0, (command, done)
        return done.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """It runs, and a login at the server has worked."""
        log = self.home / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {self.adapted(command)}"],
                stdin=subprocess.DEVNULL,
                stderr=file,
                env=self.variables(command),
                cwd=self.home,
            )
        try:
            deadline = time.monotonic() + SECONDS
            while '"target up"' not in log.read_text():
                assert process.poll() is None, (command, log.read_text())
                assert time.monotonic() < deadline, (command, log.read_text())
                time.sleep(0.05)
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    try:
        running = start_server("mysql-9.7", endpoint_host=HOST, region="eu-west-1")
    except Unavailable as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc), pytrace=False)
        pytest.skip(f"mysql-9.7 cannot be had: {exc}")
    yield running
    running.stop()


def commands_of(page: str) -> list[str]:
    """The proxy's own, in their order."""
    found = (re.sub(r"\s+#.*", "", one) for one in _COMMAND.findall((ROOT / page).read_text()))
    ours = (one for one in found if "FILE" not in one)
    return [one for one in ours if not any(other in one for other in OTHER_TESTS)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_work_as_written(page: str, server: RealServer, tmp_path: Path) -> None:
    place, commands = Place(tmp_path, server), commands_of(page)
    was_asked = False
    asking = [one for one in commands if re.match(r"rds-iam-proxy (?:status|wait)\b", one)]
    for command in commands:
        if command.startswith("rds-iam-proxy serve ") and "--admin" in command:
            with place.serving(command):
                for question in asking:
                    place.run(f"export RDS_IAM_PROXY_ADMIN=127.0.0.1:9090; {question}")
                was_asked = True
        elif command.startswith("rds-iam-proxy serve "):
            with place.serving(command):
                pass
        elif command not in asking:
            place.run(command, given="a password of this test\n" if "hash-password" in command else "")
    assert was_asked or not asking


@pytest.mark.parametrize("page", PAGES)
def test_there_are_commands_to_run(page: str) -> None:
    assert commands_of(page)
