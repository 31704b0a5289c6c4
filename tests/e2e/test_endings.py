"""How the process ends, and that what one session leaves behind does not meet the next: on uvloop and on asyncio."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.fake_server import FakeServer, fake_server
from kit.raw_client import COM_QUERY, RawClient, Refusal, login_payload
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer, make_key

AT_ONCE = 8.0  # seconds: less than any time limit of the proxy
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(params=[False, True], ids=["uvloop", "asyncio"])
def on_asyncio(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@contextlib.contextmanager
def started(server: RealServer, *, on_asyncio: bool, top: str = "", target: str = "") -> Iterator[RunningProxy]:
    """A running proxy on the wanted event loop; the test ends it."""
    config = top + config_text(server, target=target)
    with start_proxy(config, key=server.key, on_asyncio=on_asyncio) as proxy:
        proxy.connect().close()
        has_uvloop = "uvloop" in Path(f"/proc/{proxy.process.pid}/maps").read_text()
        assert has_uvloop is not on_asyncio
        yield proxy


def assert_ended(proxy: RunningProxy, *, cut: int = 0, code: int = 0, within: float = AT_ONCE) -> None:
    began = time.monotonic()
    assert proxy.process.wait(15) == code
    assert time.monotonic() - began < within
    (stopped,) = proxy.events("stopped")
    assert stopped["sessions_cut"] == cut
    assert_clean(proxy.log_text())


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_ends_it_at_once_when_nobody_is_there(
    mysql_9_7: RealServer, on_asyncio: bool, number: signal.Signals
) -> None:
    with started(mysql_9_7, on_asyncio=on_asyncio) as proxy:
        proxy.process.send_signal(number)
        assert_ended(proxy)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((proxy.host, proxy.port), timeout=5).close()


def test_session_may_finish_while_it_stops(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    with started(mysql_9_7, on_asyncio=on_asyncio) as proxy:
        with contextlib.closing(proxy.connect()) as session, session.cursor() as cursor:
            session.begin()
            proxy.process.send_signal(signal.SIGTERM)
            proxy.wait_for("stopping; a second signal ends at once")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((proxy.host, proxy.port), timeout=5).close()
            cursor.execute("SELECT 'still there'")
            session.commit()
            assert proxy.process.poll() is None
        assert_ended(proxy)


def test_session_that_does_not_finish_is_cut(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    with (
        started(mysql_9_7, on_asyncio=on_asyncio, top="drain_timeout = 0.3\n") as proxy,
        RawClient(proxy.port) as busy,
        RawClient(proxy.port) as half_way,
    ):
        busy.log_in(USER, PASSWORD)
        busy.send(COM_QUERY + b"SELECT SLEEP(60)", 0)
        half_way.socket.sendall(b"\x20")
        proxy.process.send_signal(signal.SIGTERM)
        assert_ended(proxy, cut=1, code=143)
        assert busy.rest() == b""


def test_session_that_is_cut_has_its_end_line_too(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    with (
        started(mysql_9_7, on_asyncio=on_asyncio, top="drain_timeout = 0\n") as proxy,
        RawClient(proxy.port) as idle,
    ):
        idle.log_in(USER, PASSWORD)
        proxy.process.send_signal(signal.SIGTERM)
        assert_ended(proxy, cut=1, code=143)
        ended = [entry for entry in proxy.events("session ended") if entry["id"] == idle.greeting.connection_id]
        assert [entry["closed_by"] for entry in ended] == ["proxy"]


def test_login_that_is_cut_is_told_why(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    target = "logins_per_second = 0.2\nlogin_burst = 2"  # the probe's, the first client's; the next waits 5 s
    with (
        started(mysql_9_7, on_asyncio=on_asyncio, top="drain_timeout = 0\n", target=target) as proxy,
        RawClient(proxy.port) as waiting,
    ):
        waiting.send_login(USER, PASSWORD)
        proxy.process.send_signal(signal.SIGTERM)
        with pytest.raises(Refusal) as caught:
            waiting.finish_login(PASSWORD, 2)
        assert (caught.value.error.code, caught.value.error.sqlstate) == (1053, "08S01")
        assert_ended(proxy)


@pytest.mark.parametrize("number", SIGNALS)
def test_second_signal_ends_it_at_once_while_a_session_is_busy(
    mysql_9_7: RealServer, on_asyncio: bool, number: signal.Signals
) -> None:
    with (
        started(mysql_9_7, on_asyncio=on_asyncio) as proxy,
        RawClient(proxy.port) as busy,
        RawClient(proxy.port) as choking,
    ):
        busy.log_in(USER, PASSWORD)
        busy.send(COM_QUERY + b"SELECT SLEEP(60)", 0)
        choking.log_in(USER, PASSWORD)  # it does not read what it asked for
        choking.send(COM_QUERY + b"SELECT REPEAT('x', 100000000)", 0)
        choking.socket.recv(1)
        proxy.process.send_signal(number)
        proxy.wait_for("stopping; a second signal ends at once")
        assert proxy.process.poll() is None
        proxy.process.send_signal(number)
        assert_ended(proxy, cut=2, code=128 + number)


def test_second_signal_ends_it_at_once_while_logins_are_under_way(tmp_path: Path, on_asyncio: bool) -> None:
    def say_nothing(connection: socket.socket, server: FakeServer) -> None:
        server.heard.append(b"connected")
        connection.recv(1)

    target = "logins_per_second = 0.2\nlogin_burst = 2"  # the probe's, one client's; the other one waits 5 s
    with (
        fake_server(say_nothing, make_ca("CA of a fake server"), tmp_path) as server,
        start_proxy(config_text(server, target=target), key=make_key(), on_asyncio=on_asyncio) as proxy,
        RawClient(proxy.port) as dialling,
        RawClient(proxy.port) as waiting,
    ):
        dialling.send_login(USER, PASSWORD)
        proxy.wait_for("login permitted", count=2)
        waiting.send_login(USER, PASSWORD)
        proxy.process.send_signal(signal.SIGINT)
        proxy.wait_for("stopping; a second signal ends at once")
        proxy.process.send_signal(signal.SIGINT)
        assert_ended(proxy)


def test_signal_before_the_first_client_while_the_probe_waits(tmp_path: Path, on_asyncio: bool) -> None:
    def say_nothing(connection: socket.socket, server: FakeServer) -> None:
        connection.recv(1)

    with (
        fake_server(say_nothing, make_ca("CA of a fake server"), tmp_path) as server,
        start_proxy(config_text(server), key=make_key(), on_asyncio=on_asyncio) as proxy,
    ):
        proxy.wait_for("login permitted")
        proxy.process.send_signal(signal.SIGTERM)
        assert_ended(proxy)


# --- descriptors ---


def descriptors(proxy: RunningProxy) -> set[str]:
    return {path.name for path in Path(f"/proc/{proxy.process.pid}/fd").iterdir()}


def test_descriptor_of_a_session_can_be_the_next_ones_at_once(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    with started(mysql_9_7, on_asyncio=on_asyncio, target="logins_per_second = 1000\nlogin_burst = 1000") as proxy:
        first = descriptors(proxy)
        for number in range(200):
            with RawClient(proxy.port) as client:
                client.log_in(USER, PASSWORD)
                assert client.query(f"SELECT {number}") == [(str(number),)]
                if number % 3 == 0:  # a command that is never finished
                    client.socket.sendall(b"\x09\0\0\0\x03SEL")
                elif number % 3 == 1:
                    client.send(b"\x01", 0)
            if number % 5 == 0:  # logins that stop somewhere
                with RawClient(proxy.port) as half_way:
                    half_way.socket.sendall(b"\x20\0\0\x01"[: number % 4 + 1])
            if number % 20 == 0:  # while RDS is being asked
                with RawClient(proxy.port) as hasty:
                    hasty.send_login(USER, PASSWORD)
        deadline = time.monotonic() + 10
        while (now := descriptors(proxy)) - first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(now) <= len(first), "nothing is left open"
        assert all(int(number) < 60 for number in now | first), "numbers were used again and again"
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_many_sessions_at_once_keep_their_bytes_apart(mysql_9_7: RealServer, on_asyncio: bool) -> None:
    faults: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(3):
                with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
                    for _ in range(10):
                        cursor.execute("SELECT REPEAT(%s, 10000)", (chr(65 + number),))
                        assert cursor.fetchall() == ((chr(65 + number) * 10000,),), turn
        except Exception as exc:
            faults.append(exc)

    with started(mysql_9_7, on_asyncio=on_asyncio, target="logins_per_second = 1000\nlogin_burst = 1000") as proxy:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert faults == []
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_session_that_the_server_ends_is_ended_and_no_other(real_server: RealServer, proxy: RunningProxy) -> None:
    with contextlib.closing(proxy.connect()) as one, contextlib.closing(proxy.connect()) as other:
        with one.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            ((number,),) = cursor.fetchall()
        position = proxy.log_position()
        with contextlib.closing(real_server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(f"KILL CONNECTION {number}")
        ended = proxy.wait_for("session ended", since=position)
        assert (ended["closed_by"], ended["account"]) == ("rds", USER)
        assert (ended["db_user"], ended["iam_identity"]) == ("user_batch", "default credentials")
        with pytest.raises(pymysql.err.OperationalError):
            one.ping(reconnect=False)
        other.ping(reconnect=False)


def test_packet_out_of_order_after_the_login_is_answered_by_the_server(proxy: RunningProxy) -> None:
    with RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD)
        client.send(login_payload(USER, b"x" * 20, "mysql_native_password"), 1)
        assert client.read_error().code == 1156
