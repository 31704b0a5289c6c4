"""The embedded RDS over real sockets: PyMySQL logs in, raw sockets try what has frozen or fooled mysql-mimic."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import boto3
import pymysql
import pytest

from rds_iam_proxy.commands.demo.rds import DB_USER, EmbeddedRDS, Refusal
from rds_iam_proxy.commands.demo.token_check import Keys

Row = tuple[Any, ...]
KEYS = Keys.throw_away()
SSL_REQUEST = struct.pack("<IIB23x", 0x000FAA85 | 1 << 21 | 1 << 11, 1 << 24, 45)


@pytest.fixture
async def rds() -> AsyncIterator[EmbeddedRDS]:
    async with EmbeddedRDS(keys=KEYS) as started:
        yield started


@functools.cache  # a client takes 0.1 s to make
def rds_client(keys: Keys, region: str) -> Any:
    return boto3.Session(
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
    ).client("rds", region_name=region)


def token(rds: EmbeddedRDS, keys: Keys | None = None, user: str = DB_USER) -> str:
    client = rds_client(keys or rds.keys, rds.region)
    signed: str = client.generate_db_auth_token(rds.endpoint.host, rds.endpoint.port, user)
    return signed


def trusting(rds: EmbeddedRDS) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=rds.ca_file)
    context.check_hostname = False  # PyMySQL would check the address that it dials; another test checks the name
    return context


def connect(
    rds: EmbeddedRDS, *, password: str | None = None, user: str = DB_USER, **more: Any
) -> pymysql.Connection[Any]:
    return pymysql.connect(
        host=rds.address.host,
        port=rds.address.port,
        user=user,
        password=token(rds, user=user) if password is None else password,
        ssl=trusting(rds),
        connect_timeout=5,
        **more,
    )


def untyped(rds: EmbeddedRDS) -> Any:
    """What `connect` gives, for attributes that PyMySQL's stubs don't know."""
    return connect(rds)


def ask(rds: EmbeddedRDS, *statements: str, **more: Any) -> Row:
    """The rows of the last statement."""
    with contextlib.closing(connect(rds, **more)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchall())


async def failure(call: Callable[..., object], *arguments: Any, **more: Any) -> tuple[int, str]:
    with pytest.raises(pymysql.MySQLError) as caught:
        await asyncio.to_thread(call, *arguments, **more)
    return caught.value.args[0], caught.value.args[1]


@contextlib.contextmanager
def dialled(rds: EmbeddedRDS) -> Iterator[socket.socket]:
    with socket.create_connection((rds.address.host, rds.address.port), timeout=5) as sock:
        yield sock


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_packet(sock: socket.socket) -> bytes:
    header = exactly(sock, 4)
    return exactly(sock, int.from_bytes(header[:3], "little"))


def packet(payload: bytes, sequence: int) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


def login_payload(password: bytes = b"", user: bytes = DB_USER.encode()) -> bytes:
    head = SSL_REQUEST + user + b"\x00"
    return head + b"\xfc" + len(password).to_bytes(2, "little") + password + b"mysql_clear_password\x00"


def upgrade(sock: socket.socket, rds: EmbeddedRDS) -> ssl.SSLSocket:
    read_packet(sock)
    sock.sendall(packet(SSL_REQUEST, 1))
    return ssl.create_default_context(cafile=rds.ca_file).wrap_socket(sock, server_hostname=rds.endpoint.host)


@contextlib.contextmanager
def logged_in(rds: EmbeddedRDS) -> Iterator[ssl.SSLSocket]:
    with dialled(rds) as sock, upgrade(sock, rds) as tls:
        tls.sendall(packet(login_payload(token(rds).encode() + b"\x00"), 2))
        assert read_packet(tls)[:1] == b"\x00"
        yield tls


def until_closed(sock: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while part := sock.recv(65536):
            data += part
    return data


# Logins


async def test_a_signed_token_logs_in(rds: EmbeddedRDS) -> None:
    assert await asyncio.to_thread(ask, rds, "SELECT 1") == ((1,),)
    assert (rds.accepted, rds.refused, rds.interrupted) == (1, 0, 0)


async def test_database_collation_and_attributes_are_recorded(rds: EmbeddedRDS) -> None:
    rows = await asyncio.to_thread(ask, rds, "SELECT DATABASE()", database="shop", program_name="test")
    assert rows == (("shop",),)
    (record,) = rds.logins
    assert (record.request.database, record.request.collation) == (b"shop", 45)
    assert b"program_name\x04test" in (record.request.attributes or b"")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"secret_key": "other"}, "InvalidToken"),
        ({"access_key": "ASIADEMOOTHER0000000"}, "InvalidToken"),
        ({"session_token": None}, "InvalidToken"),
    ],
)
async def test_a_token_of_other_keys_is_refused(rds: EmbeddedRDS, wrong: dict[str, Any], reason: str) -> None:
    signed = token(rds, replace(rds.keys, **wrong))
    code, text = await failure(connect, rds, password=signed)
    assert (code, text) == (1045, "Access denied for user 'demo_user'@'127.0.0.1' (using password: YES)")
    assert (rds.reasons[reason], rds.accepted, rds.interrupted) == (1, 0, 0)


async def test_an_old_token_is_refused() -> None:
    async with EmbeddedRDS(now=lambda: time.time() + 905) as rds:
        assert (await failure(connect, rds))[0] == 1045
        assert rds.reasons == {"ExpiredToken": 1}


async def test_an_unknown_user_and_no_password_are_refused(rds: EmbeddedRDS) -> None:
    assert (await failure(connect, rds, user="nobody"))[0] == 1045
    assert "using password: NO" in (await failure(connect, rds, password=""))[1]
    assert rds.reasons == {"NotAuthorized": 1, "InvalidToken": 1}


async def test_replaced_keys_count_at_once(rds: EmbeddedRDS) -> None:
    old = token(rds)
    rds.keys = Keys.throw_away()
    assert (await failure(connect, rds, password=old))[0] == 1045
    await asyncio.to_thread(ask, rds, "SELECT 1")


async def test_the_refuse_hook_decides_after_the_token() -> None:
    throttled = Refusal(1040, "08004", "IAM authentication rate limit exceeded", "ThrottlingException")
    async with EmbeddedRDS(refuse=lambda _user: throttled) as rds:
        assert await failure(connect, rds) == (1040, "IAM authentication rate limit exceeded")
        assert rds.reasons == {"ThrottlingException": 1}


async def test_an_unknown_database_is_1049(rds: EmbeddedRDS) -> None:
    assert await failure(connect, rds, database="nowhere") == (1049, "Unknown database 'nowhere'")


async def test_a_client_without_tls_gets_3159(rds: EmbeddedRDS) -> None:
    def plain() -> bytes:
        with dialled(rds) as sock:
            read_packet(sock)
            flags = (0x000FA285 | 1 << 21).to_bytes(4, "little")
            sock.sendall(packet(flags + login_payload(b"secret\x00")[4:], 1))
            answer = read_packet(sock)
            assert until_closed(sock) == b""
            return answer

    answer = await asyncio.to_thread(plain)
    assert answer.startswith(b"\xff" + (3159).to_bytes(2, "little") + b"#HY000")
    assert not rds.logins


async def test_the_certificate_is_for_the_signed_name_only(rds: EmbeddedRDS) -> None:
    def checked(name: str) -> str | None:
        with dialled(rds) as sock:
            read_packet(sock)
            sock.sendall(packet(SSL_REQUEST, 1))
            context = ssl.create_default_context(cafile=rds.ca_file)
            with context.wrap_socket(sock, server_hostname=name) as tls:
                return tls.version()

    assert await asyncio.to_thread(checked, rds.endpoint.host) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(checked, "other.example.com")


# What froze, fooled or broke mysql-mimic


async def test_after_a_refused_login_nothing_is_served(rds: EmbeddedRDS) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock, upgrade(sock, rds) as tls:
            query = packet(b"\x03SELECT 1", 0)
            tls.sendall(packet(login_payload(b"wrong\x00"), 2) + query)
            answer = read_packet(tls)
            with contextlib.suppress(OSError):
                tls.sendall(query)
            assert until_closed(tls) == b""
            return answer

    answer = await asyncio.to_thread(conversation)
    assert answer.startswith(b"\xff\x15\x04#28000Access denied")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00" * 31,
        SSL_REQUEST[:4] + b"x" * 32,  # 36 bytes, no NUL
        SSL_REQUEST + b"user",
        SSL_REQUEST + b"user\x00\xfe" + b"\xff" * 8,
        SSL_REQUEST + b"user\x00\x00plugin",
        SSL_REQUEST + b"u" * 129 + b"\x00\x00",
    ],
)
async def test_a_malformed_login_gets_1043_and_freezes_nobody(rds: EmbeddedRDS, payload: bytes) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock:
            read_packet(sock)
            sock.sendall(packet(payload, 1))
            return until_closed(sock)

    assert b"#08S01Bad handshake" in await asyncio.to_thread(conversation)
    assert rds.interrupted == 1
    assert await asyncio.to_thread(ask, rds, "SELECT 1") == ((1,),)


async def test_a_login_packet_above_128_kib_is_not_read(rds: EmbeddedRDS) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock:
            read_packet(sock)
            sock.sendall(b"\xff\xff\xff\x01")
            return until_closed(sock)

    assert b"#08S01Got a packet bigger" in await asyncio.to_thread(conversation)


async def test_a_wrong_sequence_id_gets_1156(rds: EmbeddedRDS) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock:
            read_packet(sock)
            sock.sendall(packet(SSL_REQUEST, 5))
            return until_closed(sock)

    assert b"Got packets out of order" in await asyncio.to_thread(conversation)


async def test_packets_split_byte_by_byte_log_in(rds: EmbeddedRDS) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            read_packet(sock)
            for byte in packet(SSL_REQUEST, 1):
                sock.sendall(bytes([byte]))
                time.sleep(0.001)
            context = ssl.create_default_context(cafile=rds.ca_file)
            with context.wrap_socket(sock, server_hostname=rds.endpoint.host) as tls:
                for byte in packet(login_payload(token(rds).encode() + b"\x00"), 2):
                    tls.sendall(bytes([byte]))
                return read_packet(tls)

    assert (await asyncio.to_thread(conversation))[:1] == b"\x00"


async def test_client_hello_in_the_segment_of_the_ssl_request(rds: EmbeddedRDS) -> None:
    def conversation() -> bytes:
        with dialled(rds) as sock:
            read_packet(sock)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = ssl.create_default_context(cafile=rds.ca_file)
            tls = context.wrap_bio(incoming, outgoing, server_hostname=rds.endpoint.host)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            sock.sendall(packet(SSL_REQUEST, 1) + outgoing.read())

            def drive(step: Callable[[], Any]) -> Any:
                while True:
                    try:
                        done = step()
                        break
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))
                sock.sendall(outgoing.read())
                return done

            drive(tls.do_handshake)
            login = packet(login_payload(token(rds).encode() + b"\x00"), 2)
            drive(lambda: tls.write(login))
            return bytes(drive(lambda: tls.read(4096)))[4:]

    for _ in range(20):
        assert (await asyncio.to_thread(conversation))[:1] == b"\x00"


async def test_a_client_that_says_nothing_is_cut_off() -> None:
    async with EmbeddedRDS(login_timeout=0.1) as rds:

        def conversation() -> bytes:
            with dialled(rds) as sock:
                read_packet(sock)
                return until_closed(sock)

        assert await asyncio.to_thread(conversation) == b""
        assert rds.interrupted == 1


# Answers


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT @@version_comment LIMIT 1", (("Source distribution",),)),
        ("/* mysql-connector-j */SELECT  @@session.autocommit AS a, @@lower_case_table_names", ((0, 0),)),
        ("SHOW VARIABLES LIKE 'lower_case_%'", (("lower_case_file_system", "OFF"), ("lower_case_table_names", "0"))),
        ("SHOW SESSION VARIABLES WHERE Variable_name IN ('autocommit', 'x') OR variable_name = 'port'",
         (("autocommit", "OFF"), ("port", "3306"))),
        ("SHOW DATABASES", (("information_schema",), ("shop",))),
        ("SHOW FULL TABLES FROM `shop` LIKE 'c%'", (("customers", "BASE TABLE"),)),
        ("SHOW FULL TABLES FROM shop WHERE Table_type != 'BASE TABLE'", ()),
        ("SELECT USER(), CURRENT_USER, DATABASE()", (("demo_user@127.0.0.1", "demo_user@%", None),)),
        ("SELECT VERSION(), -1, 'it''s, \\'so', NULL;", (("8.4.7", -1, "it's, 'so", None),)),
        ("SELECT COUNT(*) FROM shop.products", ((5,),)),
        ("SELECT name FROM shop.customers WHERE id = 2", (("Zoë Müller",),)),
        ("select c.name from `shop`.`customers` c where c.city is null or c.id=1 order by c.id desc",
         (("Alan Turing",), ("Ada Lovelace",))),
        ("SELECT id FROM shop.products ORDER BY price DESC LIMIT 1, 2", ((3,), (2,))),
        ("SELECT price FROM shop.products WHERE name LIKE '_ug'", ((Decimal("12.00"),),)),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_name LIKE 'p%'",
         (("products",),)),
        ("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema='shop' "
         "AND table_name='products' ORDER BY ordinal_position LIMIT 2", (("id", "int"), ("name", "varchar"))),
        ("SHOW COLUMNS FROM customers FROM shop LIKE 'id'",
         (("id", "int unsigned", "NO", "PRI", None, "auto_increment"),)),
        ("SELECT CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL", ((1,),)),
        ("SHOW WARNINGS", ()),
        ("SELECT REPEAT('ab', 3)", (("ababab",),)),
    ],
)  # fmt: skip
async def test_answers(rds: EmbeddedRDS, sql: str, rows: Row) -> None:
    assert await asyncio.to_thread(ask, rds, sql) == rows


async def test_columns_are_called_as_they_were_selected(rds: EmbeddedRDS) -> None:
    def names() -> list[str]:
        with contextlib.closing(connect(rds)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@sql_mode, 'x', REPEAT('a',2), VERSION() AS v, 1 two, @@port 'it''s'")
            return [item[0] for item in cursor.description]

    assert await asyncio.to_thread(names) == ["@@sql_mode", "x", "REPEAT('a',2)", "v", "two", "it's"]


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW STATUS", "SHOW GLOBAL STATUS", "SHOW VARIABLES", "SHOW COLLATION", "SHOW CHARACTER SET", "SHOW ENGINES",
        "SHOW PLUGINS", "SHOW PROCESSLIST", "SHOW FULL PROCESSLIST", "SHOW GRANTS", "SHOW GRANTS FOR CURRENT_USER()",
        "SHOW CREATE TABLE shop.customers", "SHOW TABLE STATUS FROM shop", "SHOW INDEX FROM shop.customers",
        "SHOW FULL COLUMNS FROM `customers` FROM `shop`", "DESC shop.customers", "EXPLAIN shop.products",
        "SELECT * FROM shop.products LIMIT 0, 1000", "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.SCHEMATA", "SELECT * FROM information_schema.statistics",
        "SELECT @@global.sql_mode", "SHOW SESSION STATUS LIKE 'Ssl_cipher'",
    ],
)  # fmt: skip
async def test_what_a_gui_asks_has_rows(rds: EmbeddedRDS, sql: str) -> None:
    assert await asyncio.to_thread(ask, rds, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET NAMES utf8mb4", "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci'", "SET autocommit=0",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET character_set_results = NULL",
        "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='ANSI' */", "SET SQL_SAFE_UPDATES=1", "USE shop",
        "DO SLEEP(0)", "START TRANSACTION", "BEGIN", "COMMIT", "ROLLBACK", "SET sql_mode=DEFAULT", "SET @a := 1",
    ],
)  # fmt: skip
async def test_what_a_gui_sets_is_ok(rds: EmbeddedRDS, sql: str) -> None:
    await asyncio.to_thread(ask, rds, sql)


async def test_what_was_set_is_selected(rds: EmbeddedRDS) -> None:
    assert await asyncio.to_thread(
        ask, rds, "SET autocommit=1, sql_mode='ANSI'", "USE shop", "SELECT @@autocommit, @@sql_mode, DATABASE()"
    ) == ((1, "ANSI", "shop"),)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO shop.customers VALUES (1)", 1235),
        ("SELECT * FROM shop.customers JOIN shop.products", 1235),
        ("SELECT city, COUNT(*) FROM shop.customers GROUP BY city", 1235),
        ("SELECT * FROM (SELECT 1) x", 1235),
        ("SELECT __import__('os').system('id')", 1235),
        ("SELECT 1; SELECT 2", 1235),
        ("SET GLOBAL max_connections = 1", 1235),
        ("SELECT 1" + " " * 10 + "+ 1" * 10_000, 1235),
        ("bogus", 1235),
        ("SELECT * FROM shop.nothing", 1146),
        ("SELECT * FROM customers", 1046),
        ("SELECT nothing FROM shop.customers", 1054),
        ("USE nowhere", 1049),
        ("SELECT @@nothing", 1193),
        ("/* only a comment */", 1065),
    ],
)  # fmt: skip
async def test_what_it_cannot_answer_is_an_err_that_says_so(rds: EmbeddedRDS, sql: str, code: int) -> None:
    found, text = await failure(ask, rds, sql)
    assert found == code
    assert code != 1235 or "demo" in text


async def test_hostile_text_takes_no_time(rds: EmbeddedRDS) -> None:
    pieces = ("/*", "'", "`", '"', "\\", "''\\", "?", "'a%' LIKE ", "(", ",", "x AS ", " FROM x WHERE y ", "--", "@@a,")
    texts = ["SELECT " + piece * (100_000 // len(piece)) for piece in pieces]
    texts += [f"SHOW VARIABLES LIKE '{'%a' * 400}b'", f"SHOW VARIABLES LIKE '{'%_' * 400}b'"]
    texts += ["SHOW VARIABLES WHERE Value = 1" + " OR Value = 1" * 1000]
    with contextlib.closing(await asyncio.to_thread(untyped, rds)) as connection:
        for text in texts:
            started = time.monotonic()
            with contextlib.suppress(pymysql.MySQLError):
                await asyncio.to_thread(connection.query, text)
            assert time.monotonic() - started < 2, text[:20]


async def test_transactions_show_in_the_status_flags(rds: EmbeddedRDS) -> None:
    with contextlib.closing(await asyncio.to_thread(untyped, rds)) as connection:
        flags = []
        for sql in ("SET autocommit=1", "START TRANSACTION", "COMMIT", "SET autocommit=0"):
            await asyncio.to_thread(connection.query, sql)
            flags.append(connection.server_status & 3)
    assert flags == [2, 3, 2, 0]


async def test_big_results_pass_and_big_commands_are_refused(rds: EmbeddedRDS) -> None:
    size = 16_000_000
    assert await asyncio.to_thread(ask, rds, f"SELECT REPEAT('x', {size})") == (("x" * size,),)
    assert await asyncio.to_thread(ask, rds, f"SELECT REPEAT('x', {size + 1})") == ((None,),)
    assert (await failure(ask, rds, f"SELECT '{'y' * 200_000}'"))[0] == 1153


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"", 1047),
        (b"\x04customers", 1835),  # COM_FIELD_LIST without the NUL: mysql-mimic would look for it for ever
        (b"\x03\xff", 1835),  # not UTF-8
        (b"\x11demo_user\x00\x00\x00", 1047),  # COM_CHANGE_USER: mysql-mimic goes on after a refusal
        (b"\x16SELECT ?", 1295),  # COM_STMT_PREPARE: mysql-mimic would paste the values in, unescaped
        (b"\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00", 1047),
        (b"\x18\x01\x00\x00\x00\x00\x00x\x0e", None),  # COM_STMT_SEND_LONG_DATA has no answer
        (b"\x19\x01\x00\x00\x00", None),
    ],
)
async def test_commands_that_it_does_not_need_are_refused(rds: EmbeddedRDS, command: bytes, code: int | None) -> None:
    def conversation() -> tuple[bytes, bytes]:
        with logged_in(rds) as tls:
            tls.sendall(packet(command, 0))
            answer = read_packet(tls) if code else b""
            tls.sendall(packet(b"\x0e", 0))
            return answer, read_packet(tls)

    answer, pong = await asyncio.to_thread(conversation)
    assert pong[:1] == b"\x00"
    assert code is None or answer.startswith(b"\xff" + code.to_bytes(2, "little"))


async def test_field_list_gives_one_packet_for_each_column(rds: EmbeddedRDS) -> None:
    def conversation() -> int:
        with logged_in(rds) as tls:
            tls.sendall(packet(b"\x02shop", 0))
            read_packet(tls)
            tls.sendall(packet(b"\x04products\x00%", 0))
            columns = 0
            while read_packet(tls)[0] != 0xFE:
                columns += 1
            return columns

    assert await asyncio.to_thread(conversation) == 4


async def test_kill_query_ends_a_sleep_and_only_that(rds: EmbeddedRDS) -> None:
    sleeper = await asyncio.to_thread(untyped, rds)
    with contextlib.closing(sleeper):
        started = time.monotonic()
        asleep = asyncio.create_task(asyncio.to_thread(sleeper.query, "SELECT SLEEP(30)"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(ask, rds, f"KILL QUERY {sleeper.thread_id()}")
        await asleep
        assert time.monotonic() - started < 5
        await asyncio.to_thread(sleeper.ping, reconnect=False)
        await asyncio.to_thread(ask, rds, f"KILL {sleeper.thread_id()}")
        assert (await failure(sleeper.ping, reconnect=False))[0] in (2006, 2013)
    assert (await failure(ask, rds, "KILL 999999"))[0] == 1094


async def test_close_cuts_off_what_is_open() -> None:
    async with EmbeddedRDS() as rds:
        connection = await asyncio.to_thread(connect, rds)
        ca_file = rds.ca_file
    assert not ca_file.exists()
    assert (await failure(connection.query, "SELECT 1"))[0] in (2006, 2013)
    connection.close()
