"""Every way that a login can be refused, as psql and pgjdbc show it: SQLSTATE, and a text that says what to do."""

import contextlib
import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pytest

from e2e.conftest import running
from kit.admin import eventually
from kit.forwarder import forwarder
from kit.running_proxy import RunningProxy, config_text
from postgres.conftest import connect
from postgres.login_programs import USUAL, LogIn, Login, pgjdbc, psql
from rds_iam_proxy.net.make_certificate import make_ca
from servers.errors import Unavailable
from servers.postgres_server import PostgresServer, start_postgres

OTHER_NAME = "other.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"


@pytest.fixture(scope="session")
def programs() -> Iterator[dict[str, LogIn]]:
    """psql of both releases, and pgjdbc."""
    with contextlib.ExitStack() as stack:
        try:
            found = {f"psql {name}": psql(name) for name in ("postgres-15", "postgres-18")}
            found["pgjdbc"] = stack.enter_context(pgjdbc())
        except Unavailable as exc:
            if os.environ.get("CI") == "true":
                pytest.fail(f"in CI every client must run: {exc}", pytrace=False)
            pytest.skip(f"a client cannot be had: {exc}")
        yield found


Ground = Callable[[PostgresServer, RunningProxy], AbstractContextManager[RunningProxy]]
"""Given a server and a proxy in front of it, which must be as they were at the end: the proxy that refuses."""


@dataclass(frozen=True)
class Case:
    """How a login comes to be refused, and what the client must read."""

    ground: Ground
    sqlstate: str
    says: str  # a regular expression
    login: Login = USUAL
    tokens: int = 0  # that the server refused


@contextlib.contextmanager
def as_it_is(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    yield proxy


@contextlib.contextmanager
def another_secret_key(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    with running(config_text(server), key=replace(server.key, secret_key="wrong")) as own:
        own.wait_for("target down")
        yield own


@contextlib.contextmanager
def expired_session(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    server.change(keys=(replace(server.key, expires=int(time.time()) - 1),))
    with running(config_text(server), key=server.key) as own:
        own.wait_for("target down")
        yield own


@contextlib.contextmanager
def another_ca(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    with server.showing(ca=make_ca("Another CA")):
        yield proxy
    connect(proxy).close()


@contextlib.contextmanager
def another_name(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    with server.showing(name=OTHER_NAME):
        yield proxy
    connect(proxy).close()


@contextlib.contextmanager
def throttled(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    """Of three tries none succeeds, while somebody else gets in: RDS words it like a permission that is missing."""
    start = server.log.position()
    with forwarder((server.host, server.port)) as way:
        config = re.sub(r'dial = "[^"]*"', f'dial = "127.0.0.1:{way.port}"', config_text(server))
        with running(config, key=server.key) as own:
            connect(own).close()
            eventually(lambda: len(server.log.accepted(start)) == 2)  # the probe's own login is over, too
            connections = itertools.count(1)

            def let_another_in_before_the_third() -> None:
                if next(connections) % 4 == 3:
                    server.change(not_authorized=frozenset())
                    connect(own).close()
                    server.change(not_authorized=frozenset({"user_batch"}))

            server.change(not_authorized=frozenset({"user_batch"}))
            way.before = let_another_in_before_the_third
            yield own


@contextlib.contextmanager
def being_stopped(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    """It waits for its last session to end."""
    with another_server(server.name) as other, running(config_text(other), key=other.key) as own, connect(own):
        other.process.send_signal(signal.SIGTERM)
        eventually(lambda: "received smart shutdown request" in other.log.text())
        yield own


@contextlib.contextmanager
def stopped(server: PostgresServer, proxy: RunningProxy) -> Iterator[RunningProxy]:
    with another_server(server.name) as other, running(config_text(other), key=other.key) as own:
        connect(own).close()
        other.process.send_signal(signal.SIGINT)
        other.process.wait(30)
        yield own


@contextlib.contextmanager
def another_server(name: str) -> Iterator[PostgresServer]:
    """One that may be stopped."""
    server = start_postgres(name)
    try:
        yield server
    finally:
        server.stop()


REFUSED_TOKEN = (
    r"rds-iam-proxy: RDS refused the IAM token of DB user user_batch at \S+;"
    r" has its identity rds-db:connect on arn:aws:rds-db:.* are the AWS credentials valid"
)
CASES = {
    "wrong password": Case(
        as_it_is, "28P01", 'password authentication failed for user "legacy_app"$', Login(password="wrong")
    ),
    "wrong key": Case(another_secret_key, "28000", REFUSED_TOKEN, tokens=1),
    "expired session": Case(expired_session, "28000", REFUSED_TOKEN, tokens=1),
    "throttled": Case(throttled, "53300", "rds-iam-proxy: RDS at .* throttles new logins: .*try again later", tokens=3),
    "CA": Case(
        another_ca, "08001", "rds-iam-proxy: the TLS certificate of .*, .* from .*Another CA.*, is not valid for"
    ),
    "name": Case(another_name, "08001", f"rds-iam-proxy: the TLS certificate of .* is for {OTHER_NAME}, not valid for"),
    "database": Case(as_it_is, "3D000", 'database "nowhere" does not exist$', Login(database="nowhere")),
    "no IAM user": Case(
        as_it_is,
        "28000",
        'rds-iam-proxy: .* does not log in with IAM .*GRANT rds_iam TO "plain_user"',
        Login(user="plain_app"),
    ),
    "server being stopped": Case(being_stopped, "57P03", "the database system is shutting down$"),
    "stopped server": Case(stopped, "08001", r"rds-iam-proxy: cannot connect to .* \(Connection refused\); check"),
}


@pytest.mark.parametrize("name", CASES)
def test_programs_show_why_they_are_refused(
    postgres_server: PostgresServer, postgres_proxy: RunningProxy, programs: dict[str, LogIn], name: str
) -> None:
    case = CASES[name]
    with case.ground(postgres_server, postgres_proxy) as proxy:
        for program, log_in in programs.items():
            before, since = proxy.log_position(), postgres_server.log.position()
            sqlstate, text = log_in(proxy, case.login)
            proxy.wait_for("login refused", since=before)
            logged = {(line["code"], line["text"]) for line in proxy.events("login refused", since=before)}
            assert logged == {(case.sqlstate, text)}, program
            assert re.match(case.says, text), (program, text)
            assert sqlstate in (case.sqlstate, None), program
            assert len(postgres_server.log.refusals(since)) == case.tokens
