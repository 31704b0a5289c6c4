"""Each row of the table of symptoms: what really happens gives its code and its text."""

import asyncio
import contextlib
import os
import re
import resource
import runpy
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, UnauthorizedSSOTokenError

from kit.denied_rds import DB_USER, FixedSigner, log_in, upstream_of
from kit.fake_server import (
    HOST,
    OK,
    WITHOUT_TLS,
    Behaviour,
    FakeServer,
    after_token,
    error,
    fake_server,
    greeting,
    read_packet,
    tls_context,
)
from kit.raw_client import packet
from kit.running_proxy import Target
from mysql_wire.constants import Capability
from mysql_wire.errors import (
    CompressionNotOffered,
    MalformedCommand,
    MalformedPacket,
    PacketTooLarge,
    TLSRequired,
    UnexpectedPacket,
    UnsupportedClient,
)
from rds_iam_proxy.aws.clock import TokenClock
from rds_iam_proxy.aws.credentials import Identity, Signed, explain
from rds_iam_proxy.errors.symptoms import AT_THE_START, SYMPTOMS
from rds_iam_proxy.errors.tree import MAX_TEXT_BYTES, Denied, Draining, Ended, Limited, LoginError
from rds_iam_proxy.limits.budget import Permits
from rds_iam_proxy.limits.limiter import Limiter
from rds_iam_proxy.machine import Machine
from rds_iam_proxy.mysql import refusals
from rds_iam_proxy.mysql.greeter import Greeter
from rds_iam_proxy.mysql.greetings import DEFAULT_IDENTITY, Greetings
from rds_iam_proxy.mysql.rds_login import ASKS_NOTHING
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from servers.real_server import RealServer

CA = make_ca("CA of a fake server")
GLOBAL = "shop.global-cweacjg5pv9n.global.rds.amazonaws.com"
DENIED = error(1045, f"Access denied for user '{DB_USER}'@'10.0.0.1' (using password: YES)", 5, "28000")
LET_IN = packet(OK, 5)
DOCS = Path(__file__).resolve().parents[2] / "docs"


MADE = runpy.run_path(str(DOCS / "make_troubleshooting.py"))


def shows(key: str, failure: LoginError) -> str:
    """The text of the ERR packet, which must be that row's, and have the code that the document gives."""
    row, err = SYMPTOMS[key], refusals.err_packet(failure)
    assert failure.row is row
    text = err.message.decode()
    assert err.code == MADE["code_of"](row)
    assert len(err.message) <= MAX_TEXT_BYTES
    if not row.verbatim:
        assert text.startswith("rds-iam-proxy: ")
        text = text.removeprefix("rds-iam-proxy: ")
    return text


async def failure_at(server: Target, *, seconds: float = 9.5, db_user: str = DB_USER, **options: Any) -> LoginError:
    async with upstream_of(server, **options) as upstream:
        with pytest.raises(LoginError) as caught:
            await log_in(upstream, seconds=seconds, db_user=db_user)
    return caught.value


async def failure_with(
    behaviour: Behaviour, folder: Path, *, endpoint: str = "", seconds: float = 9.5, **options: Any
) -> LoginError:
    with fake_server(behaviour, CA, folder) as server:
        if endpoint:
            server.endpoint = endpoint
        return await failure_at(server, seconds=seconds, **options)


def showing(names: tuple[str, ...], folder: Path, *, days: int = 10) -> Behaviour:
    """Refuses the token, behind a certificate for these names."""
    context = tls_context(make_server_certificate(names, issuer=CA, days=days), folder)

    def serve(connection: socket.socket, server: FakeServer) -> None:
        connection.sendall(greeting())
        read_packet(connection)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            read_packet(encrypted)
            encrypted.sendall(packet(b"\xfemysql_clear_password\0", 3))
            read_packet(encrypted)
            encrypted.sendall(DENIED)
            encrypted.recv(1)

    return serve


# --- the way to RDS ---


async def test_unreachable(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(CA.certificate_pem)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failure = await failure_at(FakeServer(taken.getsockname()[1], tmp_path / "ca.pem"))
    text = shows("tunnel-down", failure)
    assert "Connection refused" in text
    assert "check that the tunnel runs" in text


async def test_no_address(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(CA.certificate_pem)
    shows("no-address", await failure_at(FakeServer(3306, tmp_path / "ca.pem", host="nowhere.invalid")))


def stay_silent(peer: socket.socket, server: FakeServer) -> None:
    server.heard.append(peer.recv(1))


async def test_no_answer(tmp_path: Path) -> None:
    text = shows("no-answer", await failure_with(stay_silent, tmp_path, seconds=0.3))
    assert "while reading the greeting" in text


async def test_hung_up(tmp_path: Path) -> None:
    text = shows("hung-up", await failure_with(lambda peer, _: peer.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), tmp_path))
    assert "check that the address is a MySQL or MariaDB endpoint" in text


async def test_not_tried(tmp_path: Path) -> None:
    with fake_server(lambda _peer, _server: None, CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            for _ in range(6):
                with pytest.raises(LoginError) as caught:
                    await log_in(upstream)
    assert "(next try in " in shows("not-tried", caught.value)


async def test_no_descriptors(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(CA.certificate_pem)
    async with upstream_of(FakeServer(3306, tmp_path / "ca.pem")) as upstream:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(LoginError) as caught:
                await log_in(upstream)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    shows("no-descriptors", caught.value)


# --- TLS ---


async def test_no_tls(tmp_path: Path) -> None:
    shows("no-tls", await failure_with(lambda peer, _: peer.sendall(greeting(WITHOUT_TLS)), tmp_path))


async def test_tls_name(real_server: RealServer) -> None:
    with real_server.showing(name="reports.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"):
        failure = await failure_at(real_server)
    text = shows("tls-name", failure)
    assert "is for reports.cweacjg5pv9n.eu-central-1.rds.amazonaws.com, not valid for" in text
    assert "issued by CN=Test CA of rds-iam-proxy" in failure.detail


async def test_tls_untrusted(real_server: RealServer) -> None:
    with real_server.showing(ca=make_ca("A firewall")):
        failure = await failure_at(real_server)
    text = shows("tls-untrusted", failure)
    assert f"for {real_server.endpoint_host} from CN=A firewall, is not valid" in text


async def test_tls_dates(tmp_path: Path) -> None:
    failure = await failure_with(showing((HOST,), tmp_path, days=0), tmp_path)
    text = shows("tls-dates", failure)
    assert "certificate has expired (it is valid from " in text
    assert f"clock says {datetime.now(UTC):%Y-}" in text


async def test_tls_failed(tmp_path: Path) -> None:
    def talk_something_else(peer: socket.socket, _server: FakeServer) -> None:
        peer.sendall(greeting())
        peer.recv(36)
        peer.sendall(b"this is no TLS record at all, but it is long enough for one")
        peer.recv(1000)

    shows("tls-failed", await failure_with(talk_something_else, tmp_path))


# --- AWS credentials ---


class FailingSigner(FixedSigner):
    def __init__(self, failure: LoginError | None = None, seconds: float = 0.0) -> None:
        super().__init__()
        self._failure = failure
        self._seconds = seconds

    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed:
        time.sleep(self._seconds)
        if self._failure is not None:
            raise self._failure
        return super().sign(address, region, db_user, look_again=look_again)


def role_denied() -> Exception:
    answer = {"Error": {"Code": "AccessDenied", "Message": "User: a is not authorized to perform: sts:AssumeRole"}}
    return ClientError(answer, "AssumeRole")  # type: ignore[arg-type]


ROLE = Identity(role_arn="arn:aws:iam::123456789012:role/db")
STILL = RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")


@pytest.mark.parametrize(
    ("key", "failure"),
    [
        ("no-credentials", explain(NoCredentialsError(), Identity(), environ={}, machine=Machine.OTHER)),
        ("expired-credentials", explain(STILL, Identity("dev"), environ={})),
        ("expired-environment", explain(STILL, Identity(), environ={"AWS_ACCESS_KEY_ID": "ASIAX", "AWS_VAULT": "dev"})),
        ("expired-sso", explain(UnauthorizedSSOTokenError(), Identity("dev"), environ={})),
        ("role-denied", explain(role_denied(), ROLE, environ={})),
    ],
)
async def test_credentials(tmp_path: Path, key: str, failure: LoginError) -> None:
    server = after_token(CA, tmp_path, lambda _token: LET_IN)
    shows(key, await failure_with(server, tmp_path, signer=FailingSigner(failure)))


async def test_slow_credentials(tmp_path: Path) -> None:
    server = after_token(CA, tmp_path, lambda _token: LET_IN)
    signer = FailingSigner(seconds=0.4)
    shows("slow-credentials", await failure_with(server, tmp_path, signer=signer, token_seconds=0.1))


async def test_credentials_too_late(tmp_path: Path) -> None:
    server = after_token(CA, tmp_path, lambda _token: LET_IN)
    shows("credentials-too-late", await failure_with(server, tmp_path, signer=FailingSigner(seconds=0.7), seconds=0.4))


# --- RDS's verdict ---


async def test_token_refused(real_server: RealServer) -> None:
    failure = await failure_at(real_server)  # its signer knows no key
    text = shows("token-refused", failure)
    assert "rds-db:connect on arn:aws:rds-db:eu-central-1:ACCOUNT:dbuser:RESOURCE-ID/user_batch?" in text
    assert "RDS said: Access denied for user 'user_batch'" in failure.detail


async def test_clock_moved(real_server: RealServer) -> None:
    wall = [1_767_355_200.0]
    clock = TokenClock(wall=lambda: wall[0], boot=lambda: 0.0)
    wall[0] -= 7200
    text = shows("clock-moved", await failure_at(real_server, clock=clock))
    assert "moved by -7200 s and says 2026-01-02 10:00:00 UTC" in text


async def test_wrong_region(tmp_path: Path) -> None:
    failure = await failure_with(showing((GLOBAL,), tmp_path), tmp_path, endpoint=f"{GLOBAL}:3306")
    assert "signed for region eu-central-1" in shows("wrong-region", failure)


async def test_other_plugin(real_server: RealServer) -> None:
    assert "plain_user" in shows("other-plugin", await failure_at(real_server, db_user="plain_user"))


async def test_unknown_user(real_server: RealServer) -> None:
    """Which of the rows depends on the server and on the name."""
    failure = await failure_at(real_server, db_user="nobody_here")
    keys = ("other-plugin", "no-such-user") if real_server.family == "mysql" else ("token-refused",)
    assert failure.row.key in keys, failure.text


async def test_no_such_user(tmp_path: Path) -> None:
    def deny(peer: socket.socket, server: FakeServer) -> None:
        peer.sendall(greeting())
        read_packet(peer)
        context = tls_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
        with context.wrap_socket(peer, server_side=True) as encrypted:
            read_packet(encrypted)
            encrypted.sendall(error(1045, "Access denied for user 'x'@'y' (using password: NO)", 3, "28000"))
            encrypted.recv(1)

    shows("no-such-user", await failure_with(deny, tmp_path))


async def test_plugin_not_loaded(mysql_9_7: RealServer) -> None:
    with contextlib.closing(mysql_9_7.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("UNINSTALL PLUGIN AWSAuthenticationPlugin")
        try:
            failure = await failure_at(mysql_9_7)
        finally:
            cursor.execute("INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'aws_authentication_plugin.so'")
    assert "--enable-iam-database-authentication" in shows("plugin-not-loaded", failure)


def refusing_at_once(code: int, text: str) -> Behaviour:
    """An ERR in place of the greeting, which has no sqlstate."""
    return lambda peer, _: peer.sendall(packet(b"\xff" + code.to_bytes(2, "little") + text.encode(), 0))


async def test_host_blocked(tmp_path: Path) -> None:
    text = "Host '10.0.0.1' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'"
    shows("host-blocked", await failure_with(refusing_at_once(1129, text), tmp_path))


async def test_too_many_connections(tmp_path: Path) -> None:
    shows("too-many-connections", await failure_with(refusing_at_once(1040, "Too many connections"), tmp_path))


async def test_throttled(tmp_path: Path) -> None:
    limit = error(1040, "IAM authentication rate limit exceeded", 5, "08004")
    shows("throttled", await failure_with(after_token(CA, tmp_path, lambda _token: limit), tmp_path))


# --- the proxy itself ---


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_server(after_token(CA, tmp_path, lambda _token: LET_IN), CA, tmp_path) as server:
        yield server


async def test_limiter(open_server: FakeServer) -> None:
    async with upstream_of(open_server, logins_per_second=0.01, login_burst=1) as upstream:
        (await log_in(upstream)).close()
        with pytest.raises(LoginError) as caught:
            await log_in(upstream)
    shows("limiter", caught.value)


async def test_queue_full() -> None:
    limiter = Limiter(Address("db", 3306), Permits(1, 1, time.monotonic()), max_waiting=1)
    deadline = asyncio.get_running_loop().time() + 5
    await limiter.acquire("a", deadline)
    waiting = asyncio.ensure_future(limiter.acquire("a", deadline))
    await asyncio.sleep(0)
    with pytest.raises(LoginError) as caught:
        await limiter.acquire("a", deadline)
    waiting.cancel()
    shows("queue-full", caught.value)


@pytest.mark.parametrize(
    ("key", "setting"), [("sessions", "max_sessions"), ("account-sessions", "max_sessions_per_account")]
)
async def test_sessions(open_server: FakeServer, key: str, setting: str) -> None:
    settings: dict[str, Any] = {setting: 1}
    async with upstream_of(open_server, **settings) as upstream:
        with contextlib.closing(await log_in(upstream)), pytest.raises(LoginError) as caught:
            await log_in(upstream)
    shows(key, caught.value)


async def test_greeted_late(open_server: FakeServer) -> None:
    async with upstream_of(open_server) as upstream:
        with pytest.raises(LoginError) as caught:
            await upstream.admit("app", upstream.now())
    shows("greeted-late", caught.value)


async def test_greeting_changed(open_server: FakeServer, tmp_path: Path) -> None:
    async with upstream_of(open_server) as upstream:
        greeter = Greeter(upstream.target.address, Greetings(tmp_path), asyncio.ensure_future)
        session = await log_in(upstream)
        session.close()
        other_family = session.identity.capabilities & ~Capability.LONG_PASSWORD
        with pytest.raises(LoginError) as caught:
            greeter.check(replace(session.identity, capabilities=other_family), ASKS_NOTHING, DEFAULT_IDENTITY)
    shows("greeting-changed", caught.value)


@pytest.mark.parametrize(
    ("key", "failure"),
    [
        ("stopping", Draining("stopping")),
        ("listener-closed", Draining("listener-closed")),
        ("no-room", Limited("no-room")),
        ("wrong-password", refusals.access_denied(b"app", "localhost", using_password=True, is_known=True)),
        ("unknown-user", refusals.access_denied(b"app", "localhost", using_password=True, is_known=False)),
        ("crowded", Limited("crowded")),
        ("permit-too-late", Limited("permit-too-late", waited=8.0, rest=1.5)),
        ("compression", refusals.broken_login(CompressionNotOffered("x"))),
        ("unknown-command", refusals.broken_login(MalformedCommand("x"))),
        ("replication-refused", Denied("replication-refused", command="COM_BINLOG_DUMP", account="app", target="shop")),
        ("certificate-refused", Denied("certificate-refused", why="tlsv1 alert unknown ca")),
        ("client-tls-too-old", Denied("client-tls-too-old", why="unsupported protocol")),
        ("client-tls-failed", Denied("client-tls-failed", why="wrong version number")),
        ("tls-required", refusals.broken_login(TLSRequired("x"))),
        ("old-client", refusals.broken_login(UnsupportedClient("x"))),
        ("out-of-order", refusals.broken_login(UnexpectedPacket("x"))),
        ("bad-handshake", refusals.broken_login(MalformedPacket("x"))),
        ("login-too-large", refusals.broken_login(PacketTooLarge("x"))),
        ("login-timeout", Denied("login-timeout")),
        ("internal", LoginError("internal")),
        ("session-stopped", Ended("session-stopped")),
        ("session-idle", Ended("session-idle", target="shop", seconds=60)),
        ("session-ended", Ended("session-ended")),
    ],
)
def test_login_here(key: str, failure: LoginError) -> None:
    shows(key, failure)


# --- the table and the document ---


def test_every_row_has_a_test() -> None:
    """Here, or beside the room that makes it."""
    unit = Path(__file__).parents[1] / "unit"
    folders = (
        Path(__file__).parent,
        unit / "aws",
        unit / "limits",
        unit / "mysql",
        unit / "postgres",
        unit.parent / "postgres",
        unit / "rds" / "tunnel",
        unit.parent / "tunnel",
    )
    sources = "".join(path.read_text() for folder in folders for path in folder.glob("test_*.py"))
    assert [key for key in SYMPTOMS if f'"{key}"' not in sources] == []


def test_rows_say_what_to_do() -> None:
    for row in SYMPTOMS.values():
        assert row.cause
        assert row.remedy
        assert "\n" not in row.text


def test_faults_at_the_start_are_worded_as_the_configuration_words_them() -> None:
    rooms = [DOCS.parent / "proxy/rds_iam_proxy" / room for room in ("config", "net/address.py")]
    files = [file for room in rooms for file in (room.glob("*.py") if room.is_dir() else [room])]
    source = "".join(file.read_text() for file in files)
    for shown, _, _ in AT_THE_START:
        words = max(re.split("…|:", shown.strip("`")), key=len).strip()
        assert words in source or words.split()[-1] in source


def test_document_is_up_to_date() -> None:
    assert (DOCS / "troubleshooting.md").read_text() == MADE["text"](), "run `make docs`"
