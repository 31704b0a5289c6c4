"""Programs that try to log in, each with its own way to show why it was not let in."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.places import java_file
from kit.running_proxy import PASSWORD, USER, RunningProxy
from servers.postgres_accounts import DATABASE
from servers.trees import cli_command

TIMEOUT = 60.0  # seconds

Refusal = tuple[str | None, str]
"""SQLSTATE and text as the program shows them; psql shows no SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Login:
    """What the program is told; by default what the proxy's first account needs."""

    user: str = USER
    password: str = field(default=PASSWORD, repr=False)
    database: str = DATABASE


USUAL = Login()

LogIn = Callable[[RunningProxy, Login], Refusal]
"""A login that succeeds is an error."""


def psql(release: str) -> LogIn:
    """psql of POSTGRES_RELEASES; raises Unavailable."""
    command = cli_command(release)

    def log_in(proxy: RunningProxy, login: Login) -> Refusal:
        where = f"host={proxy.host} port={proxy.port} user={login.user} dbname={login.database}"
        done = subprocess.run(
            [*command, "-X", "-c", "SELECT 1", f"{where} password='{login.password}'"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        prefix = f'connection to server at "{proxy.host}", port {proxy.port} failed: FATAL:  '
        shown = {line.removeprefix("psql: error: ") for line in done.stderr.splitlines()}
        (line,) = shown  # it tries a second time, without TLS, if its password was not taken
        assert line.startswith(prefix), line
        return None, line.removeprefix(prefix)

    return log_in


@contextlib.contextmanager
def pgjdbc() -> Iterator[LogIn]:
    """One Java for all logins; raises Unavailable."""
    command = java_file(Path(__file__).with_name("Logins.java"), "Postgres")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as java:
        assert java.stdin is not None
        assert java.stdout is not None
        questions, answers = java.stdin, java.stdout

        def log_in(proxy: RunningProxy, login: Login) -> Refusal:
            url = f"jdbc:postgresql://{proxy.host}:{proxy.port}/{login.database}?loginTimeout={TIMEOUT:.0f}"
            questions.write(f"{url}\t{login.user}\t{login.password}\n")
            sqlstate, _, shown = answers.readline().removesuffix("\n").partition("\t")
            assert shown.startswith("FATAL: "), (sqlstate, shown)
            return sqlstate, shown.removeprefix("FATAL: ")

        yield log_in
