"""The messages that open a connection: greeting, TLS request, the client's login, and COM_CHANGE_USER.

MySQL manual: Protocol::HandshakeV10, Protocol::SSLRequest, Protocol::HandshakeResponse41, COM_CHANGE_USER.
MariaDB manual: Connecting (the four bytes of extended capabilities).
"""

from dataclasses import dataclass, field, replace

from .constants import NATIVE_PASSWORD, NONCE_LENGTH, Capability, Command, MariaDBCapability, Status
from .errors import LocalProtocolError, MalformedPacket
from .fields import PayloadReader, PayloadWriter

PROTOCOL_VERSION = 10
SSL_REQUEST_LENGTH = 32
MAX_USER_LENGTH = 128
MAX_DATABASE_LENGTH = 256
MAX_ATTRIBUTES_LENGTH = 65_535
MAX_PLUGIN_LENGTH = 64
UTF8MB4_GENERAL_CI, UTF8MB4_0900_AI_CI = 45, 255

_PROTOCOL_41 = int(Capability.PROTOCOL_41)


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What a greeting says about the server itself, the same for every connection."""

    version: bytes
    capabilities: Capability
    mariadb_capabilities: MariaDBCapability
    collation: int
    auth_plugin_name: str = NATIVE_PASSWORD
    """The plugin that it greets with. Where that is not known: the one that every client can answer or switch from."""

    @property
    def is_mariadb(self) -> bool:
        """Bit 0 clear: the server speaks MariaDB's variant of the protocol."""
        return Capability.LONG_PASSWORD not in self.capabilities

    def for_old_clients(self) -> "ServerIdentity":
        """The same server with nothing in its greeting that clients of the time before MySQL 8.0 end at.

        PyMySQL 0.7 and Connector/J 5.1 look its collation up in a table that ends at 250.
        """
        collation = UTF8MB4_GENERAL_CI if self.collation == UTF8MB4_0900_AI_CI else self.collation
        return replace(self, auth_plugin_name=NATIVE_PASSWORD, collation=collation)


@dataclass(frozen=True, slots=True)
class HandshakeV10:
    """The server's greeting."""

    identity: ServerIdentity
    connection_id: int
    nonce: bytes = field(repr=False)
    status: Status = Status.AUTOCOMMIT

    @property
    def auth_plugin_name(self) -> str:
        """The plugin that the nonce is for."""
        return self.identity.auth_plugin_name

    @classmethod
    def decode(cls, payload: bytes) -> "HandshakeV10":
        reader = PayloadReader(payload, "HandshakeV10")
        version = reader.int_fixed(1, "protocol_version")
        if version != PROTOCOL_VERSION:
            raise MalformedPacket(f"HandshakeV10.protocol_version: {version} instead of {PROTOCOL_VERSION}")
        server_version = reader.string_nul("server_version")
        connection_id = reader.int_fixed(4, "thread_id")
        nonce = reader.string_fixed(8, "auth_plugin_data_part_1")
        reader.string_fixed(1, "filler")
        flags = reader.int_fixed(2, "capability_flags_1")
        collation = reader.int_fixed(1, "character_set")
        status = Status(reader.int_fixed(2, "status_flags"))
        capabilities = Capability(flags | reader.int_fixed(2, "capability_flags_2") << 16)
        data_length = reader.int_fixed(1, "auth_plugin_data_len")
        reader.string_fixed(6, "reserved")
        extended = reader.int_fixed(4, "mariadb_capabilities")
        if Capability.LONG_PASSWORD in capabilities:
            extended = 0  # MySQL's reserved bytes
        nonce += reader.string_fixed(max(13, data_length - 8), "auth_plugin_data_part_2")[: NONCE_LENGTH - 8]
        plugin = b""
        if Capability.PLUGIN_AUTH in capabilities:
            plugin = reader.string_eof().split(b"\0", 1)[0]  # some servers leave the NUL out
        plugin_name = _limited(plugin, MAX_PLUGIN_LENGTH, "auth_plugin_name").decode("utf-8", "replace")
        extended_flags = MariaDBCapability(extended)
        return cls(
            identity=ServerIdentity(server_version, capabilities, extended_flags, collation, plugin_name),
            connection_id=connection_id,
            nonce=nonce,
            status=status,
        )

    def encode(self) -> bytes:
        if len(self.nonce) != NONCE_LENGTH or b"\0" in self.nonce:
            raise LocalProtocolError(f"HandshakeV10.nonce: {NONCE_LENGTH} bytes without NUL wanted")
        identity, flags = self.identity, int(self.identity.capabilities)  # operations on flags are slow
        writer = PayloadWriter().int_fixed(PROTOCOL_VERSION, 1).string_nul(identity.version)
        writer.int_fixed(self.connection_id, 4).string_nul(self.nonce[:8])
        writer.int_fixed(flags & 0xFFFF, 2).int_fixed(identity.collation, 1).int_fixed(self.status, 2)
        writer.int_fixed(flags >> 16, 2).int_fixed(NONCE_LENGTH + 1, 1).string_fixed(bytes(6))
        writer.int_fixed(identity.mariadb_capabilities, 4).string_nul(self.nonce[8:])
        return writer.string_nul(self.auth_plugin_name.encode()).payload()


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """The first 32 bytes of a HandshakeResponse41, sent alone: TLS begins with the next byte."""

    capabilities: Capability
    max_packet_size: int
    collation: int
    mariadb_capabilities: MariaDBCapability

    @classmethod
    def matches(cls, payload: bytes) -> bool:
        return len(payload) == SSL_REQUEST_LENGTH and Capability.SSL in peek_capabilities(payload)

    def encode(self) -> bytes:
        writer = PayloadWriter().int_fixed(self.capabilities, 4).int_fixed(self.max_packet_size, 4)
        return (
            writer.int_fixed(self.collation, 1)
            .string_fixed(bytes(19))
            .int_fixed(self.mariadb_capabilities, 4)
            .payload()
        )


def peek_capabilities(payload: bytes) -> Capability:
    """The flags that a login packet begins with: 2 bytes before MySQL 4.1, else 4. Raises MalformedPacket."""
    if len(payload) < 2:
        raise MalformedPacket(f"HandshakeResponse.client_flag: 2 bytes wanted, {len(payload)} left")
    flags = int.from_bytes(payload[:4], "little")
    return Capability(flags if flags & _PROTOCOL_41 else flags & 0xFFFF)


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What a client wants of its session. Bytes stay as they came: they are passed on, not understood.

    `capabilities` are those that both the client and our greeting named.
    """

    user: bytes
    database: bytes | None
    collation: int
    max_packet_size: int
    capabilities: Capability
    mariadb_capabilities: MariaDBCapability
    attributes: bytes | None = None  # the raw block of connection attributes, without its length


@dataclass(frozen=True, slots=True)
class HandshakeResponse41:
    """The client's login. `auth_plugin_name` is None where the client named none."""

    request: LoginRequest
    auth_response: bytes = field(repr=False)
    auth_plugin_name: str | None

    @classmethod
    def decode(cls, payload: bytes, advertised: ServerIdentity) -> "HandshakeResponse41":
        """Fields are laid out by the flags that both sides named: `advertised` is our greeting's identity."""
        reader = PayloadReader(payload, "HandshakeResponse41")
        client_flags = Capability(reader.int_fixed(4, "client_flag"))
        flags = client_flags & advertised.capabilities
        max_packet_size = reader.int_fixed(4, "max_packet_size")
        collation = reader.int_fixed(1, "character_set")
        reader.string_fixed(19, "filler")
        extended = MariaDBCapability(reader.int_fixed(4, "mariadb_capabilities"))
        if Capability.LONG_PASSWORD in client_flags or not advertised.is_mariadb:
            extended = MariaDBCapability(0)
        user = _limited(reader.string_nul("username"), MAX_USER_LENGTH, "username")
        auth_response = _auth_response(reader, flags)
        database = None
        if Capability.CONNECT_WITH_DB in flags:
            database = _limited(reader.string_nul("database"), MAX_DATABASE_LENGTH, "database")
        plugin, attributes = _plugin_and_attributes(reader, flags)
        request = LoginRequest(
            user=user,
            database=database,
            collation=collation,
            max_packet_size=max_packet_size,
            capabilities=flags,
            mariadb_capabilities=extended & advertised.mariadb_capabilities,
            attributes=attributes,
        )
        return cls(request, auth_response, plugin)

    def encode(self) -> bytes:
        """Always with PLUGIN_AUTH_LENENC_CLIENT_DATA and PLUGIN_AUTH, as towards RDS."""
        request = self.request
        writer = PayloadWriter().string_fixed(ssl_request(request).encode())
        writer.string_nul(request.user).string_lenenc(self.auth_response)
        if Capability.CONNECT_WITH_DB in request.capabilities:
            writer.string_nul(request.database or b"")
        writer.string_nul((self.auth_plugin_name or "").encode())
        if Capability.CONNECT_ATTRS in request.capabilities:
            writer.string_lenenc(request.attributes or b"")
        return writer.payload()


def ssl_request(request: LoginRequest) -> SSLRequest:
    """The SSLRequest that precedes a login: servers keep its flags, so they must be the login's."""
    return SSLRequest(request.capabilities, request.max_packet_size, request.collation, request.mariadb_capabilities)


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """COM_CHANGE_USER: log in anew on an open connection. Its scramble is of no use: a new nonce follows."""

    request: LoginRequest
    auth_plugin_name: str | None

    @classmethod
    def decode(cls, payload: bytes, before: LoginRequest) -> "ChangeUser":
        """`before` is the login that the connection was opened with: flags stay as agreed there."""
        reader = PayloadReader(payload, "COM_CHANGE_USER")
        if reader.int_fixed(1, "command") != Command.COM_CHANGE_USER:
            raise MalformedPacket("COM_CHANGE_USER.command: not 0x11")
        user = _limited(reader.string_nul("user"), MAX_USER_LENGTH, "user")
        reader.string_fixed(reader.int_fixed(1, "auth_plugin_data_len"), "auth_plugin_data")
        database = _limited(reader.string_nul("database"), MAX_DATABASE_LENGTH, "database")
        collation = before.collation
        if reader.left >= 2:
            collation = reader.int_fixed(2, "character_set") & 0xFF  # a login towards RDS has one byte for it
        plugin, attributes = _plugin_and_attributes(reader, before.capabilities)
        flags = before.capabilities
        flags = flags | Capability.CONNECT_WITH_DB if database else flags & ~Capability.CONNECT_WITH_DB
        request = replace(
            before,
            user=user,
            database=database or None,
            collation=collation,
            capabilities=flags,
            attributes=attributes,
        )
        return cls(request, plugin)


def _limited(value: bytes, limit: int, field_name: str) -> bytes:
    if len(value) > limit:
        raise MalformedPacket(f"{field_name}: {len(value)} bytes, limit {limit}")
    return value


def _auth_response(reader: PayloadReader, flags: Capability) -> bytes:
    if Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA in flags:
        return reader.string_lenenc("auth_response")
    if Capability.SECURE_CONNECTION in flags:
        return reader.string_fixed(reader.int_fixed(1, "auth_response_length"), "auth_response")
    return reader.string_nul("auth_response")


def _plugin_and_attributes(reader: PayloadReader, flags: Capability) -> tuple[str | None, bytes | None]:
    plugin = attributes = None
    if Capability.PLUGIN_AUTH in flags and reader.left:
        plugin = reader.string_nul("client_plugin_name").decode("utf-8", "replace") or None
    if Capability.CONNECT_ATTRS in flags:
        attributes = _limited(reader.string_lenenc("connect_attrs"), MAX_ATTRIBUTES_LENGTH, "connect_attrs")
    return plugin, attributes
