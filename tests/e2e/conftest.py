"""Fixtures: one proxy in front of each server for all tests that leave it as it was, and the command-line clients."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection

from kit.raw_client import Error, refusal
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from servers.errors import Unavailable
from servers.real_server import RealServer
from servers.releases import RELEASES
from servers.trees import cli_command

TRACES = ("Traceback", "ResourceWarning", "RuntimeWarning", "never awaited", "never retrieved", "was destroyed")
MAX_TEXT = 400  # bytes of an ERR packet
MORE_ACCOUNTS = """
[[accounts]]
user = "plain_app"
password_env = "LEGACY_APP_PASSWORD"
db_user = "plain_user"
[[accounts]]
user = "report_app"
password_env = "LEGACY_APP_PASSWORD"
db_user = "user_report"
"""


def assert_clean(log: str) -> None:
    """Nothing but log lines, and none about a fault of the proxy's own. Python runs in its development mode."""
    for trace in TRACES:
        assert trace not in log, log
    for line in log.splitlines():
        assert line.startswith("{"), line
        assert json.loads(line)["level"] != "error", line


@contextlib.contextmanager
def running(config: str, **options: object) -> Iterator[RunningProxy]:
    """A proxy that must end well."""
    with start_proxy(config, **options) as proxy:  # type: ignore[arg-type]
        yield proxy
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def eventually_connected(proxy: RunningProxy, **options: Any) -> "Connection[Any]":
    """A login where sessions are few: one that was closed a moment ago, or the probe's, may still count."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return proxy.connect(**options)
        except pymysql.err.OperationalError:
            assert time.monotonic() < deadline


def refused_once(
    proxy: RunningProxy, user: str = USER, password: str = PASSWORD, **options: Any
) -> tuple[Error, dict[str, Any]]:
    """The ERR packet of a login and its one log line, which tell the same."""
    before = proxy.log_position()
    error = refusal(proxy.port, user, password, **options)
    proxy.wait_for("login refused", since=before)  # its thread may be a moment later than the answer
    (line,) = (entry for entry in proxy.events(since=before) if is_about_a_login(entry))
    assert line["event"] == "login refused"
    assert (line["code"], line["text"], line["peer"]) == (error.code, error.text, "127.0.0.1")
    assert len(error.text.encode()) <= MAX_TEXT
    return error, line


def is_about_a_login(entry: dict[str, Any]) -> bool:
    """Not the end of an earlier session, not what asyncio says in its debug mode."""
    if entry["event"] == "login refused":
        return True  # one like those of a moment ago comes at debug level
    others = ("session began", "session ended", "login refused again", "target up", "target down")
    return entry["level"] != "debug" and entry["event"] not in others and "logger" not in entry


@pytest.fixture(scope="session")
def proxy(real_server: RealServer) -> Iterator[RunningProxy]:
    """One proxy for each server, with the accounts legacy_app, report_app, and plain_app, which is no IAM user."""
    with running(config_text(real_server, extra=MORE_ACCOUNTS), key=real_server.key) as proxy:
        proxy.connect().close()  # waits for the probe, which tests that count logins must not see
        yield proxy


@pytest.fixture(params=list(RELEASES))
def cli(request: pytest.FixtureRequest) -> list[str]:
    """The beginning of a command line of each client program; none of them is told to send clear-text passwords."""
    name = request.param
    try:
        command = cli_command(name)
    except Unavailable as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI every client must run: {exc}", pytrace=False)
        pytest.skip(f"the client of {name} cannot be had: {exc}")
    return [*command, "--no-defaults"]


@pytest.fixture
def without_tls(cli: list[str]) -> str:
    """The client's option for a connection in the clear."""
    return "--ssl-mode=DISABLED" if cli[-2] == "mysql" else "--skip-ssl"
