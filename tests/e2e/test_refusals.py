"""Every login that fails: the right ERR packet with a text that helps, one log line, an orderly end."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import eventually_connected, refused_once, running
from kit.fake_server import FakeServer, fake_server
from kit.raw_client import NATIVE, SHA2, Error, RawClient, Refusal, refusal
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from rds_iam_proxy.machine import Machine, this_machine
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer
from servers.tokens import connect_directly

CA = make_ca("CA of a fake server")

ADVICE = {
    Machine.CONTAINER: "give the task or pod a role",
    Machine.INSTANCE: "attach a role to the instance",
    Machine.OTHER: "run `aws configure`",
}
"""What the tests' machine can do about it."""


@pytest.mark.parametrize("plugin", [NATIVE, SHA2, "sha256_password"])
@pytest.mark.parametrize("password", ["wrong", ""])
def test_wrong_password(real_server: RealServer, proxy: RunningProxy, plugin: str, password: str) -> None:
    position = real_server.log.position()
    started = time.monotonic()
    error, line = refused_once(proxy, password=password, plugin=plugin)
    using = "YES" if password else "NO"
    assert error == Error(1045, "28000", f"Access denied for user '{USER}'@'localhost' (using password: {using})")
    assert line["reason"] == "wrong password"
    assert time.monotonic() - started >= 0.1
    assert real_server.log.verdicts(position) == [], "the server has not been touched"
    proxy.connect().close()


@pytest.mark.parametrize("plugin", [NATIVE, SHA2, "sha256_password"])
def test_unknown_user_and_wrong_password_look_the_same(proxy: RunningProxy, plugin: str) -> None:
    conversations = []
    for user in (USER, "nobody_app"):  # names of one length
        with RawClient(proxy.port) as client:
            client.send_login(user, "wrong", plugin=plugin)
            received = client.answer_switch("wrong") + client.rest()
        conversations.append(received.replace(user.encode(), b"?"))
    assert conversations[0] == conversations[1]
    error, line = refused_once(proxy, "nobody_app", plugin=plugin)
    assert (error.code, error.sqlstate, line["reason"]) == (1045, "28000", "unknown user")
    proxy.connect().close()


def test_pymysql_shows_the_reason(proxy: RunningProxy) -> None:
    with pytest.raises(pymysql.err.OperationalError) as caught:
        proxy.connect(password="wrong")
    assert caught.value.args == (1045, f"Access denied for user '{USER}'@'localhost' (using password: YES)")
    proxy.connect().close()


def test_wrong_secret_key(real_server: RealServer) -> None:
    key = replace(real_server.key, secret_key="wrong")
    with running(config_text(real_server), key=key) as proxy:
        proxy.wait_for("target down")
        position = real_server.log.position()
        error, line = refused_once(proxy)
    assert_token_refused(real_server, error)
    assert (line["reason"], line["target"]) == ("refused", "shop")
    assert "Access denied for user 'user_batch'" in line["detail"]
    (verdict,) = real_server.log.refusals(position)
    assert verdict.code == "InvalidToken"


def assert_token_refused(server: RealServer, error: Error) -> None:
    assert (error.code, error.sqlstate) == (1045, "28000")
    for part in ("rds-iam-proxy: ", "user_batch", server.endpoint, "rds-db:connect", server.region):
        assert part in error.text


def test_expired_session_token(real_server: RealServer) -> None:
    real_server.change(keys=(replace(real_server.key, expires=int(time.time()) - 1),))
    with running(config_text(real_server), key=real_server.key) as proxy:
        proxy.wait_for("target down")
        position = real_server.log.position()
        error, _ = refused_once(proxy)
    assert_token_refused(real_server, error)
    (verdict,) = real_server.log.refusals(position)
    assert verdict.code == "ExpiredToken"


def test_identity_without_the_iam_action(real_server: RealServer, proxy: RunningProxy) -> None:
    real_server.change(not_authorized=frozenset({"user_report"}))
    error, _ = refused_once(proxy, "report_app")
    assert (error.code, error.sqlstate) == (1045, "28000")
    assert "rds-db:connect" in error.text
    assert "user_report" in error.text
    proxy.connect().close()


def test_no_aws_credentials(real_server: RealServer) -> None:
    with running(config_text(real_server)) as proxy:
        probe = proxy.wait_for("target down")
        error, line = refused_once(proxy)
    assert (error.code, error.sqlstate) == (1045, "28000")
    assert "no AWS credentials found" in error.text
    assert ADVICE[this_machine(os.environ)] in error.text
    assert error.text.count("rds-iam-proxy:") == 1
    assert line["reason"] == probe["reason"] == "credentials"


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_unreachable_host(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(CA.certificate_pem)
    with closed_port() as port:
        server = FakeServer(port, ca_file)
        with running(config_text(server)) as proxy:
            proxy.wait_for("target down")
            error, line = refused_once(proxy)
    assert (error.code, error.sqlstate, line["reason"]) == (2003, "HY000", "unreachable")
    assert f"{server.endpoint} (dialled as 127.0.0.1:{port})" in error.text
    assert "Connection refused" in error.text
    assert "tunnel" in error.text


def test_server_certificate_of_another_ca(real_server: RealServer, proxy: RunningProxy) -> None:
    proxy.connect().close()  # so that there is a TLS session to resume
    position = real_server.log.position()
    with real_server.showing(ca=make_ca("Another CA")):
        error, line = refused_once(proxy)
    assert (error.code, error.sqlstate, line["reason"]) == (2026, "HY000", "tls")
    assert "not valid for" in error.text
    assert real_server.endpoint_host in error.text
    assert "CA file" in error.text
    assert real_server.log.verdicts(position) == []
    proxy.connect().close()


def test_server_certificate_with_another_name(real_server: RealServer, proxy: RunningProxy) -> None:
    proxy.connect().close()
    position = real_server.log.position()
    with real_server.showing(name="other.example.com"):
        error, line = refused_once(proxy)
    assert (error.code, error.sqlstate, line["reason"]) == (2026, "HY000", "tls")
    assert "not valid for" in error.text
    assert real_server.endpoint_host in error.text
    assert real_server.log.verdicts(position) == []
    proxy.connect().close()


def test_user_that_is_no_iam_user(real_server: RealServer, proxy: RunningProxy) -> None:
    error, line = refused_once(proxy, "plain_app")
    assert (error.code, error.sqlstate, line["reason"]) == (1045, "28000", "refused")
    assert "plain_user" in error.text
    assert "does not log in with IAM" in error.text
    assert "IDENTIFIED WITH AWSAuthenticationPlugin" in error.text


def test_database_that_is_not_there(real_server: RealServer, proxy: RunningProxy) -> None:
    with contextlib.closing(real_server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("GRANT SELECT ON nowhere.* TO user_batch@'%'")
        try:
            error, line = refused_once(proxy, database="nowhere")
        finally:
            cursor.execute("REVOKE SELECT ON nowhere.* FROM user_batch@'%'")
    assert error == Error(1049, "42000", "Unknown database 'nowhere'")
    assert line["reason"] == "refused"


def test_database_without_rights_is_refused_as_directly(real_server: RealServer, proxy: RunningProxy) -> None:
    error, _ = refused_once(proxy, database="elsewhere")
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect_directly(real_server, database="elsewhere")
    assert (error.code, error.text) == caught.value.args
    assert error.sqlstate == "42000"


def test_too_many_connections_of_the_server(real_server: RealServer, proxy: RunningProxy) -> None:
    with contextlib.ExitStack() as stack:
        admin = stack.enter_context(contextlib.closing(real_server.admin()))
        cursor = stack.enter_context(admin.cursor())
        cursor.execute("SELECT @@max_connections")
        ((before,),) = cursor.fetchall()
        cursor.execute("SET GLOBAL max_connections = 10")
        stack.callback(cursor.execute, f"SET GLOBAL max_connections = {before}")
        with contextlib.suppress(pymysql.err.OperationalError):
            for _ in range(10):
                stack.enter_context(contextlib.closing(connect_directly(real_server)))
        error, line = refused_once(proxy)
    assert (error.code, error.sqlstate) == (1040, "08004")
    assert "Too many connections" in error.text
    assert line["reason"] == "refused"
    proxy.connect().close()


def test_max_sessions(real_server: RealServer) -> None:
    with running(config_text(real_server, target="max_sessions = 2"), key=real_server.key) as proxy:
        with contextlib.closing(proxy.connect()), contextlib.closing(eventually_connected(proxy)) as second:
            error, line = refused_once(proxy)
            second.ping()
        assert (error.code, error.sqlstate, line["reason"]) == (1040, "08004", "limited")
        assert "all 2 sessions of target shop are in use" in error.text
        assert "max_sessions" in error.text
        eventually_connected(proxy).close()


def test_limiter(real_server: RealServer) -> None:
    slow = "logins_per_second = 0.001\nlogin_burst = 2\nlogin_wait = 0.3"
    with running(config_text(real_server, target=slow), key=real_server.key) as proxy:
        proxy.wait_for("login permitted")  # the probe's
        with contextlib.closing(proxy.connect()) as first:
            position = real_server.log.position()
            error, line = refused_once(proxy)
            first.ping()
        assert (error.code, error.sqlstate, line["reason"]) == (1040, "08004", "limited")
        assert "logins_per_second" in error.text
        assert real_server.log.verdicts(position) == []
        # Wrong passwords need no permit.
        assert refusal(proxy.port, USER, "wrong").code == 1045


# --- silence ---


@pytest.fixture(scope="module")
def silences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Error, float]]:
    """What becomes of a client that says nothing, and of one whose server says nothing: they wait side by side."""

    def say_nothing(connection: socket.socket, server: FakeServer) -> None:
        connection.recv(1)

    folder = tmp_path_factory.mktemp("silence")
    results = {}
    with fake_server(say_nothing, CA, folder) as server, running(config_text(server)) as proxy:
        RawClient(proxy.port).close()  # the first clients wait for the probe
        with RawClient(proxy.port) as silent, RawClient(proxy.port) as talking:
            started = time.monotonic()
            talking.send_login(USER, PASSWORD)
            with pytest.raises(Refusal) as caught:
                talking.finish_login(PASSWORD, 2)
            results["server"] = caught.value.error, time.monotonic() - started
            results["client"] = silent.read_error(), time.monotonic() - started
    return results


@pytest.mark.alone
def test_server_that_says_nothing(silences: dict[str, tuple[Error, float]]) -> None:
    error, seconds = silences["server"]
    assert (error.code, error.sqlstate) == (2003, "HY000")
    assert "did not answer within" in error.text
    assert "reading the greeting" in error.text
    assert 9 < seconds < 10, "common clients give up at 10 s"


@pytest.mark.alone
def test_client_that_says_nothing(silences: dict[str, tuple[Error, float]]) -> None:
    error, seconds = silences["client"]
    assert error == Error(1159, "08S01", "Got timeout reading communication packets")
    assert 9.5 < seconds < 11
