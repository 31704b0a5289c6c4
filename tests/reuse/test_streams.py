"""A client leaves in the middle of anything: its session is lent again only if that is in step, and the next client
gets its own answers and no others."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest

from kit.raw_client import CONNECT_WITH_DB, USUAL, RawClient, packet
from kit.running_proxy import PASSWORD, USER
from reuse.ground import Ground

MULTI, LOCAL_FILES, DEPRECATE_EOF, QUERY_ATTRIBUTES = 3 << 16, 1 << 7, 1 << 24, 1 << 27
PLAIN = USUAL | MULTI | LOCAL_FILES | CONNECT_WITH_DB
KINDS = {"plain": PLAIN, "one end": PLAIN | DEPRECATE_EOF | QUERY_ATTRIBUTES}
LONG = (
    "SELECT REPEAT('y', 700) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900)"
    " SELECT n FROM s) AS series"
)


@dataclass
class Client:
    """Made of bytes, and logged in."""

    raw: RawClient
    has_attributes: bool
    came_at: int
    """The length of the proxy's log then."""

    def send(self, payload: bytes, sequence_id: int = 0) -> Self:
        self.raw.send(payload, sequence_id)
        return self

    def query(self, text: str) -> Self:
        return self.send(b"\x03" + (b"\0\1" if self.has_attributes else b"") + text.encode())

    def done(self, text: str) -> Self:
        """A statement without a result."""
        self.query(text)
        assert self.raw.read().payload[0] == 0, text
        return self

    def number(self, text: str) -> int | None:
        """The one value of the next answer."""
        self.query(text)
        packets = [self.raw.read()]
        while not (len(packets) > 3 and packets[-1].payload[0] == 0xFE):
            packets.append(self.raw.read())
            assert packets[-1].payload[0] != 0xFF, packets
        assert [each.sequence_id for each in packets] == list(range(1, len(packets) + 1))
        row = packets[-2].payload
        return None if row == b"\xfb" else int(row[1:])


_opened: list[RawClient] = []


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def _connect(ground: Ground, kind: str) -> Client:
    came_at = ground.proxy.log_position()
    raw = RawClient(ground.proxy.port)
    _opened.append(raw)
    capabilities = KINDS[kind] & (raw.greeting.capabilities | 1)
    raw.log_in(USER, PASSWORD, capabilities=capabilities, database="shop")
    return Client(raw, bool(capabilities & QUERY_ATTRIBUTES), came_at)


def _leave(ground: Ground, client: Client, *, quits: bool = True) -> None:
    """It reads nothing more. A whole close could break off what the proxy still sends, before it has read the quit."""
    with contextlib.suppress(OSError):
        if quits:
            client.send(b"\x01")
        client.raw.socket.shutdown(socket.SHUT_WR)
    ground.proxy.wait_for("session ended", since=client.came_at)
    client.raw.close()


def _prepare(client: Client, text: bytes) -> bytes:
    """The statement's id."""
    client.send(b"\x16" + text)
    first = client.raw.read().payload
    assert first[0] == 0, first
    time.sleep(0.05)
    return first[1:5]


def _cursor(client: Client, *, fetch: bool) -> None:
    statement = _prepare(client, LONG.encode())
    client.send(b"\x17" + statement + b"\1" + struct.pack("<I", 1))
    time.sleep(0.1)
    if fetch:
        client.send(b"\x1c" + statement + struct.pack("<I", 10))


def _infile(client: Client, *packets: bytes) -> None:
    client.done("CREATE TEMPORARY TABLE letters (line TEXT)")
    client.query("LOAD DATA LOCAL INFILE 'x' INTO TABLE letters")
    assert client.raw.read().payload[0] == 0xFB
    for number, data in enumerate(packets, start=2):
        client.send(data, number)


def _pipelined(client: Client, payload: bytes, times: int) -> None:
    client.raw.socket.sendall(packet(payload, 0) * times)


def _half_a_packet(client: Client) -> None:
    client.raw.socket.sendall(packet(b"\x03SELECT 1 FROM", 0)[:-4])


def _half_of_a_file(client: Client) -> None:
    _infile(client)
    client.raw.socket.sendall(packet(bytes(100), 2)[:7])


def _long_command(client: Client) -> None:
    text = b"\x03" + (b"\0\1" if client.has_attributes else b"") + b'SELECT LENGTH("'
    first = text + b"a" * (0xFFFFFF - len(text))
    client.raw.socket.sendall(packet(first, 0) + packet(b'aa")', 1))


def _read_some(client: Client, length: int) -> None:
    client.query(LONG)
    client.raw._exactly(length)


def _killed(client: Client, *, statement: str) -> None:
    """By the id that the client knows of itself."""
    client.query(statement.format(client.raw.greeting.connection_id))
    time.sleep(0.05)


def _a_moment(client: Client) -> None:
    client.query(LONG)
    time.sleep(0.1)


IN_STEP: dict[str, Callable[[Client], Any]] = {
    "idle": lambda c: None,
    "query running": lambda c: c.query("SELECT SLEEP(0.3)"),
    "unread": lambda c: c.query(LONG),
    "unread for a moment": _a_moment,
    "half read": lambda c: _read_some(c, 100_000),
    "one byte read": lambda c: _read_some(c, 1),
    "several results": lambda c: c.query("SELECT 1; SELECT 2; DO SLEEP(0.1); SELECT REPEAT('z', 300000); SELECT 4"),
    "an error among results": lambda c: c.query("SELECT 1; SELECT * FROM nowhere; SELECT 4"),
    "an error": lambda c: c.query("SELECT * FROM nowhere"),
    "a syntax error": lambda c: c.query("SELEKT"),
    "in a transaction": lambda c: (c.done("BEGIN"), c.query("UPDATE stock SET v = v + 0")),
    "no rows allowed": lambda c: (c.done("SET sql_select_limit = 0"), c.query("SELECT 1")),
    "fifty statements": lambda c: [c.query("SELECT 1, REPEAT('q', 100)") for _ in range(50)],
    "fifty settings": lambda c: [c.query("SET @a = 5") for _ in range(50)],
    "twenty pings": lambda c: _pipelined(c, b"\x0e", 20),
    "statistics": lambda c: c.send(b"\x09"),
    "a field list": lambda c: c.send(b"\x04stock\0"),
    "a database": lambda c: c.send(b"\x02mysql"),
    "no such database": lambda c: c.send(b"\x02" + b"0123456789abcdef" * 2),
    "a reset": lambda c: (c.send(b"\x1f"), c.query("SELECT 1")),
    "no such command": lambda c: c.send(b"\xf0abc"),
    "prepared": lambda c: c.send(b"\x16SELECT ?"),
    "prepared badly": lambda c: c.send(b"\x16SELEKT ?"),
    "closed what is not there": lambda c: c.send(b"\x19\x01\0\0\0"),
    "long data": lambda c: c.send(b"\x18" + _prepare(c, b"SELECT ?") + b"\0\0abc"),
    "a cursor": lambda c: _cursor(c, fetch=False),
    "a cursor that is read": lambda c: _cursor(c, fetch=True),
    "a procedure": lambda c: (
        c.done("CREATE PROCEDURE IF NOT EXISTS three() BEGIN SELECT 1; SELECT REPEAT('k', 70000); SELECT 3; END"),
        c.query("CALL three()"),
    ),
    "a lock": lambda c: c.query("SELECT GET_LOCK('stream', 1)"),
    "a file that was sent": lambda c: _infile(c, b"abc\n" * 10, b""),
    "an empty file": lambda c: _infile(c, b""),
    "a command of 16 MB": _long_command,
}

UNFIT: dict[str, Callable[[Client], Any]] = {
    "a file that is asked for": _infile,
    "half of a file": lambda c: _infile(c, b"abc\n" * 10),
    "half a packet of a file": _half_of_a_file,
    "half a packet": _half_a_packet,
    "a wrong sequence id": lambda c: c.send(b"\x0e", 5),
    "a query that runs on": lambda c: c.query("SELECT SLEEP(2.5)"),
    "7 MB unread": lambda c: c.query(f"{LONG} JOIN (SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) AS a"
        " JOIN (SELECT 1 UNION SELECT 2 UNION SELECT 3) AS b"),
    "its own KILL QUERY": lambda c: _killed(c, statement="KILL QUERY {}"),
    "its own KILL": lambda c: _killed(c, statement="KILL {}"),
}  # fmt: skip


def _left_and_lent(ground: Ground, kind: str, state: Callable[[Client], Any]) -> bool:
    """Whether the next client got the same session."""
    first = _connect(ground, kind)
    before = first.number("SELECT CONNECTION_ID()")
    first.done("SET @a = 5")
    state(first)
    _leave(ground, first)
    second = _connect(ground, kind)
    assert [second.number(f"SELECT {number} + 1") for number in (41, 1000)] == [42, 1001]
    assert second.number("SELECT @a") is None
    assert second.number("SELECT COUNT(*) FROM stock WHERE DATABASE() = 'shop'") == 2
    again = second.number("SELECT CONNECTION_ID()")
    _leave(ground, second)
    return again == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", IN_STEP)
def test_a_stream_that_is_found_to_be_in_step(ground: Ground, kind: str, state: str) -> None:
    assert _left_and_lent(ground, kind, IN_STEP[state])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", UNFIT)
def test_a_stream_that_is_not_in_step_is_given_up(ground: Ground, kind: str, state: str) -> None:
    assert not _left_and_lent(ground, kind, UNFIT[state])


def test_a_client_that_leaves_without_a_word_takes_its_session_along(ground: Ground) -> None:
    first = _connect(ground, "plain")
    before = first.number("SELECT CONNECTION_ID()")
    _leave(ground, first, quits=False)
    second = _connect(ground, "plain")
    assert second.number("SELECT CONNECTION_ID()") != before
    _leave(ground, second)


@pytest.mark.parametrize(
    ("text", "pause"),
    [("SELECT 1; SELECT SLEEP(1.2); SELECT 3", 0.2), (LONG, 0.0), ("SELECT REPEAT('x', 9000000)", 0.1)],
)
def test_a_client_that_reads_on_after_its_quit_gets_all_that_it_is_owed(
    ground: Ground, text: str, pause: float
) -> None:
    direct = _connect(ground, "plain")
    direct.query(text)
    time.sleep(1.5 if "SLEEP" in text else 0.1)
    direct.raw.socket.settimeout(0.5)
    expected = bytearray()
    try:
        while True:
            expected += direct.raw.socket.recv(1 << 20)
    except TimeoutError:
        pass
    _leave(ground, direct)
    client = _connect(ground, "plain")
    client.query(text)
    time.sleep(pause)
    client.send(b"\x01")
    time.sleep(0.3)
    assert client.raw.rest() == expected
    client.raw.close()


def test_bytes_behind_a_quit_reach_nobody(ground: Ground) -> None:
    first = _connect(ground, "plain")
    before = first.number("SELECT CONNECTION_ID()")
    position = ground.proxy.log_position()
    first.raw.socket.sendall(packet(b"\x01", 0) + packet(b"\x03SET @a = 5", 0))
    assert first.raw.rest() == b""
    ground.proxy.wait_for("session ended", since=position)
    second = _connect(ground, "plain")
    assert second.number("SELECT CONNECTION_ID()") != before
    assert second.number("SELECT @a") is None
    _leave(ground, second)
