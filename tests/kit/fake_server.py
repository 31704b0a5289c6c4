"""Servers that misbehave, on a loopback port: what a proxy may meet where it expects RDS."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.raw_client import packet
from rds_iam_proxy.net.make_certificate import Certificate, make_server_certificate

HOST = "fake.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
MYSQL_8 = 0xDFFF_FFFF  # capabilities of a current MySQL
WITHOUT_TLS = MYSQL_8 & ~(1 << 11)
OK = b"\0\0\0\2\0\0\0"
TIMEOUT = 30.0  # seconds


@dataclass(slots=True)
class FakeServer:
    """A running one."""

    port: int
    ca_file: Path
    host: str = "127.0.0.1"
    endpoint: str = f"{HOST}:3306"
    heard: list[bytes] = field(default_factory=list)  # what a behaviour kept for the test


Behaviour = Callable[[socket.socket, FakeServer], None]


def greeting(capabilities: int = MYSQL_8) -> bytes:
    """A MySQL greeting, framed."""
    low, high = (capabilities & 0xFFFF).to_bytes(2, "little"), (capabilities >> 16).to_bytes(2, "little")
    head = b"\x0a8.0.36\0" + b"\x07\0\0\0" + b"abcdefgh\0" + low + b"\xff\2\0" + high + b"\x15" + bytes(10)
    return packet(head + b"ijklmnopqrst\0" + b"caching_sha2_password\0", 0)


def error(code: int, text: str, sequence_id: int, sqlstate: str = "HY000") -> bytes:
    return packet(b"\xff" + code.to_bytes(2, "little") + b"#" + sqlstate.encode() + text.encode(), sequence_id)


def read_packet(sock: socket.socket) -> bytes:
    """One payload; empty at the end of the stream."""
    header = _exactly(sock, 4)
    return _exactly(sock, int.from_bytes(header[:3], "little"))


def _exactly(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def tls_context(certificate: Certificate, folder: Path) -> ssl.SSLContext:
    pem = folder / "server.pem"
    pem.write_bytes(certificate.certificate_pem + certificate.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextlib.contextmanager
def fake_server(behaviour: Behaviour, ca: Certificate, folder: Path) -> Iterator[FakeServer]:
    """Each connection is handed to `behaviour` in a thread of its own; what peers do to it ends that thread only."""
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca.certificate_pem)
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = FakeServer(listener.getsockname()[1], ca_file)

        def serve(connection: socket.socket) -> None:
            connection.settimeout(TIMEOUT)
            with contextlib.suppress(OSError), connection:
                behaviour(connection, server)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                    threads.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
            acceptor.join(TIMEOUT)
            for thread in threads:
                thread.join(TIMEOUT)


def after_tls(ca: Certificate, folder: Path, behaviour: Behaviour) -> Behaviour:
    """Greets, starts TLS with a good certificate, and goes on from the first byte that came through it."""
    context = tls_context(make_server_certificate((HOST,), issuer=ca), folder)

    def serve(connection: socket.socket, server: FakeServer) -> None:
        connection.sendall(greeting())
        read_packet(connection)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            behaviour(encrypted, server)

    return serve


def after_token(ca: Certificate, folder: Path, answer: Callable[[bytes], bytes]) -> Behaviour:
    """Does all that RDS does up to its verdict; the answer to a token is what `answer` makes of it, at seq 5."""

    def verdict(connection: socket.socket, server: FakeServer) -> None:
        read_packet(connection)
        connection.sendall(packet(b"\xfemysql_clear_password\0", 3))
        server.heard.append(read_packet(connection))
        connection.sendall(answer(server.heard[-1]))
        _drain(connection)

    return after_tls(ca, folder, verdict)


def _drain(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass
