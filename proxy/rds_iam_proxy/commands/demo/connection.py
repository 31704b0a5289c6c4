"""One client of the embedded RDS: the login as RDS does it, then commands, on mysql-mimic's `Connection`.

The login and the loop over commands are our own: mysql-mimic 3.0.5 serves queries after a refused login, loops for ever
on a string without its NUL, reads headers that are cut short, and pastes prepared parameters into SQL unescaped.
"""

import secrets
import ssl
import string
from collections.abc import Awaitable, Callable

from mysql_mimic import packets
from mysql_mimic.charset import CharacterSet
from mysql_mimic.connection import Connection
from mysql_mimic.results import ResultColumn, ResultSet
from mysql_mimic.stream import MysqlStream
from mysql_mimic.types import Capabilities, ColumnType, ServerStatus

from mysql_wire.constants import CLEAR_PASSWORD, NONCE_LENGTH, Capability, Command, MariaDBCapability
from mysql_wire.errors import PacketTooLarge, RemoteProtocolError, UnexpectedPacket
from mysql_wire.fields import PayloadReader
from mysql_wire.handshake import HandshakeResponse41, HandshakeV10, LoginRequest, SSLRequest
from mysql_wire.packet import Sequence
from mysql_wire.reply import AuthSwitchRequest

from ...mysql.packets import read_packet
from ...net.stream import Stream
from .profile import ServerProfile
from .session import DemoSession
from .tables import SQLError

_COM_FIELD_LIST, _COM_STATISTICS = 0x04, 0x09
_UNANSWERED = frozenset({Command.COM_STMT_SEND_LONG_DATA, Command.COM_STMT_CLOSE})
_INSECURE = "Connections using insecure transport are prohibited while --require_secure_transport=ON."
_NONCE = string.ascii_letters + string.digits


async def receive_login(
    stream: Stream, sequence: Sequence, profile: ServerProfile, tls: ssl.SSLContext, connection_id: int
) -> tuple[LoginRequest, bytes]:
    """Greet, start TLS, ask for the token, which is returned too. Raises SQLError, RemoteProtocolError, OSError."""
    nonce = "".join(secrets.choice(_NONCE) for _ in range(NONCE_LENGTH)).encode()
    greeting = HandshakeV10(profile.identity, connection_id, nonce)
    await stream.write(sequence.frame(greeting.encode()))
    payload = await read_packet(stream, sequence)
    if not SSLRequest.matches(payload):
        HandshakeResponse41.decode(payload, profile.identity)
        raise SQLError(3159, "HY000", _INSECURE)
    await stream.start_tls(tls, server_side=True)
    response = HandshakeResponse41.decode(await read_packet(stream, sequence), profile.identity)
    if response.request.capabilities & (Capability.COMPRESS | Capability.ZSTD_COMPRESSION_ALGORITHM):
        raise SQLError(1235, "42000", "The demo's embedded server does not compress: connect without compression")
    token = response.auth_response
    if response.auth_plugin_name != CLEAR_PASSWORD or not token:
        await stream.write(sequence.frame(AuthSwitchRequest(CLEAR_PASSWORD, profile.auth_switch_data).encode()))
        token = await read_packet(stream, sequence)
    return response.request, token.partition(b"\0")[0]


def refusal(broken: RemoteProtocolError) -> SQLError:
    """What a server answers to a broken packet before it hangs up."""
    if isinstance(broken, UnexpectedPacket):
        return SQLError(1156, "08S01", "Got packets out of order")
    if isinstance(broken, PacketTooLarge):
        return SQLError(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")
    return SQLError(1043, "08S01", "Bad handshake")


class RDSConnection(Connection):  # type: ignore[misc]  # mysql-mimic has no types
    """The commands of a client that has logged in; those that a demo does not need are refused."""

    server_charset = client_charset = CharacterSet.utf8mb4  # whatever SET NAMES says

    def __init__(self, stream: Stream, session: DemoSession, request: LoginRequest) -> None:
        super().__init__(MysqlStream(None, _Writer(stream)), session, control=None, identity_provider=None)
        self.capabilities = Capabilities(request.capabilities)
        self._mariadb = request.mariadb_capabilities
        self._socket = stream
        self._handlers: dict[int, Callable[[bytes], Awaitable[None]]] = {
            Command.COM_INIT_DB: self.handle_init_db,
            Command.COM_QUERY: self.handle_query,
            _COM_FIELD_LIST: self.handle_field_list,
            _COM_STATISTICS: self._handle_statistics,
            Command.COM_PING: self.handle_ping,
            Command.COM_STMT_PREPARE: self.handle_stmt_prepare,
            Command.COM_RESET_CONNECTION: self.handle_reset_connection,
        }

    async def command_phase(self) -> None:
        """Commands until COM_QUIT or a broken packet. Raises OSError."""
        while True:
            self.stream.reset_seq()
            next(self.stream.seq)  # the command's own
            try:
                payload = await read_packet(self._socket, Sequence())
            except RemoteProtocolError as exc:
                await self.stream.write(refusal(exc).packet.encode())
                return
            if payload[:1] == bytes((Command.COM_QUIT,)):
                return
            if payload and payload[0] in _UNANSWERED:
                continue
            self.status_flags = ServerStatus(self.session.status)
            try:
                await self._command(payload)
            except SQLError as exc:
                await self.stream.write(exc.packet.encode())

    async def _command(self, payload: bytes) -> None:
        handler = self._handlers.get(payload[0]) if payload else None
        if handler is None:
            raise SQLError(1047, "08S01", "The demo's embedded server does not know this command")
        try:
            await handler(payload[1:])
        except (SQLError, OSError):
            raise
        except Exception as exc:  # mysql-mimic's parsers raise whatever comes
            raise SQLError(1835, "HY000", "Malformed communication packet") from exc

    async def query(self, sql: str, query_attrs: dict[str, str]) -> ResultSet:
        result = await super().query(sql, query_attrs)
        self.status_flags = ServerStatus(self.session.status)  # the statement may have changed it
        return result

    async def write_text_resultset(self, result_set: ResultSet) -> None:
        """mysql-mimic's own knows nothing of MariaDB's extensions."""
        count = packets.make_column_count(self.capabilities, len(result_set.columns))
        if MariaDBCapability.CACHE_METADATA in self._mariadb:
            count += b"\x01"  # the column definitions follow
        self.stream.write_many([count, *map(self._definition, result_set.columns)])
        if not self.deprecate_eof():
            self.stream.write_many([self.eof()])
        self.stream.write_text_rows(result_set.rows, result_set.columns)
        await self.stream.write(self.ok_or_eof())

    async def handle_reset_connection(self, data: bytes) -> None:
        await self.session.reset()
        self.status_flags = ServerStatus(self.session.status)
        await self.stream.write(self.ok())

    async def handle_field_list(self, data: bytes) -> None:
        """The mysql and mariadb CLIs ask so, to complete names. Each definition ends with the default, NULL."""
        table = PayloadReader(data, "COM_FIELD_LIST").string_nul("table").decode("utf-8", "replace")
        self.stream.write_many([self._definition(column) + b"\xfb" for column in self.session.columns(table)])
        await self.stream.write(self.ok_or_eof())

    async def handle_stmt_prepare(self, data: bytes) -> None:
        """ER_UNSUPPORTED_PS, upon which Connector/J and PHP's PDO put the values into the statement themselves."""
        raise SQLError(1295, "HY000", "The demo's embedded server prepares no statements: let the client emulate them")

    async def _handle_statistics(self, data: bytes) -> None:
        await self.stream.write(b"Uptime: 3600  Threads: 1  Questions: 1  Slow queries: 0  Opens: 100")

    def _definition(self, column: ResultColumn) -> bytes:
        definition: bytes = packets.make_column_definition_41(
            server_charset=CharacterSet.utf8mb4,
            name=column.name,
            character_set=CharacterSet.utf8mb4 if column.type == ColumnType.VAR_STRING else CharacterSet.binary,
            column_length=1020,
            column_type=column.type,
            decimals=2 if column.type == ColumnType.NEWDECIMAL else 0,
        )
        if MariaDBCapability.EXTENDED_METADATA in self._mariadb:
            fixed = 13  # bytes, from the length of the fixed part on; before it stands the extended metadata: none
            return definition[:-fixed] + b"\x00" + definition[-fixed:]
        return definition


class _Writer:
    """What mysql-mimic's stream writes to, in place of an asyncio.StreamWriter."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._unsent = bytearray()

    def write(self, data: bytes) -> None:
        self._unsent += data

    async def drain(self) -> None:
        unsent, self._unsent = self._unsent, bytearray()
        await self._stream.write(unsent)
