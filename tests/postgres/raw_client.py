"""A PostgreSQL client made of bytes: it can do what no proper client would. Knows nothing of the proxy's own code."""

import base64
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from kit.scram_client import ScramClient

TIMEOUT = 20.0  # seconds
SSL_REQUEST, GSSENC_REQUEST = (struct.pack("!II", 8, code) for code in (80877103, 80877104))
OK, SASL, SASL_CONTINUE, SASL_FINAL = 0, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Error:
    """An ErrorResponse."""

    severity: str
    sqlstate: str
    text: str

    @classmethod
    def of(cls, payload: bytes) -> Self:
        fields = {part[:1]: part[1:].decode() for part in payload.split(b"\0") if part}
        return cls(fields[b"V"], fields[b"C"], fields[b"M"])


def startup(user: str, *, version: int = 3 << 16, parameters: Mapping[bytes, bytes] | None = None) -> bytes:
    values = {**({b"user": user.encode()} if user else {}), **(parameters or {})}
    pairs = b"".join(name + b"\0" + value + b"\0" for name, value in values.items())
    body = struct.pack("!I", version) + pairs + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def message(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(payload) + 4) + payload


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def cancel_request(process_id: int, key: bytes) -> bytes:
    return struct.pack("!III", 12 + len(key), 80877102, process_id) + key


class PostgresClient:
    """One connection, plain unless `socket` is replaced."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT)
        self.process_id, self.key = 0, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError(f"closed after {data!r}")
            data += more
        return data

    def read_message(self) -> tuple[bytes, bytes]:
        """Type and payload."""
        kind, length = struct.unpack("!cI", self.read(5))
        return kind, self.read(length - 4)

    def read_error(self) -> Error:
        """Behind what else may come before it; then the connection ends."""
        while True:
            kind, payload = self.read_message()
            if kind == b"E":
                assert self.is_closed()
                return Error.of(payload)

    def is_closed(self) -> bool:
        """The server has closed, or does so now."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def read_authentication(self, code: int) -> bytes:
        kind, payload = self.read_message()
        assert kind == b"R", (kind, payload)
        assert payload[:4] == struct.pack("!I", code)
        return payload[4:]

    def begin(self, user: str, password: str, **parameters: str) -> ScramClient:
        """Up to the server's salt."""
        self.send(startup(user, parameters={name.encode(): value.encode() for name, value in parameters.items()}))
        assert b"SCRAM-SHA-256\0" in self.read_authentication(SASL)
        scram = ScramClient(password.encode())
        first = scram.first()
        self.send(message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first))
        return scram

    def salt(self, user: str) -> bytes:
        self.begin(user, "")
        return base64.b64decode(self.read_authentication(SASL_CONTINUE).split(b",")[1][2:])

    def prove(self, user: str, password: str, **parameters: str) -> None:
        """The whole proof; what the server makes of it is to be read."""
        scram = self.begin(user, password, **parameters)
        self.send(message(b"p", scram.final(self.read_authentication(SASL_CONTINUE))))

    def log_in(self, user: str, password: str, **parameters: str) -> list[tuple[bytes, bytes]]:
        """What came up to ReadyForQuery; raises AssertionError with the error that came instead."""
        self.prove(user, password, **parameters)
        self.read_authentication(SASL_FINAL)
        self.read_authentication(OK)
        came: list[tuple[bytes, bytes]] = []
        while not came or came[-1][0] != b"Z":
            came.append(self.read_message())
            assert came[-1][0] != b"E", Error.of(came[-1][1])
            if came[-1][0] == b"K":
                self.process_id, self.key = struct.unpack("!I", came[-1][1][:4])[0], came[-1][1][4:]
        return came

    def ask(self, text: str) -> list[tuple[bytes, bytes]]:
        """The answers to a statement, up to ReadyForQuery."""
        self.send(query(text))
        came = [self.read_message()]
        while came[-1][0] != b"Z":
            came.append(self.read_message())
        return came

    def refusal(self, user: str, password: str, **parameters: str) -> Error:
        """Of a login that must not succeed."""
        if not user:
            self.send(startup(user))
        else:
            self.prove(user, password, **{"database": "shop", **parameters})
        return self.read_error()
