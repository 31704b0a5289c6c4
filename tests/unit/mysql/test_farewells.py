"""ERR packets that nobody asked for."""

import asyncio
import socket

from mysql_wire.packet import Header
from mysql_wire.reply import ERRPacket
from rds_iam_proxy.errors.tree import Draining, Ended
from rds_iam_proxy.mysql.farewells import between_commands, turn_away
from rds_iam_proxy.net.stream import Stream


def test_between_commands_it_is_the_first_packet_of_an_answer() -> None:
    packet = between_commands(Ended("session-stopped"))
    assert Header.decode(packet[:4]) == Header(len(packet) - 4, 0)
    err = ERRPacket.decode(packet[4:])
    assert (err.code, err.sqlstate) == (1053, "08S01")


async def test_in_the_place_of_the_greeting_there_is_no_sqlstate_and_the_connection_ends() -> None:
    ours, client = socket.socketpair()
    with client:
        client.setblocking(False)
        await turn_away(Stream(ours), Draining("listener-closed"))
        loop = asyncio.get_running_loop()
        told = await loop.sock_recv(client, 4096)
        assert told[4:7] == b"\xff" + (1053).to_bytes(2, "little")
        assert told[7:8] != b"#"
        assert await loop.sock_recv(client, 1) == b""


async def test_client_that_has_gone_is_no_error() -> None:
    ours, client = socket.socketpair()
    client.close()
    stream = Stream(ours)
    await turn_away(stream, Draining("listener-closed"))
    await turn_away(stream, Draining("listener-closed"))
