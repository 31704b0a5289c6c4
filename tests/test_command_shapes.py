"""Commands of every shape through the proxy, on real servers, each beside the same step on a direct connection."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.constants import CLIENT, COMMAND

from kit.running_proxy import USER, RunningProxy, config_text, start_proxy
from mysql_wire.packet import frame
from servers.real_server import RealServer
from servers.tokens import connect_directly

Connect = Callable[..., "Connection[Any]"]


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, RunningProxy]]:
    with contextlib.ExitStack() as stack:
        yield _Proxies(stack)


class _Proxies(dict[str, RunningProxy]):
    """One proxy for each server, started when first needed."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def of(self, server: RealServer) -> RunningProxy:
        if server.name not in self:
            accounts = f"""
[[accounts]]
user = "replica"
password_env = "LEGACY_APP_PASSWORD"
db_user = "user_batch"
allow_replication = true
[[accounts]]
user = "other"
password_env = "LEGACY_APP_PASSWORD"
db_user = "user_report"
[targets.twin]
endpoint = "{server.endpoint}"
dial = "{server.host}:{server.port}"
ca_file = "{server.ca_file}"
[[listeners]]
bind = "127.0.0.1:0"
target = "twin"
"""
            config = config_text(server, extra=accounts)
            self[server.name] = self._stack.enter_context(start_proxy(config, key=server.key))
            self[server.name].wait_for("listening", count=2)
        return self[server.name]


@pytest.fixture
def proxy(real_server: RealServer, proxies: _Proxies) -> RunningProxy:
    return proxies.of(real_server)


@pytest.fixture(params=["proxy", "direct"])
def connect(request: pytest.FixtureRequest, proxy: RunningProxy, real_server: RealServer) -> Connect:
    """The same client on both ways: what holds for one must hold for the other."""
    if request.param == "proxy":
        return proxy.connect
    return lambda **options: connect_directly(real_server, **options)


def command(connection: "Connection[Any]", code: int, argument: bytes = b"") -> bytes:
    """Send a command by hand; returns the first packet of the answer, header included."""
    connection._next_seq_id = 0  # type: ignore[attr-defined]
    connection._write_bytes(frame(bytes((code,)) + argument, 0))  # type: ignore[attr-defined]
    return answer(connection)


def answer(connection: "Connection[Any]") -> bytes:
    header = bytes(connection._read_bytes(4))  # type: ignore[attr-defined]
    return header + bytes(connection._read_bytes(int.from_bytes(header[:3], "little")))  # type: ignore[attr-defined]


def one_value(connection: "Connection[Any]", statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
        return row[0] if row else None


class Sleeper:
    """A session that sleeps in the server, in a thread."""

    def __init__(self, connection: "Connection[Any]", seconds: int = 60) -> None:
        self.connection = connection
        self.outcome: object = "running"
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = one_value(self.connection, f"SELECT SLEEP({self._seconds})")
        except pymysql.err.MySQLError as exc:
            self.outcome = exc.args[0]

    def wait(self, seconds: float) -> object:
        self._thread.join(seconds)
        return self.outcome


def wait_until_sleeping(server: RealServer, count: int) -> None:
    deadline = time.monotonic() + 10
    with contextlib.closing(server.admin()) as admin:
        while time.monotonic() < deadline:
            text = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
            if one_value(admin, text) == count:
                return
            time.sleep(0.05)
    raise AssertionError(f"no {count} sleepers")


def test_mysql_9_has_no_process_kill_any_more(mysql_9_7: RealServer, proxies: _Proxies) -> None:
    for connection in (proxies.of(mysql_9_7).connect(), connect_directly(mysql_9_7)):
        with contextlib.closing(connection):
            packet = command(connection, COMMAND.COM_PROCESS_KILL, (0x7000_0000).to_bytes(4, "little"))
            assert packet[4:7] == b"\xff" + (1047).to_bytes(2, "little")


@pytest.mark.parametrize("way", ["KILL QUERY", "KILL", "COM_PROCESS_KILL"])
def test_kill_by_the_id_of_the_greeting_reaches_the_right_session_only(
    proxy: RunningProxy, real_server: RealServer, way: str
) -> None:
    if way == "COM_PROCESS_KILL" and real_server.family == "mysql":
        way = "KILL"  # MySQL 9 has no COM_PROCESS_KILL any more
    with contextlib.ExitStack() as stack:
        victim, bystander, killer = (stack.enter_context(contextlib.closing(proxy.connect())) for _ in range(3))
        sleepers = Sleeper(victim), Sleeper(bystander, 4)
        wait_until_sleeping(real_server, 2)
        started = time.monotonic()
        victim_id = victim.thread_id()  # type: ignore[no-untyped-call]
        if way == "COM_PROCESS_KILL":
            assert command(killer, COMMAND.COM_PROCESS_KILL, victim_id.to_bytes(4, "little"))[4] == 0
        else:
            with killer.cursor() as cursor:
                cursor.execute(f"{way} {victim_id}")
        assert sleepers[0].wait(5) in (1, 1317, 2013), "MySQL: SLEEP returns 1; MariaDB: 1317; KILL: closed"
        assert time.monotonic() - started < 1.0
        assert sleepers[1].wait(10) == 0


def test_kill_never_reaches_another_account_or_target(proxy: RunningProxy, real_server: RealServer) -> None:
    twin_port = int(proxy.wait_for("listening", count=2)["address"].rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        victim = stack.enter_context(contextlib.closing(proxy.connect()))
        strangers = [
            stack.enter_context(contextlib.closing(proxy.connect(port=twin_port))),
            stack.enter_context(contextlib.closing(proxy.connect(user="other"))),
        ]
        sleeper = Sleeper(victim, 2)
        wait_until_sleeping(real_server, 1)
        for stranger in strangers:
            with pytest.raises(pymysql.err.MySQLError) as caught, stranger.cursor() as cursor:
                cursor.execute(f"KILL QUERY {victim.thread_id()}")  # type: ignore[no-untyped-call]
            assert caught.value.args[0] == 1094
        assert sleeper.wait(10) == 0


def test_kill_of_the_server_s_own_id_passes(proxy: RunningProxy, real_server: RealServer) -> None:
    with contextlib.closing(proxy.connect()) as victim, contextlib.closing(proxy.connect()) as killer:
        their_id = one_value(victim, "SELECT CONNECTION_ID()")
        with killer.cursor() as cursor:
            cursor.execute(f"KILL {their_id}")
        with pytest.raises(pymysql.err.MySQLError):
            one_value(victim, "SELECT 1")


def test_wait_timeout_ends_with_what_the_server_says(connect: Connect, real_server: RealServer) -> None:
    with contextlib.closing(connect()) as connection:
        one_value(connection, "SET SESSION wait_timeout = 1")
        if real_server.family == "mysql":
            last = answer(connection)
            assert last[3] == 0
            assert last[4:7] == b"\xff" + (4031).to_bytes(2, "little")
        with socket.socket(fileno=os.dup(connection._sock.fileno())) as raw:  # type: ignore[attr-defined]
            raw.settimeout(10)
            if real_server.family == "mysql":
                assert raw.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    raw.recv(1)


def test_pipelined_commands_get_their_answers_in_order(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        ping = frame(b"\x0e", 0)
        connection._write_bytes(ping * 3)  # type: ignore[attr-defined]
        assert [answer(connection)[3:5] for _ in range(3)] == [b"\x01\x00"] * 3


def test_unknown_and_empty_commands_leave_the_connection_open(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        for packet in (frame(b"\x7f", 0), frame(b"", 0)):
            connection._write_bytes(packet)  # type: ignore[attr-defined]
            assert answer(connection)[3:7] == b"\x01\xff" + (1047).to_bytes(2, "little")
        connection.ping(reconnect=False)


def test_client_that_sends_no_more_gets_its_answer(proxy: RunningProxy) -> None:
    with contextlib.closing(proxy.connect()) as connection:
        connection._write_bytes(frame(b"\x03SELECT SLEEP(0), REPEAT('x', 1000)", 0))  # type: ignore[attr-defined]
        connection._sock.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]
        answer = b""
        while part := connection._sock.recv(65536):  # type: ignore[attr-defined]
            answer += part
    assert b"x" * 1000 in answer


def test_reset_connection(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        one_value(connection, "SET @kept = 5")
        assert command(connection, 0x1F)[4] == 0
        assert one_value(connection, "SELECT @kept") is None


def test_replication_commands_are_refused_unless_the_account_may(proxy: RunningProxy, real_server: RealServer) -> None:
    dump = b"\x04\0\0\0\0\0\x07\0\0\0binlog.000001"
    with contextlib.closing(proxy.connect()) as connection:
        assert command(connection, 0x12, dump)[4:7] == b"\xff" + (1047).to_bytes(2, "little")
        refused = proxy.wait_for("replication command refused")  # while the session goes on
        told = (refused["command"], refused["account"], refused["target"])
        assert told == ("COM_BINLOG_DUMP", USER, "shop")
        assert "allow_replication = true" in refused["text"]
        connection.ping(reconnect=False)
    with contextlib.closing(proxy.connect(user="replica")) as connection:
        code = int.from_bytes(command(connection, 0x12, dump)[5:7], "little")
        assert code in (1227, 1236), "the server itself decides: no privilege, or no binary log"


INFILE_REQUEST_LOOKALIKE = "SELECT x'0a0000fffb'"
"""With the EOF behind the row, the last bytes read like a LOCAL INFILE request that is the 255th packet."""


def test_a_value_that_reads_like_a_request_for_a_file_lets_no_replication_command_by(proxy: RunningProxy) -> None:
    dump = b"\x04\0\0\0\0\0\x07\0\0\0binlog.000001"
    with contextlib.closing(proxy.connect(local_infile=True)) as connection:
        assert one_value(connection, INFILE_REQUEST_LOOKALIKE) == b"\x0a\0\0\xff\xfb"
        assert command(connection, 0x12, dump)[4:7] == b"\xff" + (1047).to_bytes(2, "little")


def test_a_value_that_reads_like_a_request_for_a_file_disturbs_no_command(connect: Connect) -> None:
    with contextlib.closing(connect(local_infile=True)) as connection:
        for _ in range(2):
            one_value(connection, INFILE_REQUEST_LOOKALIKE)
            assert one_value(connection, "SELECT 1") == 1
            one_value(connection, INFILE_REQUEST_LOOKALIKE)
            connection.ping(reconnect=False)
            one_value(connection, INFILE_REQUEST_LOOKALIKE)
            assert command(connection, COMMAND.COM_SET_OPTION, b"\0\0")[4] in (0, 0xFE)
        one_value(connection, INFILE_REQUEST_LOOKALIKE)


def test_long_commands_and_answers_over_the_16_mib_border(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        for length in (0xFFFFFF - 30, 0xFFFFFF - len("SELECT LENGTH('')") - 1, 0xFFFFFF + 5):
            assert one_value(connection, f"SELECT LENGTH('{'x' * length}')") == length
        assert len(one_value(connection, f"SELECT REPEAT('x', {0xFFFFFF})")) == 0xFFFFFF


def test_multi_statements(connect: Connect) -> None:
    with contextlib.closing(connect(client_flag=CLIENT.MULTI_STATEMENTS, database="shop")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1; SELECT 2; DO 0")
            results = [list(cursor.fetchall())]
            while cursor.nextset():
                results.append(list(cursor.fetchall()))
        assert results == [[(1,)], [(2,)], []]


def test_load_data_local_with_more_packets_than_sequence_ids(connect: Connect, tmp_path: Path) -> None:
    """Every file packet begins with the byte of COM_QUIT."""
    lines = 600
    path = tmp_path / "data"
    row = b"\x01" * 16383 + b"\n"
    path.write_bytes(row * lines)
    with contextlib.closing(connect(local_infile=True, database="shop")) as connection:
        one_value(connection, "CREATE TEMPORARY TABLE loaded (text LONGBLOB)")
        with connection.cursor() as cursor:
            assert cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE loaded CHARACTER SET binary") == lines
        assert one_value(connection, "SELECT SUM(LENGTH(text)) FROM loaded") == lines * 16383


def test_server_side_prepared_statement_with_long_data_and_cursor(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        prepared = command(connection, 0x16, b"SELECT LENGTH(?)")
        statement = prepared[5:9]
        while answer(connection)[4] != 0xFE:
            pass  # the parameter's definition
        while answer(connection)[4] != 0xFE:
            pass  # the column's
        for piece in (b"x" * 100_000, b"y" * 23):
            connection._write_bytes(frame(b"\x18" + statement + b"\0\0" + piece, 0))  # type: ignore[attr-defined]
        # execute: no cursor, one iteration, no NULLs, parameter bound as LONG_BLOB
        execute = statement + b"\0" + b"\x01\0\0\0" + b"\0" + b"\x01" + b"\xfb\0"
        assert command(connection, 0x17, execute)[4] == 1
        while answer(connection)[4] != 0xFE:
            pass
        assert int.from_bytes(answer(connection)[6:14], "little") == 100_023
        assert answer(connection)[4] == 0xFE
        connection._write_bytes(frame(b"\x19" + statement, 0))  # type: ignore[attr-defined]
        connection.ping(reconnect=False)


def test_change_user_logs_in_anew_and_forgets_the_session(proxy: RunningProxy) -> None:
    from mysql_wire.passwords import native_scramble

    with contextlib.closing(proxy.connect()) as connection:
        one_value(connection, "SET @mine = 1")
        request = b"other\0\0shop\0\x2d\0mysql_native_password\0\0"
        switch = command(connection, COMMAND.COM_CHANGE_USER, request)
        assert switch[3:5] == b"\x01\xfe"
        nonce = switch[5:].split(b"\0", 1)[1][:20]
        connection._write_bytes(frame(native_scramble(proxy.password.encode(), nonce), 2))  # type: ignore[attr-defined]
        assert answer(connection)[3:5] == b"\x03\x00"
        assert one_value(connection, "SELECT CURRENT_USER()") == "user_report@%"
        assert one_value(connection, "SELECT DATABASE()") == "shop"
        assert one_value(connection, "SELECT @mine") is None


def refused_change(connection: "Connection[Any]") -> None:
    switch = command(connection, COMMAND.COM_CHANGE_USER, b"other\0\0\0\x2d\0mysql_native_password\0\0")
    assert switch[4] == 0xFE
    connection._write_bytes(frame(b"x" * 20, 2))  # type: ignore[attr-defined]
    assert answer(connection)[4:7] == b"\xff" + (1045).to_bytes(2, "little")


def test_change_user_with_a_wrong_password_is_refused_as_the_server_does(
    connect: Connect, real_server: RealServer
) -> None:
    with contextlib.closing(connect()) as connection:
        one_value(connection, "SET @mine = 5")
        refused_change(connection)
        if real_server.family == "mysql":
            with pytest.raises(pymysql.err.OperationalError):
                connection._read_bytes(1)  # type: ignore[attr-defined]
            return
        refused_change(connection)
        assert one_value(connection, "SELECT @mine") is None
        assert one_value(connection, "SELECT CURRENT_USER()") == "user_batch@%"


def test_change_user_that_cannot_be_read_is_an_unknown_command(connect: Connect) -> None:
    with contextlib.closing(connect()) as connection:
        told = command(connection, COMMAND.COM_CHANGE_USER, b"nobody")
        assert told[4:7] == b"\xff" + (1047).to_bytes(2, "little")
