"""Every command of the README and the docs that can be run here is run: as it stands, by a shell, at a real server.

What is lent to it are variables (the CA of the server, a free port, a password); what is replaced are a tunnel, which
tests/tunnel has, the path of the configuration, and clients, by a library that finds the proxy by the same variables.
What is not run is named in NOT_RUN, with the reason.
"""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.running_proxy import clean_environment
from servers.errors import Unavailable
from servers.iam_server import IamServer
from servers.postgres_server import start_postgres
from servers.real_server import start_server

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
HOST = "orders.abc123def456.eu-west-1.rds.amazonaws.com"
SECONDS = 60.0
CONFIG_PATHS = re.compile(r"/etc/rds-iam-proxy/proxy\.toml|\bconfig\.toml|\bFILE\b")
PASSWORD_FLAGS = ("--password-file", "--password-env", "--config")
CLIENTS = {
    'mysqldump --socket="$DB_SOCKET" shop > shop.sql': """
import os, pymysql
names = {"unix_socket": "DB_SOCKET", "user": "DB_USER", "password": "MYSQL_PWD"}
pymysql.connect(**{key: os.environ[name] for key, name in names.items()}, database="shop")
""",
    "psql --command 'TABLE customers'": """
import psycopg
print(psycopg.connect().execute("TABLE customers").fetchall())
""",
}
"""What `run` runs on the pages, and a program that reads the same variables."""
NOT_RUN = {
    "make": "the Makefile has its own tests",
    "LONG_TESTS=1": "it takes minutes",
    "python3": "tests/test_packaging.py installs",
    "/opt/rds-iam-proxy/bin/pip": "tests/test_packaging.py installs",
    "ln": "tests/test_packaging.py installs",
    "useradd": "it changes the machine",
    "mkdir": "it changes the machine",
    "chown": "it changes the machine",
    "chmod": "it changes the machine",
    "cp": "it changes the machine",
    "systemctl": "it changes the machine",
    "15": "a line of a crontab",
    "aws": "it needs an account of AWS",
    "docker": "it needs a container engine; `make image-check` takes the steps of the Dockerfile",
    "kubectl": "it needs a cluster; tests/test_kubernetes.py reads the manifests",
    "ssh": "it needs a bastion; tests/tunnel has one",
    "mysql": "it asks for a password; tests/conformance has it",
    "psql": "it asks for a password; tests/conformance has it",
    "ACL": "it is the store's; tests/fleet runs what `check` prints",
    "rds-iam-proxy status --watch": "it goes on for ever; tests/admin runs it",
}
"""Beginnings of commands."""
NO_SHELL = re.compile(
    r"[\[{]|\w+ = |\w+: |CREATE |ERROR |RDS said|CERTIFICATE|password authentication|legacy tool|Host |backend |"
    r"\$db|jdbc:|postgresql|const |let "
)
"""How blocks begin that are settings, statements, code or errors."""
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$|(?<=\n\n)((?: {4}[^\n]*\n(?:\n(?= {4}))?)+)", re.MULTILINE | re.DOTALL)


def blocks_of(page: str) -> list[str]:
    """Its blocks of code, indented or fenced."""
    found = _BLOCK.findall((ROOT / page).read_text())
    return [textwrap.dedent(fenced or indented) for fenced, indented in found]


def commands_of(page: str) -> list[str]:
    """What is typed at a shell, in its order, without comments."""
    shells = [block for block in blocks_of(page) if not NO_SHELL.match(block)]
    lines = re.findall(r"(?:[^\n]*\\\n)*[^\n]+", "\n".join(shells))
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def is_run(command: str) -> bool:
    return command.startswith("rds-iam-proxy ") and not command.startswith(tuple(NOT_RUN))


PAGES_TO_RUN = [page for page in PAGES if any(map(is_run, commands_of(page)))]


@dataclass(frozen=True)
class Place:
    """Where commands run: a home folder, and servers that play the endpoint of the documents."""

    home: Path
    mysql: IamServer
    postgres: IamServer

    def __post_init__(self) -> None:
        (self.home / "aws-config").touch()
        keys = self.mysql.key.environment()
        text = "".join(f"{name.lower()} = {value}\n" for name, value in keys.items())
        (self.home / "aws-credentials").write_text("".join(f"[{name}]\n{text}" for name in ("dev", "orders")))
        for number, program in enumerate(CLIENTS.values()):
            (self.home / f"client-{number}.py").write_text(program)
        (self.home / "proxy.toml").write_text(self._config())
        (self.home / "proxy.toml").chmod(0o600)

    def _config(self) -> str:
        """That of the cron jobs as it stands on the page, with a hash for the dots, and a way to the server."""
        page = (ROOT / "docs" / "operations.md").read_text()
        block = re.search(r"^ {4}\[targets\.orders\]\n(?: {4}.*\n|\n)+", page, re.MULTILINE)
        assert block is not None
        way = f'dial = "{dial(self.mysql)}"\nca_file = "{self.mysql.ca_file}"\n\n[[listeners]]'
        text = re.sub(r"^ {4}", "", block[0], flags=re.MULTILINE).replace("[[listeners]]", way, 1)
        made = self.run("rds-iam-proxy hash-password", given="a password of this test\n")
        return text.replace("native:…,sha2:…", made.strip()).replace(":3306", ":0").replace(f"{HOST}:0", f"{HOST}:3306")

    def server(self, command: str) -> IamServer:
        return self.postgres if f"{HOST}:5432" in command else self.mysql

    def variables(self, command: str) -> Mapping[str, str]:
        more = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.home)}
        server = self.server(command)
        if HOST in command and " grants " not in command:
            more["RDS_IAM_PROXY_CA_FILE"] = str(server.ca_file)
            if "--dial" not in command and "--tunnel" not in command:
                more["RDS_IAM_PROXY_DIAL"] = dial(server)
            if " serve " in command:
                more["RDS_IAM_PROXY_LISTEN"] = "127.0.0.1:0"
                if not any(flag in command for flag in PASSWORD_FLAGS):
                    more |= {"RDS_IAM_PROXY_PASSWORD_ENV": "OURS", "OURS": "a password of this test"}
        key = None if "--profile" in command else server.key
        return clean_environment(self.home, key, more)

    def adapted(self, command: str) -> str:
        text = CONFIG_PATHS.sub(str(self.home / "proxy.toml"), command)
        text = re.sub(r"--tunnel \S+|--dial 127\.0\.0\.1:13306", f"--dial {dial(self.server(command))}", text)
        for number, client in enumerate(CLIENTS):
            text = text.replace(client, f"{sys.executable} {self.home}/client-{number}.py")
        return text

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


def dial(server: IamServer) -> str:
    return f"{server.host}:{server.port}"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[IamServer, IamServer]]:
    with ExitStack() as stack:
        try:
            mysql = start_server("mysql-9.7", endpoint_host=HOST, region="eu-west-1")
            stack.callback(mysql.stop)
            postgres = start_postgres("postgres-18", endpoint_host=HOST, region="eu-west-1")
            stack.callback(postgres.stop)
        except Unavailable as exc:
            if os.environ.get("CI") == "true":
                pytest.fail(str(exc), pytrace=False)
            pytest.skip(f"a server cannot be had: {exc}")
        postgres.change(keys=mysql.settings.keys)
        yield mysql, postgres


@pytest.mark.alone  # ports are those of the documents
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES_TO_RUN)
def test_commands_of_the_page_work_as_written(page: str, servers: tuple[IamServer, IamServer], tmp_path: Path) -> None:
    place, commands = Place(tmp_path, *servers), [command for command in commands_of(page) if is_run(command)]
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


def test_pages_with_commands_are_found() -> None:
    assert set(PAGES_TO_RUN) >= {"README.md"} | {
        f"docs/{name}.md" for name in ("clients", "fleet", "operations", "postgres", "reuse", "tunnels", "upgrading")
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_command_that_is_not_run_has_its_reason(page: str) -> None:
    known = ("export ", *(f"{beginning} " for beginning in NOT_RUN))
    assert [one for one in commands_of(page) if not is_run(one) and not f"{one} ".startswith(known)] == []
