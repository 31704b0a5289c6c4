"""The messages that open and end a session, in both directions; those about passwords are in `authentication`.

PostgreSQL manual: Message Flow (Start-up), Message Formats, Error and Notice Message Fields.
"""

from dataclasses import dataclass, field

from .constants import (
    MAJOR_VERSION,
    NEWEST_MINOR,
    PROTOCOL_OPTION_PREFIX,
    Kind,
    RequestCode,
    TransactionStatus,
)
from .errors import LocalProtocolError, MalformedMessage, UnsupportedFeature
from .fields import PayloadReader, int32, string

MAX_CANCEL_KEY_BYTES = 256
MIN_CANCEL_KEY_BYTES = 4
SQLSTATE_LENGTH = 5

_FALSE = frozenset((b"0", b"f", b"fa", b"fal", b"fals", b"false", b"n", b"no", b"of", b"off"))
"""What the server takes for a false boolean, in small letters."""


def framed(kind: int, payload: bytes) -> bytes:
    """`kind: Byte1 | length: Int32, with itself | payload`."""
    return bytes((kind,)) + int32(len(payload) + 4) + payload


def packet(payload: bytes) -> bytes:
    """A connection's first packet: `length: Int32, with itself | payload`."""
    return int32(len(payload) + 4) + payload


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """`80877103: Int32`; answered with one byte, S or N."""

    def encode(self) -> bytes:
        return packet(int32(RequestCode.SSL))


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """`80877104: Int32`; answered with one byte, G or N."""

    def encode(self) -> bytes:
        return packet(int32(RequestCode.GSSENC))


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """`80877102: Int32 | process id: Int32 | secret key`, 4 bytes with 3.0, up to 256 with 3.2. Never answered."""

    process_id: int
    secret_key: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "CancelRequest":
        reader = PayloadReader(payload, "CancelRequest")
        reader.int32("code")
        return cls(reader.int32("process_id"), _cancel_key(reader))

    def encode(self) -> bytes:
        return packet(int32(RequestCode.CANCEL) + int32(self.process_id) + self.secret_key)


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """`version: Int16 major, Int16 minor | name: String, value: String, … | NUL`."""

    minor: int
    parameters: dict[bytes, bytes] = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "StartupMessage":
        reader = PayloadReader(payload, "StartupMessage")
        version = reader.int32("version")
        if version >> 16 != MAJOR_VERSION:
            raise UnsupportedFeature(
                f"unsupported frontend protocol {version >> 16}.{version & 0xFFFF}: "
                f"server supports {MAJOR_VERSION}.0 to {MAJOR_VERSION}.{NEWEST_MINOR}"
            )
        parameters = {}
        while name := reader.string("parameter name"):
            parameters[name] = reader.string("parameter value")
        reader.end()
        return cls(version & 0xFFFF, parameters)

    def encode(self) -> bytes:
        pairs = b"".join(string(name) + string(value) for name, value in self.parameters.items())
        if b"" in self.parameters:
            raise LocalProtocolError("a parameter without a name")
        return packet(int32(MAJOR_VERSION << 16 | self.minor) + pairs + b"\0")

    @property
    def user(self) -> bytes:
        """Empty where the client named none."""
        return self.parameters.get(b"user", b"")

    @property
    def database(self) -> bytes:
        """The one of the user's name where the client named none."""
        return self.parameters.get(b"database", b"") or self.user

    @property
    def wants_replication(self) -> bool:
        """Whether it asks for a walsender: `replication` is `database` or anything that is not false.

        A value that the server would take for no boolean is for the server to refuse, so it counts as a wish.
        """
        value = self.parameters.get(b"replication", b"false").lower()
        return value not in _FALSE

    @property
    def protocol_options(self) -> tuple[bytes, ...]:
        """Names of the extensions of the protocol that it asks for; there are none here."""
        return tuple(name for name in self.parameters if name.startswith(PROTOCOL_OPTION_PREFIX))


FirstPacket = SSLRequest | GSSENCRequest | CancelRequest | StartupMessage


def decode_first_packet(payload: bytes) -> FirstPacket:
    """What a connection begins with, without its length word. Raises MalformedMessage, UnsupportedFeature."""
    code = PayloadReader(payload, "first packet").int32("code")
    if code == RequestCode.CANCEL:
        return CancelRequest.decode(payload)
    if code not in (RequestCode.SSL, RequestCode.GSSENC):
        return StartupMessage.decode(payload)
    request: FirstPacket = SSLRequest() if code == RequestCode.SSL else GSSENCRequest()
    if len(payload) != 4:
        raise MalformedMessage(f"{type(request).__name__}: {len(payload) - 4} bytes behind its end")
    return request


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """`v | newest version that the server speaks: Int32 | count: Int32 | name of an unknown option: String, …`."""

    minor: int
    unknown_options: tuple[bytes, ...]

    @classmethod
    def answer(cls, request: StartupMessage) -> "NegotiateProtocolVersion | None":
        """None where all that was asked for is granted. Once, before the authentication request."""
        options = request.protocol_options
        if request.minor in (0, NEWEST_MINOR) and not options:
            return None
        return cls(NEWEST_MINOR if request.minor >= NEWEST_MINOR else 0, options)

    @classmethod
    def decode(cls, payload: bytes) -> "NegotiateProtocolVersion":
        reader = PayloadReader(payload, "NegotiateProtocolVersion")
        minor, count = reader.int32("version") & 0xFFFF, reader.int32("count")
        if count > reader.left:
            raise MalformedMessage(f"NegotiateProtocolVersion.count: {count} names in {reader.left} bytes")
        options = tuple(reader.string("option") for _ in range(count))
        reader.end()
        return cls(minor, options)

    def encode(self) -> bytes:
        names = b"".join(map(string, self.unknown_options))
        version = int32(MAJOR_VERSION << 16 | self.minor)
        return framed(Kind.NEGOTIATE_PROTOCOL_VERSION, version + int32(len(self.unknown_options)) + names)


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    """`S | name: String | value: String`."""

    name: bytes
    value: bytes

    @classmethod
    def decode(cls, payload: bytes) -> "ParameterStatus":
        reader = PayloadReader(payload, "ParameterStatus")
        name, value = reader.string("name"), reader.string("value")
        reader.end()
        return cls(name, value)

    def encode(self) -> bytes:
        return framed(Kind.PARAMETER_STATUS, string(self.name) + string(self.value))


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """`K | process id: Int32 | secret key`, 4 bytes with protocol 3.0, up to 256 with 3.2."""

    process_id: int
    secret_key: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "BackendKeyData":
        reader = PayloadReader(payload, "BackendKeyData")
        return cls(reader.int32("process_id"), _cancel_key(reader))

    def encode(self) -> bytes:
        return framed(Kind.BACKEND_KEY_DATA, int32(self.process_id) + self.secret_key)


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """`Z | transaction status: Byte1`."""

    status: TransactionStatus

    @classmethod
    def decode(cls, payload: bytes) -> "ReadyForQuery":
        try:
            return cls(TransactionStatus(payload))
        except ValueError:
            raise MalformedMessage(f"ReadyForQuery.status: none of I, T, E in {len(payload)} bytes") from None

    def encode(self) -> bytes:
        return framed(Kind.READY_FOR_QUERY, self.status.value)


@dataclass(frozen=True, slots=True)
class Report:
    """The fields of an ErrorResponse or a NoticeResponse that are used here: `code: Byte1, value: String, … | NUL`.

    `severity` is never translated where the server is 9.6 or newer (field V). Unknown fields are left out.
    """

    severity: str
    sqlstate: str
    text: bytes
    detail: bytes = b""
    hint: bytes = b""

    @classmethod
    def decode(cls, payload: bytes, name: str) -> "Report":
        reader = PayloadReader(payload, name)
        fields: dict[bytes, bytes] = {}
        while (code := reader.byten(1, "field code")) != b"\0":
            fields[code] = reader.string("field")
        reader.end()
        sqlstate = fields.get(b"C", b"")
        if len(sqlstate) != SQLSTATE_LENGTH or not sqlstate.isalnum():
            raise MalformedMessage(f"{name}.sqlstate: not {SQLSTATE_LENGTH} letters and digits")
        severity = fields.get(b"V") or fields.get(b"S", b"")
        return cls(
            severity.decode("utf-8", "replace"),
            sqlstate.decode("ascii"),
            fields.get(b"M", b""),
            fields.get(b"D", b""),
            fields.get(b"H", b""),
        )

    def encode(self) -> bytes:
        severity = self.severity.encode()
        values = {b"S": severity, b"V": severity, b"C": self.sqlstate.encode("ascii"), b"M": self.text}
        values |= {code: value for code, value in ((b"D", self.detail), (b"H", self.hint)) if value}
        return b"".join(code + string(value) for code, value in values.items()) + b"\0"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """`E | fields`."""

    report: Report

    @classmethod
    def fatal(cls, sqlstate: str, text: bytes, *, detail: bytes = b"", hint: bytes = b"") -> "ErrorResponse":
        """One that ends the connection."""
        return cls(Report("FATAL", sqlstate, text, detail, hint))

    @classmethod
    def decode(cls, payload: bytes) -> "ErrorResponse":
        return cls(Report.decode(payload, "ErrorResponse"))

    def encode(self) -> bytes:
        return framed(Kind.ERROR_RESPONSE, self.report.encode())


@dataclass(frozen=True, slots=True)
class NoticeResponse:
    """`N | fields`."""

    report: Report

    @classmethod
    def decode(cls, payload: bytes) -> "NoticeResponse":
        return cls(Report.decode(payload, "NoticeResponse"))

    def encode(self) -> bytes:
        return framed(Kind.NOTICE_RESPONSE, self.report.encode())


TERMINATE = framed(Kind.TERMINATE, b"")
"""How a client says that it goes."""


def _cancel_key(reader: PayloadReader) -> bytes:
    if not MIN_CANCEL_KEY_BYTES <= reader.left <= MAX_CANCEL_KEY_BYTES:
        raise MalformedMessage(
            f"secret key of {reader.left} bytes, {MIN_CANCEL_KEY_BYTES} to {MAX_CANCEL_KEY_BYTES} are possible"
        )
    return reader.rest()
