"""A login as any old client makes it, without TLS, by SCRAM: what proves that the demo works. It blocks."""

import base64
import hashlib
import hmac
import secrets
import socket

from pg_wire.authentication import AuthenticationSASLContinue, SASLInitialResponse, SASLResponse, decode_authentication
from pg_wire.constants import SCRAM_SHA_256, Kind
from pg_wire.errors import MalformedMessage
from pg_wire.fields import PayloadReader, string
from pg_wire.messages import ErrorResponse, StartupMessage, framed

from ....net.address import Address

SECONDS = 15.0


class LoginFailed(Exception):
    """With the server's own words."""


def log_in(proxy: Address, user: str, password: str) -> tuple[str, str, int]:
    """Who that is, the server's version, and how many customers there are. Raises LoginFailed, OSError."""
    with connect(proxy, user, password) as sock:
        client = _Client(sock)
        who = client.ask("SELECT current_user")[0]
        return who, client.ask("SHOW server_version")[0], len(client.ask("SELECT name FROM customers"))


def connect(proxy: Address, user: str, password: str) -> socket.socket:
    """A session that stays until it is closed. Raises LoginFailed, OSError."""
    sock = socket.create_connection((proxy.host, proxy.port), SECONDS)
    try:
        _Client(sock).log_in(user, password)
    except BaseException:
        sock.close()
        raise
    return sock


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def log_in(self, user: str, password: str) -> None:
        self._sock.sendall(
            StartupMessage(
                0, {b"user": user.encode(), b"database": b"shop", b"application_name": b"demo's own"}
            ).encode()
        )
        self._message()
        bare = b"n=,r=" + secrets.token_urlsafe(18).encode()
        self._sock.sendall(SASLInitialResponse(SCRAM_SHA_256, b"n,," + bare).encode())
        challenge = decode_authentication(self._message()[1])
        if not isinstance(challenge, AuthenticationSASLContinue):
            raise MalformedMessage("AuthenticationSASLContinue: something else came")
        self._sock.sendall(SASLResponse(_final(bare, challenge.data, password)).encode())
        while self._message()[0] != Kind.READY_FOR_QUERY:
            pass

    def ask(self, statement: str) -> list[str]:
        """The first column of the answer."""
        self._sock.sendall(framed(Kind.QUERY, string(statement.encode())))
        values = []
        while True:
            kind, payload = self._message()
            if kind == Kind.DATA_ROW:
                reader = PayloadReader(payload[2:], "DataRow")
                values.append(reader.byten(reader.int32("length"), "value").decode())
            if kind == Kind.READY_FOR_QUERY:
                return values

    def _message(self) -> tuple[int, bytes]:
        header = self._read(5)
        payload = self._read(int.from_bytes(header[1:], "big") - 4)
        if header[0] == Kind.ERROR_RESPONSE:
            raise LoginFailed(ErrorResponse.decode(payload).report.text.decode("utf-8", "replace"))
        return header[0], payload

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._sock.recv(length - len(data))
            if not more:
                raise ConnectionError("the proxy closed the connection")
            data += more
        return data


def _final(bare: bytes, challenge: bytes, password: str) -> bytes:
    """client-final-message (RFC 5802)."""
    nonce, salt, iterations = (part[2:] for part in challenge.split(b","))
    without = b"c=biws,r=" + nonce
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((bare, challenge, without)), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return without + b",p=" + base64.b64encode(proof)
