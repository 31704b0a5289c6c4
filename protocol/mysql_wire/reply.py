"""What a server answers during a login: OK, ERR, AuthSwitchRequest, AuthMoreData.

MySQL manual: OK_Packet, ERR_Packet, Protocol::AuthSwitchRequest, Protocol::AuthMoreData.
"""

from dataclasses import dataclass, field

from .constants import Capability, Status
from .errors import MalformedPacket
from .fields import PayloadReader, PayloadWriter

OK_HEADER = 0x00
ERR_HEADER = 0xFF
AUTH_SWITCH_HEADER = 0xFE
AUTH_MORE_DATA_HEADER = 0x01

FAST_AUTH_SUCCESS = b"\x01\x03"
"""AuthMoreData of caching_sha2_password: the answer was right, OK follows."""

SESSION_TRACK_SYSTEM_VARIABLES = 0


@dataclass(frozen=True, slots=True)
class OKPacket:
    """`00 | lenenc affected rows | lenenc last insert id | status | warnings | [info] [session state]`."""

    status: Status
    info: bytes = field(default=b"", repr=False)  # MariaDB 11.8 puts a value derived from the password here
    session_state: bytes = b""
    affected_rows: int = 0
    last_insert_id: int = 0
    warnings: int = 0

    @classmethod
    def decode(cls, payload: bytes, capabilities: Capability) -> "OKPacket":
        reader = PayloadReader(payload, "OKPacket")
        if reader.int_fixed(1, "header") != OK_HEADER:
            raise MalformedPacket("OKPacket.header: not 0x00")
        affected_rows = reader.int_lenenc("affected_rows")
        last_insert_id = reader.int_lenenc("last_insert_id")
        status = Status(reader.int_fixed(2, "status_flags"))
        warnings = reader.int_fixed(2, "warnings")
        info = session_state = b""
        if Capability.SESSION_TRACK in capabilities:
            if reader.left:
                info = reader.string_lenenc("info")
            if Status.SESSION_STATE_CHANGED in status:
                session_state = reader.string_lenenc("session_state_info")
        else:
            info = reader.string_eof()
        return cls(status, info, session_state, affected_rows, last_insert_id, warnings)

    def encode(self, capabilities: Capability) -> bytes:
        writer = PayloadWriter().int_fixed(OK_HEADER, 1)
        writer.int_lenenc(self.affected_rows).int_lenenc(self.last_insert_id)
        track = Capability.SESSION_TRACK in capabilities
        status = self.status & ~Status.SESSION_STATE_CHANGED
        if track and self.session_state:
            status |= Status.SESSION_STATE_CHANGED
        writer.int_fixed(status, 2).int_fixed(self.warnings, 2)
        if not track:
            return writer.string_fixed(self.info).payload()
        if self.info or self.session_state:
            writer.string_lenenc(self.info)
        if self.session_state:
            writer.string_lenenc(self.session_state)
        return writer.payload()


def without_redirect_url(session_state: bytes) -> bytes:
    """The session state block of a login's OK without MariaDB's `redirect_url`.

    A client that followed it would leave the proxy and knock on RDS without a token.
    """
    kept = PayloadWriter()
    reader = PayloadReader(session_state, "SessionState")
    while reader.left:
        kind = reader.int_fixed(1, "type")
        data = reader.string_lenenc("data")
        if kind == SESSION_TRACK_SYSTEM_VARIABLES:
            data = _without_variable(data, b"redirect_url")
            if not data:
                continue
        kept.int_fixed(kind, 1).string_lenenc(data)
    return kept.payload()


def _without_variable(data: bytes, unwanted: bytes) -> bytes:
    kept = PayloadWriter()
    reader = PayloadReader(data, "SessionState.system_variables")
    while reader.left:
        name, value = reader.string_lenenc("name"), reader.string_lenenc("value")
        if name != unwanted or not value:
            kept.string_lenenc(name).string_lenenc(value)
    return kept.payload()


@dataclass(frozen=True, slots=True)
class ERRPacket:
    """`ff | code: int<2> | ['#' sqlstate: 5 bytes] | message: string<EOF>`.

    Before the capabilities are known (instead of a greeting) there is no sqlstate.
    """

    code: int
    sqlstate: str
    message: bytes

    @classmethod
    def decode(cls, payload: bytes) -> "ERRPacket":
        reader = PayloadReader(payload, "ERRPacket")
        if reader.int_fixed(1, "header") != ERR_HEADER:
            raise MalformedPacket("ERRPacket.header: not 0xff")
        code = reader.int_fixed(2, "error_code")
        rest = reader.string_eof()
        if rest[:1] != b"#":
            return cls(code, "HY000", rest)
        sqlstate = rest[1:6]
        if len(sqlstate) != 5 or not sqlstate.isalnum():
            raise MalformedPacket("ERRPacket.sql_state: not 5 letters and digits")
        return cls(code, sqlstate.decode("ascii"), rest[6:])

    def encode(self, *, with_sqlstate: bool = True) -> bytes:
        writer = PayloadWriter().int_fixed(ERR_HEADER, 1).int_fixed(self.code, 2)
        if with_sqlstate:
            writer.string_fixed(b"#").string_fixed(self.sqlstate.encode("ascii"))
        return writer.string_fixed(self.message).payload()


@dataclass(frozen=True, slots=True)
class AuthSwitchRequest:
    """`fe | plugin name NUL | plugin data: string<EOF>`; the data of our own plugins is `nonce[20] 00`."""

    plugin_name: str
    plugin_data: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "AuthSwitchRequest":
        reader = PayloadReader(payload, "AuthSwitchRequest")
        if reader.int_fixed(1, "header") != AUTH_SWITCH_HEADER:
            raise MalformedPacket("AuthSwitchRequest.header: not 0xfe")
        name = reader.string_nul("plugin_name")
        return cls(name.decode("utf-8", "replace"), reader.string_eof())

    def encode(self) -> bytes:
        writer = PayloadWriter().int_fixed(AUTH_SWITCH_HEADER, 1)
        return writer.string_nul(self.plugin_name.encode()).string_fixed(self.plugin_data).payload()


@dataclass(frozen=True, slots=True)
class AuthMoreData:
    """`01 | data: string<EOF>`."""

    data: bytes = field(repr=False)

    @classmethod
    def decode(cls, payload: bytes) -> "AuthMoreData":
        reader = PayloadReader(payload, "AuthMoreData")
        if reader.int_fixed(1, "header") != AUTH_MORE_DATA_HEADER:
            raise MalformedPacket("AuthMoreData.header: not 0x01")
        return cls(reader.string_eof())


LoginReply = OKPacket | ERRPacket | AuthSwitchRequest | AuthMoreData


def decode_login_reply(payload: bytes, capabilities: Capability) -> LoginReply:
    """The message that a server sent during a login. Raises MalformedPacket."""
    header = payload[0] if payload else None
    if header == OK_HEADER:
        return OKPacket.decode(payload, capabilities)
    if header == ERR_HEADER:
        return ERRPacket.decode(payload)
    if header == AUTH_SWITCH_HEADER:
        return AuthSwitchRequest.decode(payload)
    if header == AUTH_MORE_DATA_HEADER:
        return AuthMoreData.decode(payload)
    raise MalformedPacket(f"login reply of {len(payload)} bytes begins with no known header")
