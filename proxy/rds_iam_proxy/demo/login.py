"""The login packets as RDS writes and reads them: greeting, HandshakeResponse41. Bytes in, values out.

Strict where mysql-mimic is not: its parser loops for ever on a name without a NUL.
"""

from dataclasses import dataclass, field

from .profile import ServerProfile
from .reader import Malformed, Reader

MAX_LOGIN_PAYLOAD = 128 * 1024
MAX_ATTRIBUTES = 65_535
MAX_USER = 128  # bytes
MAX_DATABASE = 256  # bytes
CLEAR_PASSWORD = b"mysql_clear_password"

CONNECT_WITH_DB = 1 << 3
COMPRESS = 1 << 5
PROTOCOL_41 = 1 << 9
SSL = 1 << 11
SECURE_CONNECTION = 1 << 15
PLUGIN_AUTH = 1 << 19
CONNECT_ATTRS = 1 << 20
LENENC_CLIENT_DATA = 1 << 21
MULTI_STATEMENTS = 1 << 16
ZSTD_COMPRESSION = 1 << 26
QUERY_ATTRIBUTES = 1 << 27

_FIXED = 32  # bytes before the user name; a packet of just these is an SSLRequest


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """What a client says when it logs in (MySQL manual: Protocol::HandshakeResponse41)."""

    capabilities: int  # those that both sides have
    collation: int
    mariadb_capabilities: int
    user: bytes
    auth_response: bytes = field(repr=False)
    database: bytes | None
    plugin: bytes | None
    attributes: dict[bytes, bytes]


def greeting(profile: ServerProfile, connection_id: int, nonce: bytes) -> bytes:
    """Protocol::HandshakeV10."""
    return b"".join(
        (
            b"\x0a" + profile.version.encode() + b"\x00",
            connection_id.to_bytes(4, "little"),
            nonce[:8] + b"\x00",
            (profile.capabilities & 0xFFFF).to_bytes(2, "little"),
            bytes([profile.collation]),
            b"\x02\x00",  # SERVER_STATUS_AUTOCOMMIT
            (profile.capabilities >> 16).to_bytes(2, "little"),
            bytes([len(nonce) + 1 if profile.capabilities & PLUGIN_AUTH else 0]),
            bytes(6) + profile.mariadb_capabilities.to_bytes(4, "little"),
            nonce[8:] + b"\x00",
            profile.default_plugin.encode() + b"\x00" if profile.capabilities & PLUGIN_AUTH else b"",
        )
    )


def auth_switch(data: bytes) -> bytes:
    """AuthSwitchRequest to mysql_clear_password."""
    return b"\xfe" + CLEAR_PASSWORD + b"\x00" + data


def capabilities_of(payload: bytes) -> int:
    """The flags of an SSLRequest or HandshakeResponse41."""
    if len(payload) < _FIXED:
        raise Malformed(f"login: {len(payload)} bytes, {_FIXED} are the least")
    return int.from_bytes(payload[:4], "little")


def is_ssl_request(payload: bytes) -> bool:
    return len(payload) == _FIXED and bool(capabilities_of(payload) & SSL)


def parse_login(payload: bytes, offered: int) -> ClientLogin:
    """Read a HandshakeResponse41; flags that were not `offered` don't count. Raises Malformed."""
    capabilities = capabilities_of(payload) & offered
    if not capabilities & PROTOCOL_41:
        raise Malformed("capabilities: no PROTOCOL_41")
    reader = Reader(payload, _FIXED)
    user = reader.until_nul("username", MAX_USER)
    if capabilities & LENENC_CLIENT_DATA:
        auth_response = reader.lenenc_string("auth_response")
    elif capabilities & SECURE_CONNECTION:
        auth_response = reader.take(reader.take(1, "auth_response length")[0], "auth_response")
    else:
        auth_response = reader.until_nul("auth_response", MAX_LOGIN_PAYLOAD)
    database = reader.until_nul("database", MAX_DATABASE) if capabilities & CONNECT_WITH_DB else None
    plugin = None
    if capabilities & PLUGIN_AUTH and not reader.at_end:
        plugin = reader.until_nul("client_plugin_name", 256)
    attributes = _attributes(reader) if capabilities & CONNECT_ATTRS else {}
    # Some clients leave zstd's level or padding behind: what is left is not looked at, as in the servers.
    return ClientLogin(
        capabilities,
        payload[8],
        int.from_bytes(payload[28:32], "little"),
        user,
        auth_response,
        database or None,
        plugin,
        attributes,
    )


def _attributes(reader: Reader) -> dict[bytes, bytes]:
    block = reader.lenenc_string("attributes")
    if len(block) > MAX_ATTRIBUTES:
        raise Malformed(f"attributes: {len(block)} bytes, {MAX_ATTRIBUTES} are allowed")
    inner = Reader(block, 0)
    attributes = {}
    while not inner.at_end:
        key = inner.lenenc_string("attribute name")
        attributes[key] = inner.lenenc_string("attribute value")
    return attributes
