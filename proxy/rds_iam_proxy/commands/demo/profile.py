"""Which server the embedded RDS plays: what its greeting says, for each generation that RDS and Aurora have.

Capabilities are a server's with TLS, composed as its `send_server_handshake_packet` does it: CLIENT_BASIC_FLAGS of
include/mysql_com.h, and what the build and the configuration add.
"""

from dataclasses import dataclass

from mysql_wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, Capability, MariaDBCapability
from mysql_wire.handshake import ServerIdentity

LATIN1_SWEDISH_CI = 8
UTF8MB4_0900_AI_CI = 255


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """What a server says of itself before anyone has logged in, and how it asks for a token."""

    identity: ServerIdentity
    auth_switch_data: bytes = b""
    """What follows the name in the AuthSwitchRequest: Aurora sends nothing (go-sql-driver/mysql #646, sqlx #2533)."""

    @property
    def version(self) -> str:
        """As VERSION() gives it: without the prefix that MariaDB 10 puts into its greeting only."""
        return self.identity.version.decode().removeprefix("5.5.5-")


def _mysql(version: str, capabilities: int, plugin: str, collation: int) -> ServerProfile:
    # MySQL leaves the bytes of MariaDB's extended capabilities 0.
    identity = ServerIdentity(version.encode(), Capability(capabilities), MariaDBCapability(0), collation, plugin)
    return ServerProfile(identity)


def _mariadb(version: str, capabilities: int, extended: int) -> ServerProfile:
    # sql_acl.cc writes `client_capabilities >> 32` behind 6 reserved bytes. latin1_swedish_ci is the default collation
    # up to 11.5 (MariaDB documentation: Character Set and Collation Overview).
    capabilities_ = MariaDBCapability(extended)
    identity = ServerIdentity(version.encode(), Capability(capabilities), capabilities_, LATIN1_SWEDISH_CI)
    return ServerProfile(identity)


# Bits 0 to 24, 30 and 31: 5.7's mysql_com.h ends with DEPRECATE_EOF (24). Default plugin and character set: MySQL 5.7
# Reference Manual, default_authentication_plugin and character_set_server.
MYSQL_5_7 = _mysql("5.7.44-log", 0xC1FFFFFF, NATIVE_PASSWORD, LATIN1_SWEDISH_CI)

# All bits but 29: OPTIONAL_RESULTSET_METADATA (25), ZSTD (26, since 8.0.18), QUERY_ATTRIBUTES (27, 8.0.23) and
# MULTI_FACTOR_AUTHENTICATION (28, 8.0.27) came with 8.0; MySQL 9.7 was measured to send the same.
MYSQL_8_0 = _mysql("8.0.43", 0xDFFFFFFF, CACHING_SHA2_PASSWORD, UTF8MB4_0900_AI_CI)

# Greets with caching_sha2_password whatever authentication_policy says (MySQL bug 118447).
MYSQL_8_4 = _mysql("8.4.7", 0xDFFFFFFF, CACHING_SHA2_PASSWORD, UTF8MB4_0900_AI_CI)

# "All Aurora MySQL 2 engine versions are wire-compatible with MySQL 5.7.12" (AWS Database Blog: Amazon Aurora MySQL 3
# with MySQL 8.0 compatibility is now generally available).
AURORA_MYSQL_2 = _mysql("5.7.12", 0xC1FFFFFF, NATIVE_PASSWORD, LATIN1_SWEDISH_CI)

# VERSION() of 3.05.2 is 8.0.32 (Aurora User Guide: Amazon Aurora versioning); its default plugin is still
# mysql_native_password (Aurora User Guide: Comparing Aurora MySQL version 3 and MySQL 8.0 Community Edition).
AURORA_MYSQL_3 = _mysql("8.0.32", 0xDFFFFFFF, NATIVE_PASSWORD, UTF8MB4_0900_AI_CI)

# Bit 0 clear: the extension bytes count. With TLS sql_acl.cc of 10.x adds SSL (11) and SSL_VERIFY_SERVER_CERT (30).
# Extended: PROGRESS, STMT_BULK_OPERATIONS, EXTENDED_METADATA, CACHE_METADATA ("since 10.6", mysql_com.h); 10.11 was
# measured to send the same.
MARIADB_10_6 = _mariadb("5.5.5-10.6.23-MariaDB-log", 0xC1FFFFFE, 0x1D)

# No 5.5.5- since 11.0 (MDEV-28910). Bit 30 is now SSL_VERIFY_SERVER_CERT_OBSOLETE and sent no more (mysql_com.h; 11.8
# was measured so). BULK_UNIT_RESULTS came with 11.5.1 only.
MARIADB_11_4 = _mariadb("11.4.8-MariaDB-log", 0x81FFFFFE, 0x1D)

GENERATIONS = {
    "MySQL 5.7": MYSQL_5_7,
    "MySQL 8.0": MYSQL_8_0,
    "MySQL 8.4": MYSQL_8_4,
    "Aurora MySQL 2": AURORA_MYSQL_2,
    "Aurora MySQL 3": AURORA_MYSQL_3,
    "MariaDB 10.6": MARIADB_10_6,
    "MariaDB 11.4": MARIADB_11_4,
}
