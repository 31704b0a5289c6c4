"""SIGTERM, SIGINT and silence, with real servers behind the proxy."""

import contextlib
import signal
import threading
import time
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.proxies import serving
from kit.raw_client import COM_QUERY, Error, RawClient, Refusal
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from servers.real_server import RealServer

STOPPING = "stopping; a second signal ends at once"


def ends(proxy: RunningProxy, code: int) -> None:
    assert proxy.process.wait(15) == code
    assert_clean(proxy.log_text())


def assert_told(client: RawClient, server: RealServer, code: int) -> None:
    """As that server itself ends a session that idles: MySQL with an ERR that nobody asked for, MariaDB without."""
    if server.family == "mysql":
        packet = client.read()
        assert packet.sequence_id == 0
        assert Error.of(packet.payload).code == code
    assert client.rest() == b""


def wait_until_running(server: RealServer, statement: str) -> None:
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s", (statement,))
            ((count,),) = cursor.fetchall()
            if count:
                return
            time.sleep(0.02)
    raise AssertionError(f"{statement} does not run")


@pytest.mark.parametrize("on_asyncio", [False, True])
def test_query_of_five_seconds_gets_its_result_and_new_logins_are_refused(
    mysql_9_7: RealServer, tmp_path: Path, on_asyncio: bool
) -> None:
    rows: list[object] = []

    def work() -> None:
        with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT SLEEP(5)")
            rows.extend(cursor.fetchall())

    with serving(tmp_path, config_text(mysql_9_7), key=mysql_9_7.key, on_asyncio=on_asyncio) as proxy:
        thread = threading.Thread(target=work)
        thread.start()
        wait_until_running(mysql_9_7, "SELECT SLEEP(5)")
        proxy.process.send_signal(signal.SIGTERM)
        proxy.wait_for(STOPPING)
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect()
        thread.join(15)
        assert rows == [(0,)]
        ends(proxy, 0)


def test_idle_session_is_told_after_two_seconds(real_server: RealServer, tmp_path: Path) -> None:
    with (
        serving(tmp_path, config_text(real_server), key=real_server.key) as proxy,
        RawClient(proxy.port) as client,
    ):
        client.log_in(USER, PASSWORD)
        client.query("SELECT 1")
        proxy.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert_told(client, real_server, 1053)
        assert 1.9 < time.monotonic() - began < 6
        ends(proxy, 0)
        (ended,) = proxy.events("session ended")
        assert (ended["closed_by"], ended["why"]) == ("proxy", "the proxy stops")


def test_session_with_half_a_command_is_not_idle_and_is_cut(mysql_9_7: RealServer, tmp_path: Path) -> None:
    config = "drain_timeout = 3\n" + config_text(mysql_9_7)
    with (
        serving(tmp_path, config, "--exit-zero-on-sigterm", key=mysql_9_7.key) as proxy,
        RawClient(proxy.port) as client,
    ):
        client.log_in(USER, PASSWORD)
        client.socket.sendall(b"\x09\0\0\0\x03SEL")
        proxy.process.send_signal(signal.SIGTERM)
        assert client.rest() == b"", "an ERR could be taken for the answer"
        ends(proxy, 0)
        assert proxy.events("stopped")[0]["sessions_cut"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_exit_code_tells_that_busy_sessions_were_cut(
    mysql_9_7: RealServer, tmp_path: Path, number: signal.Signals
) -> None:
    config = "drain_timeout = 0.2\n" + config_text(mysql_9_7)
    with serving(tmp_path, config, key=mysql_9_7.key) as proxy, RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD)
        client.send(COM_QUERY + b"SELECT SLEEP(30)", 0)
        wait_until_running(mysql_9_7, "SELECT SLEEP(30)")
        proxy.process.send_signal(number)
        ends(proxy, 128 + number)


def test_logins_under_way_are_refused(mysql_9_7: RealServer, tmp_path: Path) -> None:
    target = "logins_per_second = 0.2\nlogin_burst = 2"  # the probe's, the first client's; then one waits 5 s
    with serving(tmp_path, config_text(mysql_9_7, target=target), key=mysql_9_7.key) as proxy:
        proxy.connect().close()
        with RawClient(proxy.port) as waiting, RawClient(proxy.port) as greeted, RawClient(proxy.port) as silent:
            waiting.send_login(USER, PASSWORD)
            proxy.process.send_signal(signal.SIGTERM)
            proxy.wait_for(STOPPING)
            greeted.send_login(USER, PASSWORD)
            with pytest.raises(Refusal) as caught:
                greeted.finish_login(PASSWORD, 2)
            assert (caught.value.error.code, caught.value.error.sqlstate) == (1053, "08S01")
            assert waiting.read_error().code == 1053
            assert silent.read_error().code == 1053
            ends(proxy, 0)


def test_idle_timeout_ends_as_the_server_does(real_server: RealServer, tmp_path: Path) -> None:
    config = config_text(real_server, target="idle_timeout = 1")
    with serving(tmp_path, config, key=real_server.key) as proxy, RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD)
        client.query("SELECT SLEEP(2.5)")  # silence, but not the client's
        client.send(b"\x19\x01\0\0\0", 0)  # COM_STMT_CLOSE, which has no answer
        assert_told(client, real_server, 4031)
        ended = proxy.wait_for("session ended")
        assert (ended["closed_by"], ended["why"]) == ("proxy", "idle_timeout")
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_quits_when_nobody_was_connected_for_a_while(mysql_9_7: RealServer, tmp_path: Path) -> None:
    with serving(tmp_path, config_text(mysql_9_7), "--quit-after-idle", "1.5", key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT SLEEP(2)")
            assert proxy.process.poll() is None
        ends(proxy, 0)
