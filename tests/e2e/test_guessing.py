"""Wrong answers slow down nobody but themselves, and silent clients keep out nobody but their own host's."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from kit.raw_client import Error, RawClient, Refusal, refusal
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from servers.real_server import RealServer

pytestmark = pytest.mark.alone

OLD = "an old password of long ago"
PROMPT_SECONDS = 1.0
SILENT_CLIENTS = 700


@pytest.fixture(scope="module")
def proxy(mysql_9_7: RealServer) -> Iterator[RunningProxy]:
    target = "logins_per_second = 150\nlogin_burst = 50"
    with start_proxy(config_text(mysql_9_7, target=target), key=mysql_9_7.key, dev_mode=False) as proxy:
        proxy.connect().close()
        yield proxy


def guess(port: int) -> None:
    """Without a pause."""
    refusal(port, USER, OLD)


def retry_each_second(port: int) -> None:
    """A worker of a pool whose configuration holds an old password."""
    refusal(port, USER, OLD)
    time.sleep(1.0)


def guess_impatiently(port: int) -> None:
    """Without waiting for the verdict: no answer within a moment is one."""
    with RawClient(port, timeout=0.05) as client, contextlib.suppress(OSError):
        client.log_in(USER, OLD)


@contextlib.contextmanager
def crowd(count: int, port: int, once: Callable[[int], None]) -> Iterator[None]:
    """So many who do that again and again."""
    over = threading.Event()

    def again_and_again() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, Refusal, AssertionError):
                once(port)

    threads = [threading.Thread(target=again_and_again) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("count", "once"), [(40, guess), (10, retry_each_second), (40, guess_impatiently)])
def test_right_password_is_in_at_once(proxy: RunningProxy, count: int, once: Callable[[int], None]) -> None:
    with crowd(count, proxy.port, once):
        time.sleep(3.0)
        for _ in range(20):
            began = time.monotonic()
            with RawClient(proxy.port) as client:
                client.log_in(USER, PASSWORD)
                assert time.monotonic() - began < PROMPT_SECONDS
            time.sleep(0.1)


def test_name_that_nobody_has_is_slowed_like_a_real_one(mysql_9_7: RealServer) -> None:
    with start_proxy(config_text(mysql_9_7), key=mysql_9_7.key, dev_mode=False) as proxy:
        real, unknown = waits(proxy, USER), waits(proxy, "nobody-of-this-name")
    assert real == pytest.approx(unknown, abs=0.15)
    assert real == pytest.approx([0.1] * 10 + [0.2, 0.4, 0.8], abs=0.15)


def waits(proxy: RunningProxy, user: str) -> list[float]:
    seconds = []
    for _ in range(13):
        began = time.monotonic()
        assert refusal(proxy.port, user, OLD).code == 1045
        seconds.append(time.monotonic() - began)
    return seconds


@contextlib.contextmanager
def silent_clients(proxy: RunningProxy, count: int) -> Iterator[list[socket.socket]]:
    """They connect and say nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((proxy.host, proxy.port))) for _ in range(count)]


def test_other_hosts_log_in_beside_silent_clients(proxy: RunningProxy) -> None:
    with silent_clients(proxy, SILENT_CLIENTS):
        began = time.monotonic()
        proxy.connect(bind_address="127.0.0.2").close()
        assert time.monotonic() - began < PROMPT_SECONDS


def test_who_gets_no_turn_is_told(proxy: RunningProxy) -> None:
    with silent_clients(proxy, SILENT_CLIENTS) as clients:
        last = clients[-1]
        last.settimeout(15)
        packet = last.recv(4096)
    assert packet[3] == 0
    error = Error.of(packet[4:])
    assert (error.code, error.sqlstate) == (1040, "")
    assert "too many clients are in the middle of a login" in error.text
