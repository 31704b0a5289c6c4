"""Clients of every kind, one after another until the time is up: those who quit, and those who just go."""

import json
import os
import random
import signal
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import pymysql
from pymysql.connections import Connection

from bench.drivers.answers import Packets, packets, query, send
from bench.drivers.order import read_order
from bench.subjects import BUSY_SECONDS, Connector, Subject

MEGABYTE = 1024 * 1024
BIG = f"SELECT REPEAT('x', {MEGABYTE}) FROM (VALUES ROW(1), ROW(2), ROW(3), ROW(4), ROW(5)) AS rows_of_it"
WAITS = b"SELECT GET_LOCK('churn', 60), SLEEP(60)"
"""One client at a time has the lock and sleeps, the others wait for it."""

PING = packets(b"\x0e")
STMT_CLOSE = packets(b"\x19" + bytes(4))  # is never answered
LIKE_A_REQUEST_FOR_A_FILE = query(b"SELECT REPEAT(x'fffb', 300)")
MAX_FLOOD = 50_000
WRONG_PASSWORD = 1045
MAX_SURPRISES = 5

_LINGER_ZERO = struct.pack("ii", 1, 0)


class _Vanished(Exception):
    """This client has gone, as it meant to."""


def _reset(sock: socket.socket) -> None:
    """Close without a good-bye: the other end gets a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    sock.close()


class _VanishesWithItsLogin(socket.socket):
    """Sends one whole login packet; is gone while it is being answered."""

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        super().sendall(data, flags)
        time.sleep(random.random() * 0.01)
        _reset(self)
        raise _Vanished


class Clients:
    """One client at a time, of a kind that chance chooses."""

    def __init__(self, subject: Subject, with_tls: Subject, chance: random.Random) -> None:
        self._port = subject.port
        self._chance = chance
        self._plain = Connector(subject)
        self._tls = Connector(with_tls)
        self._wrong = Connector(replace(subject, password=subject.password[:-1]))
        self._kinds: dict[Callable[[], None], int] = {
            self._queries: 30,
            self._queries_over_tls: 20,
            self._goes_without_quit: 12,
            self._resets: 8,
            self._fetches_much: 2,
            self._goes_amid_a_result: 3,
            self._wrong_password: 5,
            self._breaks_off: 8,
            self._breaks_off_in_tls: 4,
            self._goes_amid_the_login: 3,
            self._is_killed_while_it_waits: 2,
            self._floods: 1,
            self._sends_byte_by_byte: 1,
        }
        self.served: Counter[str] = Counter()

    def next(self) -> None:
        """Raises pymysql.Error or OSError when a client that did nothing wrong is not served."""
        (kind,) = self._chance.choices(list(self._kinds), list(self._kinds.values()))
        kind()
        self.served[kind.__name__.lstrip("_")] += 1

    def _queries(self) -> None:
        connection, _ = self._plain.connect()
        self._ask(connection)
        connection.close()

    def _queries_over_tls(self) -> None:
        connection, _ = self._tls.connect()
        self._ask(connection)
        connection.close()

    def _goes_without_quit(self) -> None:
        connection, sock = self._chance.choice((self._plain, self._tls)).connect()
        self._ask(connection)
        sock.close()
        _force_close(connection)

    def _resets(self) -> None:
        connection, sock = self._chance.choice((self._plain, self._tls)).connect()
        self._ask(connection)
        _reset(sock)
        _force_close(connection)

    def _fetches_much(self) -> None:
        connection, _ = self._chance.choice((self._plain, self._tls)).connect()
        with connection.cursor() as cursor:
            cursor.execute(BIG)
            assert sum(len(row[0]) for row in cursor.fetchall()) == 5 * MEGABYTE
        connection.close()

    def _goes_amid_a_result(self) -> None:
        connection, sock = self._chance.choice((self._plain, self._tls)).connect()
        send(sock, query(BIG.encode()))
        sock.recv(64 * 1024)
        _reset(sock)
        _force_close(connection)

    def _wrong_password(self) -> None:
        try:
            self._wrong.connect()
        except pymysql.OperationalError as exc:
            if exc.args[0] == WRONG_PASSWORD:
                return
            raise
        raise pymysql.Error("a wrong password got in")

    def _breaks_off(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=BUSY_SECONDS) as sock:
            if self._chance.random() < 0.8:
                sock.recv(4096)
                sock.sendall(b"\x40\x00\x00\x01" + bytes(self._chance.randrange(0x40)))  # less than it announces
            if self._chance.random() < 0.5:
                _reset(sock)

    def _breaks_off_in_tls(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=BUSY_SECONDS) as sock:
            sock.recv(4096)
            asks_for_tls = (0x000FAA0D).to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x2d" + bytes(23)
            sock.sendall(len(asks_for_tls).to_bytes(3, "little") + b"\x01" + asks_for_tls)
            hello = _client_hello()
            sock.sendall(hello[: self._chance.randrange(len(hello) + 1)])
            if self._chance.random() < 0.5:
                _reset(sock)

    def _goes_amid_the_login(self) -> None:
        try:
            self._plain.connect(_VanishesWithItsLogin)
        except _Vanished:
            return
        raise pymysql.Error("it is still there")

    def _is_killed_while_it_waits(self) -> None:
        waits, says = os.pipe()
        child = os.fork()
        if child == 0:
            self._wait_until_killed(says)
        os.close(says)
        try:
            is_waiting = os.read(waits, 1)
            time.sleep(self._chance.random() * 0.2)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(waits)
        if not is_waiting:
            raise pymysql.Error("one that was to wait was not served")

    def _wait_until_killed(self, says: int) -> NoReturn:
        """In a process of its own, which ends here whatever happens."""
        try:
            _, sock = self._chance.choice((self._plain, self._tls)).connect()
            send(sock, query(WAITS))
            os.write(says, b".")
            sock.recv(1)
        finally:
            os._exit(1)

    def _floods(self) -> None:
        connection, sock = self._chance.choice((self._plain, self._tls)).connect()
        reader = Packets(sock)
        if self._chance.random() < 0.5:
            send(sock, LIKE_A_REQUEST_FOR_A_FILE)
            for _ in range(5):  # one column, its definition, an EOF, one row, an EOF
                reader.next()
        send(sock, STMT_CLOSE * self._chance.randrange(MAX_FLOOD))
        if self._chance.random() < 0.5:
            send(sock, PING)
            assert reader.next()[0] == 0
        _reset(sock)
        _force_close(connection)

    def _sends_byte_by_byte(self) -> None:
        connection, sock = self._chance.choice((self._plain, self._tls)).connect()
        for byte in query(b"SELECT /* " + b"x" * 500 + b" */ 1"):
            send(sock, bytes((byte,)))
        assert Packets(sock).next() == b"\x01"
        _reset(sock)
        _force_close(connection)

    def _ask(self, connection: "Connection[Any]") -> None:
        with connection.cursor() as cursor:
            for number in range(self._chance.randrange(1, 6)):
                cursor.execute("SELECT %s", (number,))
                assert cursor.fetchall() == ((number,),)


def _force_close(connection: "Connection[Any]") -> None:
    """PyMySQL's own reference to the socket goes too, and no COM_QUIT is sent."""
    connection._force_close()  # type: ignore[attr-defined]


def _client_hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake with nobody")


def main() -> None:
    subject, order = read_order()
    clients = Clients(subject, Subject(**order["with_tls"]), random.Random(order["seed"]))
    surprises: list[str] = []
    failed = 0
    deadline = time.monotonic() + order["seconds"]
    while time.monotonic() < deadline:
        try:
            clients.next()
        except (pymysql.Error, OSError) as exc:
            failed += 1
            if len(surprises) < MAX_SURPRISES:
                surprises.append(f"{type(exc).__name__}: {exc}")
    print(json.dumps({"served": clients.served, "failed": failed, "surprises": surprises}))


if __name__ == "__main__":
    main()
