"""One client of the embedded RDS: the login as RDS does it, then commands, on mysql-mimic's `Connection`.

What is overridden is what mysql-mimic 3.0.5 gets wrong over the wire: it serves queries after a refused login, loops
for ever on a string without its NUL, reads headers that are cut short, starts TLS on a reader that may hold the
ClientHello already, and loses rows of cursors.
"""

import asyncio
import secrets
import ssl
import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mysql_mimic import packets
from mysql_mimic.auth import IdentityProvider
from mysql_mimic.charset import CharacterSet
from mysql_mimic.connection import Connection
from mysql_mimic.control import LocalControl
from mysql_mimic.results import ResultColumn
from mysql_mimic.types import Capabilities, ColumnDefinition, ColumnType, ServerStatus

from . import login
from .data_types import Column, Kind, Result, SQLError
from .parameters import Statement, read_execute, read_query, statement_id
from .profile import ServerProfile
from .reader import Malformed
from .session import DemoSession
from .wire import OutOfOrder, PacketStream, TooLarge

MAX_COMMAND = 64 * 1024 * 1024  # bytes; max_allowed_packet
MAX_STATEMENTS = 1000  # prepared, per connection

_NONCE = (string.ascii_letters + string.digits).encode()
_INSECURE = "Connections using insecure transport are prohibited while --require_secure_transport=ON."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client has sent when it is time to decide."""

    login: login.ClientLogin
    token: bytes


class LoginEnded(Exception):
    """The login failed, an ERR was sent, and nothing may follow but the close."""


class RDSConnection(Connection):  # type: ignore[misc]  # mysql-mimic has no types
    """`admit` decides over a login: it returns the session, or raises SQLError."""

    stream: PacketStream

    def __init__(
        self,
        stream: PacketStream,
        profile: ServerProfile,
        tls: ssl.SSLContext,
        connection_id: int,
        admit: Callable[[Credentials], DemoSession],
    ) -> None:
        super().__init__(
            stream=stream,
            session=None,
            control=LocalControl(server_id=1),
            identity_provider=IdentityProvider(),
            server_capabilities=Capabilities(profile.capabilities),
            ssl=tls,
        )
        self.connection_id = connection_id
        self.status_flags = ServerStatus.SERVER_STATUS_AUTOCOMMIT
        self._profile = profile
        self._admit = admit
        self._statements: dict[int, Statement] = {}
        self._last_statement = 0
        self._handlers: dict[int, Callable[[bytes], Awaitable[None]]] = {
            0x02: self.handle_init_db,
            0x03: self.handle_query,
            0x04: self.handle_field_list,
            0x09: self._handle_statistics,
            0x0C: self._handle_process_kill,
            0x0E: self.handle_ping,
            0x16: self.handle_stmt_prepare,
            0x17: self.handle_stmt_execute,
            0x18: self.handle_stmt_send_long_data,
            0x19: self.handle_stmt_close,
            0x1A: self.handle_stmt_reset,
            0x1B: self._handle_set_option,
            0x1F: self.handle_reset_connection,
        }

    @property
    def server_charset(self) -> CharacterSet:
        return CharacterSet.utf8mb4

    @property
    def client_charset(self) -> CharacterSet:
        return CharacterSet.utf8mb4

    def error(self, **kwargs: Any) -> bytes:
        """mysql-mimic asks for these; its own encoder takes none but its own codes."""
        return error(int(kwargs.get("code", 1105)), "HY000", str(kwargs.get("msg", "")))

    async def serve(self, login_timeout: float) -> None:
        """From the greeting to the end. Raises LoginEnded, ConnectionClosed or TimeoutError."""
        async with asyncio.timeout(login_timeout):
            await self.connection_phase()
        # Reached after a successful login only: every other way out of connection_phase is an exception.
        await self.command_phase()

    async def connection_phase(self) -> None:
        try:
            credentials = await self._credentials()
            self.session = self._admit(credentials)
        except SQLError as exc:
            await self._end(exc.code, exc.sqlstate, exc.text)
        except (Malformed, TooLarge):
            await self._end(1043, "08S01", "Bad handshake")
        except OutOfOrder:
            await self._end(1156, "08S01", "Got packets out of order")
        self.capabilities = Capabilities(credentials.login.capabilities)
        await self.stream.write(self.ok())

    async def _credentials(self) -> Credentials:
        nonce = bytes(secrets.choice(_NONCE) for _ in range(20))
        self.stream.max_payload = login.MAX_LOGIN_PAYLOAD
        await self.stream.write(login.greeting(self._profile, self.connection_id, nonce))
        payload = await self.stream.read()
        encrypted = login.is_ssl_request(payload) and bool(self._profile.capabilities & login.SSL)
        if encrypted:
            await self.stream.start_tls(self.ssl)
            payload = await self.stream.read()
        client = login.parse_login(payload, self._profile.capabilities)
        if not encrypted:
            raise SQLError(3159, "HY000", _INSECURE)
        if client.capabilities & (login.COMPRESS | login.ZSTD_COMPRESSION):
            raise SQLError(1235, "42000", "The demo's embedded server does not compress: connect without compression")
        token = client.auth_response
        if client.plugin != login.CLEAR_PASSWORD or not token:
            await self.stream.write(login.auth_switch(self._profile.auth_switch_data))
            token = await self.stream.read()
        return Credentials(client, token.partition(b"\x00")[0])

    async def _end(self, code: int, sqlstate: str, text: str) -> None:
        await self.stream.write(error(code, sqlstate, text))
        raise LoginEnded(text)

    async def command_phase(self) -> None:
        """Commands until COM_QUIT; a broken packet ends the connection after an ERR."""
        self.stream.max_payload = MAX_COMMAND
        while True:
            self.stream.reset_seq()
            try:
                payload = await self.stream.read()
            except OutOfOrder:
                await self.stream.write(error(1156, "08S01", "Got packets out of order"))
                return
            except TooLarge:
                text = "Got a packet bigger than 'max_allowed_packet' bytes"
                await self.stream.write(error(1153, "08S01", text))
                return
            if payload[:1] == b"\x01":
                return
            try:
                await self._command(payload)
            except SQLError as exc:
                await self.stream.write(error(exc.code, exc.sqlstate, exc.text))
            if self.session.closing:
                return

    async def _command(self, payload: bytes) -> None:
        handler = self._handlers.get(payload[0]) if payload else None
        if handler is None:
            raise SQLError(1047, "08S01", "Unknown command")
        try:
            await handler(payload[1:])
        except Malformed as exc:
            raise SQLError(1835, "HY000", f"Malformed communication packet: {exc}") from exc

    async def handle_query(self, data: bytes) -> None:
        sql = read_query(data, self.capabilities).decode("utf-8", "replace")
        statements = self.session.split(sql)
        if len(statements) > 1 and not self.capabilities & login.MULTI_STATEMENTS:
            raise SQLError(1064, "42000", "The client did not ask for CLIENT_MULTI_STATEMENTS")
        for number, statement in enumerate(statements, 1):
            result = await self.session.run(sql, statement)
            await self._write_result(result, more=number < len(statements), binary=False)

    async def handle_init_db(self, data: bytes) -> None:
        await self.session.use(data.decode("utf-8", "replace"))
        await self.stream.write(self.ok())

    async def handle_reset_connection(self, data: bytes) -> None:
        self._statements.clear()
        await self.session.reset()
        await self.stream.write(self._ok())

    async def handle_field_list(self, data: bytes) -> None:
        name, separator, _ = data.partition(b"\x00")
        if not separator:
            raise Malformed("table: no NUL")
        table = self.session.table(name.decode("utf-8", "replace"))
        # Each definition is a packet of its own, and ends with the default value, which is NULL.
        self.stream.write_many([_definition(column) + b"\xfb" for column in table.columns])
        await self.stream.write(self.ok_or_eof())

    async def handle_stmt_prepare(self, data: bytes) -> None:
        sql = data.decode("utf-8", "replace")
        count = self.session.count_parameters(sql)
        if len(self._statements) >= MAX_STATEMENTS:
            raise SQLError(1461, "42000", f"Can't create more than {MAX_STATEMENTS} prepared statements")
        self._last_statement += 1
        self._statements[self._last_statement] = Statement(sql, count)
        number, parameters = self._last_statement.to_bytes(4, "little"), count.to_bytes(2, "little")
        # No columns are announced: those of the execution count, and clients take them from there.
        self.stream.write_many([b"\x00" + number + b"\x00\x00" + parameters + bytes(3)])
        if count:
            self.stream.write_many([_definition(Column("?"))] * count)
            if not self.deprecate_eof():
                self.stream.write_many([self.eof()])
        await self.stream.drain()

    async def handle_stmt_execute(self, data: bytes) -> None:
        statement = self._statement(data)
        values = read_execute(data, statement, self.capabilities)
        (tokens,) = self.session.split(statement.sql)
        result = await self.session.run(statement.sql, tokens, values)
        await self._write_result(result, more=False, binary=True)

    async def handle_stmt_send_long_data(self, data: bytes) -> None:
        """Is not answered, and the demo has nothing that a long value could be for."""

    async def handle_stmt_close(self, data: bytes) -> None:
        self._statements.pop(statement_id(data), None)

    async def handle_stmt_reset(self, data: bytes) -> None:
        self._statement(data)
        await self.stream.write(self._ok())

    def _statement(self, data: bytes) -> Statement:
        found = self._statements.get(statement_id(data))
        if found is None:
            raise SQLError(1243, "HY000", "Unknown prepared statement handler given to mysqld_stmt_execute")
        return found

    async def _handle_statistics(self, data: bytes) -> None:
        await self.stream.write(b"Uptime: 3600  Threads: 1  Questions: 1  Slow queries: 0  Opens: 100")

    async def _handle_set_option(self, data: bytes) -> None:
        await self.stream.write(self.eof())

    async def _handle_process_kill(self, data: bytes) -> None:
        self.session.kill(statement_id(data), query_only=False)
        await self.stream.write(self._ok())

    def _ok(self) -> bytes:
        self.status_flags = ServerStatus(self.session.status_flags)
        encoded: bytes = self.ok()
        return encoded

    async def _write_result(self, result: Result, *, more: bool, binary: bool) -> None:
        flags = self.session.status_flags | (ServerStatus.SERVER_MORE_RESULTS_EXISTS if more else 0)
        self.status_flags = ServerStatus(flags)
        if not result.columns:
            await self.stream.write(self.ok())
            return
        count = packets.make_column_count(capabilities=self.capabilities, column_count=len(result.columns))
        self.stream.write_many([count, *(_definition(column) for column in result.columns)])
        if not self.deprecate_eof():
            self.stream.write_many([self.eof()])
        encode = packets.make_binary_resultrow if binary else packets.make_text_resultset_row
        encoders = [ResultColumn(column.name, ColumnType(column.kind.value)) for column in result.columns]
        self.stream.write_many([encode(row, encoders) for row in result.rows])
        await self.stream.write(self.ok_or_eof())


def error(code: int, sqlstate: str, text: str) -> bytes:
    """ERR_Packet."""
    return b"\xff" + code.to_bytes(2, "little") + b"#" + sqlstate.encode() + text.encode()


def _definition(column: Column) -> bytes:
    flags = ColumnDefinition(0)
    if not column.nullable:
        flags |= ColumnDefinition.NOT_NULL_FLAG
    if column.key == "PRI":
        flags |= ColumnDefinition.PRI_KEY_FLAG
    if column.extra:
        flags |= ColumnDefinition.AUTO_INCREMENT_FLAG
    if "unsigned" in column.sql_type:
        flags |= ColumnDefinition.UNSIGNED_FLAG
    if column.kind is Kind.TEXT:
        charset, length = CharacterSet.utf8mb4, column.length * 4
    else:
        charset, length = CharacterSet.binary, 20
        flags |= ColumnDefinition.BINARY_FLAG
    definition: bytes = packets.make_column_definition_41(
        server_charset=CharacterSet.utf8mb4,
        schema=column.schema,
        table=column.table,
        name=column.name,
        character_set=charset,
        column_length=length,
        column_type=ColumnType(column.kind.value),
        flags=flags,
        decimals={Kind.DECIMAL: 2, Kind.DOUBLE: 31}.get(column.kind, 0),
    )
    return definition
