"""The messages by which a client proves who it is, in both directions.

PostgreSQL manual: Message Flow (Start-up), Message Formats (AuthenticationOk and on), SASL Authentication.
"""

from dataclasses import dataclass, field

from .constants import AuthenticationCode, Kind
from .fields import PayloadReader, int32, string
from .messages import framed

NO_DATA = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    """`R | 0: Int32`."""

    def encode(self) -> bytes:
        return framed(Kind.AUTHENTICATION, int32(AuthenticationCode.OK))


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword:
    """`R | 3: Int32`."""

    def encode(self) -> bytes:
        return framed(Kind.AUTHENTICATION, int32(AuthenticationCode.CLEARTEXT_PASSWORD))


@dataclass(frozen=True, slots=True)
class AuthenticationSASL:
    """`R | 10: Int32 | mechanism: String, … | NUL`."""

    mechanisms: tuple[bytes, ...]

    def encode(self) -> bytes:
        names = b"".join(map(string, self.mechanisms))
        return framed(Kind.AUTHENTICATION, int32(AuthenticationCode.SASL) + names + b"\0")


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue:
    """`R | 11: Int32 | data`."""

    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        return framed(Kind.AUTHENTICATION, int32(AuthenticationCode.SASL_CONTINUE) + self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal:
    """`R | 12: Int32 | data`."""

    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        return framed(Kind.AUTHENTICATION, int32(AuthenticationCode.SASL_FINAL) + self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationOther:
    """`R | code: Int32 | …`: MD5, GSSAPI and others, of which nothing more is read."""

    code: int


AuthenticationRequest = (
    AuthenticationOk
    | AuthenticationCleartextPassword
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
    | AuthenticationOther
)


def decode_authentication(payload: bytes) -> AuthenticationRequest:
    """The payload of an `R` message. Raises MalformedMessage."""
    reader = PayloadReader(payload, "AuthenticationRequest")
    code = reader.int32("code")
    match code:
        case AuthenticationCode.OK:
            reader.end()
            return AuthenticationOk()
        case AuthenticationCode.CLEARTEXT_PASSWORD:
            reader.end()
            return AuthenticationCleartextPassword()
        case AuthenticationCode.SASL:
            return AuthenticationSASL(_mechanisms(reader))
        case AuthenticationCode.SASL_CONTINUE:
            return AuthenticationSASLContinue(reader.rest())
        case AuthenticationCode.SASL_FINAL:
            return AuthenticationSASLFinal(reader.rest())
    return AuthenticationOther(code)


def _mechanisms(reader: PayloadReader) -> tuple[bytes, ...]:
    names = []
    while name := reader.string("mechanism"):
        names.append(name)
    reader.end()
    return tuple(names)


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    """`p | password: String`."""

    password: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "PasswordMessage":
        reader = PayloadReader(payload, "PasswordMessage")
        password = reader.string("password")
        reader.end()
        return cls(password)

    def encode(self) -> bytes:
        return framed(Kind.PASSWORD, string(self.password))


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    """`p | mechanism: String | length: Int32, -1 for none | initial response`."""

    mechanism: bytes
    data: bytes | None = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "SASLInitialResponse":
        reader = PayloadReader(payload, "SASLInitialResponse")
        mechanism, length = reader.string("mechanism"), reader.int32("length")
        data = None if length == NO_DATA else reader.byten(length, "data")
        reader.end()
        return cls(mechanism, data)

    def encode(self) -> bytes:
        data = int32(NO_DATA) if self.data is None else int32(len(self.data)) + self.data
        return framed(Kind.PASSWORD, string(self.mechanism) + data)


@dataclass(frozen=True, slots=True)
class SASLResponse:
    """`p | data`."""

    data: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "SASLResponse":
        return cls(payload)

    def encode(self) -> bytes:
        return framed(Kind.PASSWORD, self.data)
