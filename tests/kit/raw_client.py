"""A MySQL client made of bytes: it can do what no proper client would. Knows nothing of the proxy's own code."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from pymysql._auth import scramble_caching_sha2, scramble_native_password

SHA2, NATIVE = "caching_sha2_password", "mysql_native_password"
COM_QUIT, COM_QUERY, COM_PING, COM_CHANGE_USER = b"\x01", b"\x03", b"\x0e", b"\x11"
OK, ERR, AUTH_SWITCH = 0x00, 0xFF, 0xFE

LONG_PASSWORD, CONNECT_WITH_DB, COMPRESS, PROTOCOL_41, SSL = 1 << 0, 1 << 3, 1 << 5, 1 << 9, 1 << 11
TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_ATTRS = 1 << 13, 1 << 15, 1 << 19, 1 << 20
LENENC_CLIENT_DATA, SESSION_TRACK, ZSTD, MULTI_FACTOR = 1 << 21, 1 << 23, 1 << 26, 1 << 28
CAPABILITY_EXTENSION, VERIFY_SERVER_CERT, REMEMBER_OPTIONS = 1 << 29, 1 << 30, 1 << 31

USUAL = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH
TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it came."""

    sequence_id: int
    payload: bytes

    @property
    def bytes(self) -> bytes:
        return packet(self.payload, self.sequence_id)


@dataclass(frozen=True, slots=True)
class Error:
    """An ERR packet; `sqlstate` is empty where it has none."""

    code: int
    sqlstate: str
    text: str

    @classmethod
    def of(cls, payload: bytes) -> Self:
        assert payload[0] == ERR, f"no ERR packet: {payload[:64]!r}"
        code, rest = struct.unpack("<H", payload[1:3])[0], payload[3:]
        if rest[:1] == b"#":
            return cls(code, rest[1:6].decode("ascii"), rest[6:].decode())
        return cls(code, "", rest.decode())


class Refusal(Exception):
    """A login was answered with an ERR packet."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first packet, taken apart as the manual's Protocol::HandshakeV10 has it."""

    version: bytes
    connection_id: int
    nonce: bytes = field(repr=False)
    capabilities: int
    collation: int
    plugin: str

    @classmethod
    def of(cls, payload: bytes) -> Self:
        assert payload[0] == 10, payload[:64]
        version, rest = payload[1:].split(b"\0", 1)
        connection_id, first, _, low, collation, _, high, length = struct.unpack_from("<I8sBHBHHB", rest)
        second, plugin = rest[31:43], rest[44:]
        assert length == 21
        assert plugin.endswith(b"\0")
        return cls(version, connection_id, first + second, low | high << 16, collation, plugin[:-1].decode())


def packet(payload: bytes, sequence_id: int) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((sequence_id,)) + payload


def scramble(password: str, plugin: str, nonce: bytes) -> bytes:
    if not password:
        return b""
    return (scramble_caching_sha2 if plugin == SHA2 else scramble_native_password)(password.encode(), nonce)


def login_payload(
    user: str | bytes,
    answer: bytes,
    plugin: str | None,
    *,
    capabilities: int = USUAL,
    database: str | None = None,
    rest: bytes = b"",
) -> bytes:
    """A HandshakeResponse41 whose fields follow `capabilities`; without a plugin its name is left out."""
    if database is not None:
        capabilities |= CONNECT_WITH_DB
    payload = struct.pack("<IIB23x", capabilities, 1 << 24, 45)
    payload += (user if isinstance(user, bytes) else user.encode()) + b"\0"
    payload += bytes((len(answer),)) + answer
    if database is not None:
        payload += database.encode() + b"\0"
    if plugin is not None:
        payload += plugin.encode() + b"\0"
    return payload + rest


class RawClient:
    """One connection; the greeting has been read."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            first = self.read()
            assert first.sequence_id == 0
            if first.payload[0] == ERR:
                raise Refusal(Error.of(first.payload))
            self.greeting = Greeting.of(first.payload)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            piece = self.socket.recv(min(length - len(data), 1 << 18))
            assert piece, f"closed with {length - len(data)} bytes missing after {bytes(data[:64])!r}"
            data += piece
        return bytes(data)

    def read(self) -> Packet:
        header = self._exactly(4)
        return Packet(header[3], self._exactly(int.from_bytes(header[:3], "little")))

    def send(self, payload: bytes, sequence_id: int) -> None:
        self.socket.sendall(packet(payload, sequence_id))

    def read_error(self) -> Error:
        """The ERR packet that ends this connection: after it comes nothing but an orderly end."""
        error = Error.of(self.read().payload)
        assert self.rest() == b""
        return error

    def rest(self) -> bytes:
        """All bytes up to the end; a reset is an OSError."""
        data = bytearray()
        while piece := self.socket.recv(1 << 16):
            data += piece
        return bytes(data)

    def log_in(
        self,
        user: str,
        password: str,
        *,
        plugin: str | None = None,
        capabilities: int = USUAL,
        database: str | None = None,
        rest: bytes = b"",
    ) -> Packet:
        """A whole login that starts with `plugin` (default: the greeting's); returns the OK packet, raises Refusal."""
        self.send_login(user, password, plugin=plugin, capabilities=capabilities, database=database, rest=rest)
        return self.finish_login(password, 2)

    def send_login(
        self,
        user: str,
        password: str,
        *,
        plugin: str | None = None,
        capabilities: int = USUAL,
        database: str | None = None,
        rest: bytes = b"",
    ) -> None:
        """The login packet; where the plugin is not the greeting's its answer is empty."""
        plugin = plugin or self.greeting.plugin
        answer = scramble(password, plugin, self.greeting.nonce) if plugin == self.greeting.plugin else b""
        self.send(login_payload(user, answer, plugin, capabilities=capabilities, database=database, rest=rest), 1)

    def answer_switch(self, password: str) -> bytes:
        """Answers an AuthSwitchRequest, if the next packet is one; returns what came, without the nonce."""
        came = self.read()
        if came.payload[0] != AUTH_SWITCH:
            return came.bytes
        name, data = came.payload[1:].split(b"\0", 1)
        self.send(scramble(password, name.decode(), data[:20]), came.sequence_id + 1)
        return packet(came.payload[:-21], came.sequence_id)

    def finish_login(self, password: str, sequence_id: int) -> Packet:
        """From the server's first answer on."""
        answer = self.read()
        assert answer.sequence_id == sequence_id
        if answer.payload[0] == AUTH_SWITCH:
            name, data = answer.payload[1:].split(b"\0", 1)
            assert len(data) == 21
            self.send(scramble(password, name.decode(), data[:20]), sequence_id + 1)
            sequence_id += 2
            answer = self.read()
            assert answer.sequence_id == sequence_id
        if answer.payload == b"\x01\x03":
            answer = self.read()
            assert answer.sequence_id == sequence_id + 1
        if answer.payload[0] == ERR:
            assert self.rest() == b""
            raise Refusal(Error.of(answer.payload))
        assert answer.payload[0] == OK, answer.payload[:64]
        return answer

    def query(self, statement: str) -> list[tuple[str | None, ...]]:
        """The rows of one statement, as text; none for a statement without a result. Raises Refusal."""
        self.send(COM_QUERY + statement.encode(), 0)
        first = self.read()
        assert first.sequence_id == 1
        if first.payload[0] == ERR:
            raise Refusal(Error.of(first.payload))
        if first.payload[0] == OK:
            return []
        for _ in range(first.payload[0] + 1):  # column definitions and an EOF
            self.read()
        rows = []
        while (row := self.read().payload)[0] != 0xFE or len(row) > 8:
            rows.append(tuple(_texts(row)))
        return rows

    def ping(self) -> None:
        self.send(COM_PING, 0)
        assert self.read().payload[0] == OK


def _texts(row: bytes) -> Iterator[str | None]:
    while row:
        length = row[0]
        if length == 0xFB:
            yield None
            row = row[1:]
            continue
        assert length < 0xFB, "only for short values"
        yield row[1 : 1 + length].decode()
        row = row[1 + length :]


def refusal(port: int, user: str, password: str, *, plugin: str | None = None, database: str | None = None) -> Error:
    """The ERR packet of a login that must fail."""
    with RawClient(port) as client:
        try:
            client.log_in(user, password, plugin=plugin, database=database)
        except Refusal as refused:
            return refused.error
    raise AssertionError("the login was let in")
