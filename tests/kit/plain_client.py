"""A MySQL client of a few lines, for tests that need a thousand of them at once."""

import asyncio
from dataclasses import dataclass

from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.constants import NATIVE_PASSWORD, Capability, MariaDBCapability
from mysql_wire.handshake import HandshakeResponse41, HandshakeV10, LoginRequest
from mysql_wire.packet import Header, frame
from mysql_wire.passwords import native_scramble, sha2_scramble
from mysql_wire.reply import ERRPacket


@dataclass(frozen=True)
class Outcome:
    """What became of one login; `err` None and `closed` False: it is in, over `writer`. Times on the loop's clock."""

    asked_at: float  # when the login packet was sent
    seconds: float
    err: ERRPacket | None
    closed: bool
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def log_in(port: int, user: str, password: str) -> Outcome:
    """Plain login by the plugin of the greeting at 127.0.0.1."""
    now = asyncio.get_running_loop().time
    started = asked_at = now()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    err: ERRPacket | None = None
    closed = False
    try:
        _, greeting = await read_packet(reader)
        asked_at = now()
        err = await _answer(greeting, reader, writer, user, password)
    except (asyncio.IncompleteReadError, ConnectionError):
        closed = True
    except BaseException:
        writer.close()
        raise
    return Outcome(asked_at, now() - started, err, closed, reader, writer)


async def _answer(
    payload: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str
) -> ERRPacket | None:
    if payload[0] == 0xFF:
        return ERRPacket.decode(payload)
    greeting = HandshakeV10.decode(payload)
    flags = LOGIN_CAPABILITIES
    if greeting.identity.is_mariadb:
        flags &= ~Capability.LONG_PASSWORD
    request = LoginRequest(user.encode(), None, 45, 1 << 24, flags, MariaDBCapability(0))
    plugin = greeting.auth_plugin_name
    scramble = native_scramble if plugin == NATIVE_PASSWORD else sha2_scramble
    response = HandshakeResponse41(request, scramble(password.encode(), greeting.nonce), plugin)
    writer.write(frame(response.encode(), 1))
    while True:
        _, payload = await read_packet(reader)
        if payload[0] == 0xFF:
            return ERRPacket.decode(payload)
        elif payload[0] == 0x00:
            return None


async def query(outcome: Outcome, text: str) -> bytes:
    """The first packet of the answer."""
    outcome.writer.write(frame(b"\x03" + text.encode(), 0))
    return (await read_packet(outcome.reader))[1]


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = Header.decode(await reader.readexactly(4))
    return header.sequence_id, await reader.readexactly(header.length)
