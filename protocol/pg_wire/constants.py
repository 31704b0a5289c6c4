"""The protocol's numbers and letters, under the names that PostgreSQL's manual gives them (Message Formats)."""

from enum import Enum, IntEnum

MAJOR_VERSION = 3
NEWEST_MINOR = 2
"""3.0 and 3.2 differ in the length of the cancel key only. There is no 3.1."""

ALPN_PROTOCOL = "postgresql"
"""What both sides must name where TLS begins without an SSLRequest."""

TLS_HANDSHAKE_BYTE = 0x16
"""First byte of a connection that begins with TLS itself, without an SSLRequest."""

PROTOCOL_OPTION_PREFIX = b"_pq_."

SCRAM_SHA_256 = b"SCRAM-SHA-256"
SCRAM_SHA_256_PLUS = b"SCRAM-SHA-256-PLUS"


class RequestCode(IntEnum):
    """The second word of a first packet that is no StartupMessage."""

    CANCEL = 80877102
    SSL = 80877103
    GSSENC = 80877104


class Kind:
    """The type byte of a message, as a number. Letters mean other things in the other direction."""

    # from the server
    AUTHENTICATION = ord("R")
    BACKEND_KEY_DATA = ord("K")
    DATA_ROW = ord("D")
    ERROR_RESPONSE = ord("E")
    NEGOTIATE_PROTOCOL_VERSION = ord("v")
    NOTICE_RESPONSE = ord("N")
    NOTIFICATION_RESPONSE = ord("A")
    PARAMETER_STATUS = ord("S")
    READY_FOR_QUERY = ord("Z")

    # from the client
    BIND = ord("B")
    CLOSE = ord("C")
    DESCRIBE = ord("D")
    EXECUTE = ord("E")
    FLUSH = ord("H")
    FUNCTION_CALL = ord("F")
    PARSE = ord("P")
    PASSWORD = ord("p")
    QUERY = ord("Q")
    SYNC = ord("S")
    TERMINATE = ord("X")

    # from either
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_FAIL = ord("f")


class AuthenticationCode(IntEnum):
    """The first word of an authentication request: those that a login here sends or takes."""

    OK = 0
    CLEARTEXT_PASSWORD = 3
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


class TransactionStatus(Enum):
    """What ReadyForQuery says about the session."""

    IDLE = b"I"
    IN_TRANSACTION = b"T"
    FAILED_TRANSACTION = b"E"
