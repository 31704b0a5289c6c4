"""A whole run at debug level, logins good and bad: nothing secret comes out of the process."""

import contextlib
import re
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import MORE_ACCOUNTS, running
from kit.fake_server import after_token, error, fake_server
from kit.raw_client import COM_QUERY, NATIVE, SHA2, RawClient, packet, refusal, scramble
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer, make_key
from servers.settings import AccessKey

WRONG = "wrong-Passw0rd/with+signs="


def forms(secret: str) -> set[str]:
    """A secret as it may appear: plain, and in a URL."""
    return {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret)}


def assert_nothing_secret(proxy: RunningProxy, key: AccessKey, others: Iterable[str] = ()) -> None:
    command_line = Path(f"/proc/{proxy.process.pid}/cmdline").read_text()
    assert proxy.stop() == 0
    log = proxy.log_text()
    assert '"level": "debug"' in log
    for secret in (PASSWORD, WRONG, key.secret_key, key.session_token or "", *others):
        for form in forms(secret):
            assert form not in log
            assert form not in command_line
    for text in (log, command_line):
        assert "X-Amz-" not in text
        assert "Action=connect" not in text
        assert not re.search(r"\b[0-9a-f]{64}\b", text), "a signature"


def exercise(proxy: RunningProxy) -> None:
    """Logins that work, and all sorts that do not."""
    with contextlib.closing(proxy.connect(database="shop")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    for plugin in (NATIVE, SHA2):
        with RawClient(proxy.port) as client:
            client.log_in(USER, PASSWORD, plugin=plugin)
        refusal(proxy.port, USER, WRONG, plugin=plugin)
        refusal(proxy.port, "nobody", PASSWORD, plugin=plugin)
    refusal(proxy.port, USER, PASSWORD, database="nowhere")
    refusal(proxy.port, "plain_app", PASSWORD)
    with RawClient(proxy.port) as client:
        client.socket.sendall(b"\x10\0\0\x01" + PASSWORD.encode()[:16])
        client.read_error()
    with RawClient(proxy.port) as client:  # what follows a failed login
        plugin = client.greeting.plugin
        client.send_login(USER, WRONG)
        client.socket.sendall(packet(COM_QUERY + f"SET PASSWORD = '{PASSWORD}'".encode(), 0))
        client.read_error()
    with RawClient(proxy.port) as client:  # COM_CHANGE_USER with a wrong password
        client.log_in(USER, PASSWORD)
        answer = scramble(WRONG, plugin, client.greeting.nonce)
        client.send(b"\x11" + USER.encode() + b"\0" + bytes((len(answer),)) + answer + b"\0", 0)
        client.read()


def test_nothing_secret_comes_out(mysql_9_7: RealServer) -> None:
    key = mysql_9_7.key
    with start_proxy(config_text(mysql_9_7, extra=MORE_ACCOUNTS), key=key) as proxy:
        exercise(proxy)
        with mysql_9_7.showing(ca=make_ca("Another CA")):
            refusal(proxy.port, USER, PASSWORD)
        mysql_9_7.change(keys=(replace(key, expires=int(time.time()) - 1),))
        refusal(proxy.port, USER, PASSWORD)
        assert_nothing_secret(proxy, key)


def test_nothing_secret_comes_out_with_a_wrong_secret_key(mysql_9_7: RealServer) -> None:
    key = replace(mysql_9_7.key, secret_key="wrong/secret+key=" + "x" * 23)
    with start_proxy(config_text(mysql_9_7), key=key) as proxy:
        refusal(proxy.port, USER, PASSWORD)
        assert_nothing_secret(proxy, key)


@pytest.mark.parametrize("code", [1045, 1105])
def test_server_that_repeats_the_token_does_not_get_it_into_the_log(tmp_path: Path, code: int) -> None:
    ca, key = make_ca("CA of a fake server"), make_key()

    def repeat(token: bytes) -> bytes:
        signature = token.rstrip(b"\0").rpartition(b"=")[2].decode()
        return error(code, f"{signature} is no good: {token.decode()}", 5)

    with (
        fake_server(after_token(ca, tmp_path, repeat), ca, tmp_path) as server,
        start_proxy(config_text(server), key=key) as proxy,
    ):
        told = refusal(proxy.port, USER, PASSWORD)
        tokens = [token.rstrip(b"\0").decode() for token in server.heard]
        assert tokens
        assert all("X-Amz-Signature=" in token for token in tokens)
        beginnings = [token.rpartition("=")[2][:16] for token in tokens]  # texts are cut, so a part is enough
        assert not any(beginning in told.text for beginning in beginnings)
        assert_nothing_secret(proxy, key, [*tokens, *beginnings])


def test_token_arrives_whole_where_it_is_wanted(tmp_path: Path) -> None:
    """So that the other tests look for the right thing."""
    ca, key = make_ca("CA of a fake server"), make_key()
    with (
        fake_server(after_token(ca, tmp_path, lambda _: packet(b"\0\0\0\2\0\0\0", 5)), ca, tmp_path) as server,
        running(config_text(server), key=key) as proxy,
    ):
        with RawClient(proxy.port) as client:
            client.log_in(USER, PASSWORD)
        token = server.heard[-1]
    assert token.startswith(f"{server.endpoint}/?Action=connect&DBUser=user_batch&".encode())
    assert urllib.parse.quote(key.session_token or "", safe="").encode() in token
    assert key.secret_key.encode() not in token


def test_error_text_of_the_client_holds_nothing_secret(real_server: RealServer) -> None:
    key = replace(real_server.key, secret_key="wrong")
    with running(config_text(real_server), key=key) as proxy:
        with pytest.raises(pymysql.err.OperationalError) as caught:
            proxy.connect()
        for secret in (PASSWORD, key.session_token or "", "X-Amz"):
            assert not any(form in str(caught.value) for form in forms(secret))
