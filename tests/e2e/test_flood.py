"""One logged-in client that sends as fast as it can, beside one that pings."""

import threading
import time
from collections.abc import Iterator

import pytest

from kit.raw_client import COM_QUERY, USUAL, RawClient, packet
from kit.running_proxy import PASSWORD, USER, RunningProxy

SECONDS = 3.0
PING_SECONDS = 0.25
"""A ping takes less, whatever others send."""

LOCAL_FILES = 1 << 7
BULK = 1 << 18

FLOODS = {
    "never answered, behind a tail": b"\x05\0\0\0\x19\x01\0\0\0",
    "long data": packet(b"\x18\x01\0\0\0\0\0x", 0),
    "empty": packet(b"", 0),
    "pings": packet(b"\x0e", 0),
    "comments": packet(COM_QUERY + b"/**/" * 58 + b"KILL x", 0),
    "KILL": packet(COM_QUERY + b"KILL 1879048191", 0),
}


def flood(port: int, what: bytes, over: threading.Event) -> None:
    with RawClient(port) as client:
        client.log_in(USER, PASSWORD, capabilities=USUAL | LOCAL_FILES)
        client.send(
            COM_QUERY + b"SELECT REPEAT(x'fffb', 250)", 0
        )  # the last bytes look like many LOCAL INFILE requests
        for _ in range(5):
            client.read()
        client.socket.settimeout(0.05)
        bulk = what * (BULK // len(what))
        while not over.is_set():
            try:
                client.socket.send(bulk)
                client.socket.recv(BULK)
            except TimeoutError:
                continue
            except OSError:
                return  # the server has had enough


def drip(port: int, over: threading.Event) -> None:
    """Commands byte by byte."""
    with RawClient(port) as client:
        client.log_in(USER, PASSWORD)
        while not over.is_set():
            for byte in packet(b"\x0e", 0):
                client.socket.sendall(bytes((byte,)))
                time.sleep(0.0005)
            client.read()


@pytest.fixture
def floods(proxy: RunningProxy) -> Iterator[None]:
    over = threading.Event()
    threads = [threading.Thread(target=flood, args=(proxy.port, what, over)) for what in FLOODS.values()]
    threads.append(threading.Thread(target=drip, args=(proxy.port, over)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.alone
@pytest.mark.usefixtures("floods")
def test_a_ping_is_quick_beside_any_flood(proxy: RunningProxy) -> None:
    took = []
    with RawClient(proxy.port) as client:
        client.log_in(USER, PASSWORD)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            began = time.monotonic()
            client.ping()
            took.append(time.monotonic() - began)
            time.sleep(0.02)
    assert max(took) < PING_SECONDS
    assert len(took) > SECONDS / (PING_SECONDS + 0.02)
