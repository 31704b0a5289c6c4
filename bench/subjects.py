"""Ways to one and the same server, as a client sees them."""

import json
import socket
import ssl
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pymysql
from pymysql.connections import Connection

DATABASE = "shop"
BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Where to log in and how; `pid` is the process that relays, None where there is none."""

    name: str
    port: int
    user: str
    password: str = field(repr=False)
    pid: int | None = None
    tls: bool = False
    tls_name: str | None = None  # that the certificate is checked for; None: not checked
    ca_file: str | None = None
    keeps_context: bool = True  # False: a TLS context for each connection, as PyMySQL makes one of `ssl={"ca": …}`

    def order(self, **details: object) -> str:
        """What a driver is told."""
        return json.dumps({"subject": asdict(self), **details})

    def named(self, name: str) -> "Subject":
        return replace(self, name=name)

    def through(self, pid: int, port: int) -> "Subject":
        """The same way through another process of that kind."""
        return replace(self, pid=pid, port=port)


class Connector:
    """Opens connections with PyMySQL."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._ssl: ssl.SSLContext | dict[str, object] | None = None
        if subject.tls:
            self._ssl = _context(subject) if subject.keeps_context else {"ca": subject.ca_file}

    def connect(self, kind: type[socket.socket] = socket.socket) -> "tuple[Connection[Any], socket.socket]":
        """A connection that is logged in, and its socket. Raises pymysql.Error, OSError."""
        subject = self._subject
        connection = pymysql.connect(
            host=subject.tls_name or "127.0.0.1",
            user=subject.user,
            password=subject.password,
            database=DATABASE,
            ssl=self._ssl,
            ssl_disabled=self._ssl is None,
            autocommit=None,  # ask for nothing after the login
            defer_connect=True,
            read_timeout=BUSY_SECONDS,
        )
        sock = kind(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(BUSY_SECONDS)
        sock.connect(("127.0.0.1", subject.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(sock)
        # With TLS PyMySQL has wrapped it. After a login nothing is left in its buffers.
        return connection, connection._sock  # type: ignore[attr-defined]


def _context(subject: Subject) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if subject.ca_file is None or subject.tls_name is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if subject.ca_file is not None:
        context.load_verify_locations(subject.ca_file)
    return context
