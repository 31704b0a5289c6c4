"""The protocol's numbers, under the names that the MySQL and MariaDB manuals give them."""

from enum import IntEnum, IntFlag

MAX_PACKET_PAYLOAD = 0xFFFFFF
"""A payload of exactly this many bytes (16 MiB - 1) is continued in the next packet."""

NONCE_LENGTH = 20

NATIVE_PASSWORD = "mysql_native_password"  # noqa: S105 - a plugin's name
CACHING_SHA2_PASSWORD = "caching_sha2_password"  # noqa: S105 - a plugin's name
CLEAR_PASSWORD = "mysql_clear_password"  # noqa: S105 - a plugin's name


class Capability(IntFlag):
    """Capability flags of the connection phase (MySQL manual: group__group__cs__capabilities__flags)."""

    LONG_PASSWORD = 1 << 0  # MariaDB calls it CLIENT_MYSQL: clear means "I speak MariaDB's extensions"
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    NO_SCHEMA = 1 << 4
    COMPRESS = 1 << 5
    ODBC = 1 << 6
    LOCAL_FILES = 1 << 7
    IGNORE_SPACE = 1 << 8
    PROTOCOL_41 = 1 << 9
    INTERACTIVE = 1 << 10
    SSL = 1 << 11
    IGNORE_SIGPIPE = 1 << 12
    TRANSACTIONS = 1 << 13
    RESERVED = 1 << 14
    SECURE_CONNECTION = 1 << 15
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PS_MULTI_RESULTS = 1 << 18
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC_CLIENT_DATA = 1 << 21
    CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22
    SESSION_TRACK = 1 << 23
    DEPRECATE_EOF = 1 << 24
    OPTIONAL_RESULTSET_METADATA = 1 << 25
    ZSTD_COMPRESSION_ALGORITHM = 1 << 26
    QUERY_ATTRIBUTES = 1 << 27
    MULTI_FACTOR_AUTHENTICATION = 1 << 28
    CAPABILITY_EXTENSION = 1 << 29
    SSL_VERIFY_SERVER_CERT = 1 << 30
    REMEMBER_OPTIONS = 1 << 31


class MariaDBCapability(IntFlag):
    """MariaDB's extended capability flags (MariaDB manual: Connecting; bits 32 and up there, shifted down)."""

    PROGRESS = 1 << 0
    COM_MULTI = 1 << 1
    STMT_BULK_OPERATIONS = 1 << 2
    EXTENDED_METADATA = 1 << 3
    CACHE_METADATA = 1 << 4
    BULK_UNIT_RESULTS = 1 << 5


class Status(IntFlag):
    """Server status flags (MySQL manual: SERVER_STATUS_flags_enum)."""

    IN_TRANS = 0x0001
    AUTOCOMMIT = 0x0002
    NO_BACKSLASH_ESCAPES = 0x0200
    SESSION_STATE_CHANGED = 0x4000
    ANSI_QUOTES = 0x8000  # MariaDB


class Command(IntEnum):
    """First payload byte of a command packet (MySQL manual: Command Phase)."""

    COM_QUIT = 0x01
    COM_INIT_DB = 0x02
    COM_QUERY = 0x03
    COM_PROCESS_KILL = 0x0C
    COM_PING = 0x0E
    COM_CHANGE_USER = 0x11
    COM_BINLOG_DUMP = 0x12
    COM_REGISTER_SLAVE = 0x15
    COM_STMT_PREPARE = 0x16
    COM_STMT_EXECUTE = 0x17
    COM_STMT_SEND_LONG_DATA = 0x18
    COM_STMT_CLOSE = 0x19
    COM_SET_OPTION = 0x1B
    COM_BINLOG_DUMP_GTID = 0x1E
    COM_RESET_CONNECTION = 0x1F


class ErrorCode(IntEnum):
    """Error numbers that the proxy itself sends, or looks at (MySQL Error Reference)."""

    ER_CON_COUNT_ERROR = 1040
    ER_HANDSHAKE_ERROR = 1043
    ER_ACCESS_DENIED_ERROR = 1045
    ER_UNKNOWN_COM_ERROR = 1047
    ER_SERVER_SHUTDOWN = 1053
    ER_UNKNOWN_ERROR = 1105
    ER_NET_PACKETS_OUT_OF_ORDER = 1156
    ER_NET_READ_INTERRUPTED = 1159
    ER_NOT_SUPPORTED_AUTH_MODE = 1251
    ER_CONNECT_TO_FOREIGN_DATA_SOURCE = 1429
    ER_PLUGIN_IS_NOT_LOADED = 1524
    ER_SECURE_TRANSPORT_REQUIRED = 3159
    ER_CLIENT_INTERACTION_TIMEOUT = 4031
    CR_CONN_HOST_ERROR = 2003
    CR_SSL_CONNECTION_ERROR = 2026

    @property
    def sqlstate(self) -> str:
        """Five characters, as the Error Reference gives them; HY000 where it names none."""
        return _SQLSTATE.get(self, "HY000")


_SQLSTATE = {
    ErrorCode.ER_CON_COUNT_ERROR: "08004",
    ErrorCode.ER_HANDSHAKE_ERROR: "08S01",
    ErrorCode.ER_ACCESS_DENIED_ERROR: "28000",
    ErrorCode.ER_UNKNOWN_COM_ERROR: "08S01",
    ErrorCode.ER_SERVER_SHUTDOWN: "08S01",
    ErrorCode.ER_NET_PACKETS_OUT_OF_ORDER: "08S01",
    ErrorCode.ER_NET_READ_INTERRUPTED: "08S01",
    ErrorCode.ER_NOT_SUPPORTED_AUTH_MODE: "08004",
}
