"""TLS towards the client: offered, required, off; started by every way that a client may start it."""

import asyncio
import contextlib
import ssl
import subprocess
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from kit.plain_client import Outcome, log_in, read_packet
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from mysql_wire.capabilities import LOGIN_CAPABILITIES
from mysql_wire.constants import Capability, MariaDBCapability
from mysql_wire.handshake import HandshakeResponse41, HandshakeV10, LoginRequest, ssl_request
from mysql_wire.packet import frame
from mysql_wire.passwords import sha2_scramble
from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from servers.real_server import RealServer
from servers.trees import cli_command


@contextlib.contextmanager
def proxy_with_tls(server: RealServer, listener: str = "", target: str = "") -> Iterator[RunningProxy]:
    config = config_text(server, target=target).replace('target = "shop"\n', f'target = "shop"\n{listener}\n')
    with start_proxy(config, key=server.key) as proxy:
        yield proxy


def trusting_nobody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_one_listener_serves_clients_with_and_without_tls(real_server: RealServer) -> None:
    with proxy_with_tls(real_server) as proxy:
        for options in ({"ssl_disabled": True}, {"ssl_disabled": False, "ssl": trusting_nobody()}):
            with contextlib.closing(proxy.connect(**options)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT CURRENT_USER(), REPEAT('x', 3000000)")
                row = cursor.fetchone()
                assert row is not None
                assert row[0] == "user_batch@%"
                assert len(row[1]) == 3_000_000
                cursor.execute("SELECT LENGTH(%s)", ("y" * 3_000_000,))
                assert cursor.fetchone() == (3_000_000,)


def test_listener_that_requires_tls_says_so(mysql_9_7: RealServer) -> None:
    with proxy_with_tls(mysql_9_7, 'tls = "required"') as proxy:
        with pytest.raises(pymysql.err.OperationalError) as caught:
            proxy.connect()
        assert caught.value.args[0] == 3159
        proxy.connect(ssl_disabled=False, ssl=trusting_nobody()).close()


def test_listener_without_tls_offers_none(mysql_9_7: RealServer) -> None:
    with proxy_with_tls(mysql_9_7, 'tls = "off"') as proxy:
        with pytest.raises(pymysql.err.OperationalError, match="SSL"):
            proxy.connect(ssl_disabled=False, ssl=trusting_nobody())
        proxy.connect().close()


def test_client_that_refuses_the_certificate_is_told_of_in_the_log(mysql_9_7: RealServer) -> None:
    with proxy_with_tls(mysql_9_7) as proxy:
        for _ in range(3):
            with pytest.raises(pymysql.err.OperationalError, match="certificate verify failed"):
                proxy.connect(ssl_disabled=False, ssl={"ca": str(mysql_9_7.ca_file), "check_hostname": False})
        proxy.wait_for("login refused", count=3)
        first, *again = proxy.events("login refused")
        assert (first["level"], first["reason"], first["code"]) == ("warning", "client-tls", 2026)
        assert "the client refused this listener's certificate" in first["text"]
        assert "unknown ca" in first["text"]
        assert [line["level"] for line in again] == ["debug", "debug"]
        proxy.connect(ssl_disabled=False, ssl=trusting_nobody()).close()


def test_client_with_old_tls_only_is_told_of_in_the_log(mysql_9_7: RealServer) -> None:
    old = trusting_nobody()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with proxy_with_tls(mysql_9_7) as proxy:
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(ssl_disabled=False, ssl=old)
        line = proxy.wait_for("login refused")
    assert (line["level"], line["reason"]) == ("warning", "client-tls")
    assert "takes TLS 1.2 and later" in line["text"]


def test_a_certificate_of_ones_own_is_verified_by_clients(mysql_9_7: RealServer, tmp_path: Path) -> None:
    ca = make_ca("Local CA")
    made = make_server_certificate(("127.0.0.1",), issuer=ca)
    for name, pem in (("ca", ca.certificate_pem), ("cert", made.certificate_pem), ("key", made.private_key_pem)):
        (tmp_path / name).write_bytes(pem)
        (tmp_path / name).chmod(0o600)
    keys = f'tls_cert = "{tmp_path}/cert"\ntls_key = "{tmp_path}/key"\ntls = "required"'
    with proxy_with_tls(mysql_9_7, keys) as proxy:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca"))
        proxy.connect(ssl_disabled=False, ssl=context).close()


def test_the_self_signed_certificate_is_made_once_and_readable_by_its_owner_only(
    mysql_9_7: RealServer, tmp_path: Path
) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    kept = []
    for _ in range(2):
        with start_proxy(config_text(mysql_9_7), key=mysql_9_7.key, environment=environment) as proxy:
            proxy.connect(ssl_disabled=False, ssl=trusting_nobody()).close()
        (file,) = tmp_path.rglob("*.pem")
        assert file.stat().st_mode & 0o777 == 0o600
        kept.append(file.read_bytes())
    assert kept[0] == kept[1]


def test_mariadb_cli_of_debian_13_connects_without_options(mariadb_11_8: RealServer, mariadb_10_11: RealServer) -> None:
    """It insists on TLS and trusts a self-signed certificate only with MariaDB's proof in the OK packet."""
    for server in (mariadb_11_8, mariadb_10_11):
        with proxy_with_tls(server) as proxy:
            for host in (["-hlocalhost", "--protocol=tcp"], ["-h127.0.0.1"]):
                command = [*cli_command("mariadb-11.8"), *host, f"-P{proxy.port}", f"-u{USER}", f"-p{PASSWORD}"]
                done = subprocess.run(
                    [*command, "-Nse", "SELECT CURRENT_USER()"], capture_output=True, text=True, timeout=30, check=False
                )
                assert done.stdout == "user_batch@%\n", done.stderr


async def _log_in_over_tls(port: int, context: ssl.SSLContext, *, in_one_segment: bool) -> None:
    """A login over TLS; SSLRequest and ClientHello may leave in one write."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        greeting = HandshakeV10.decode((await read_packet(reader))[1])
        flags = LOGIN_CAPABILITIES | Capability.SSL
        request = LoginRequest(USER.encode(), None, 45, 1 << 24, flags, MariaDBCapability(0))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        wrapped_request = frame(ssl_request(request).encode(), 1)
        if not in_one_segment:
            writer.write(wrapped_request)
            await asyncio.sleep(0)
            wrapped_request = b""

        async def finish(step: Callable[[], bytes | None]) -> bytes | None:
            nonlocal wrapped_request
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    result = None
                    done = False
                else:
                    done = True
                writer.write(wrapped_request + outgoing.read())
                wrapped_request = b""
                if done:
                    return result
                data = await reader.read(65536)
                assert data, "closed during TLS"
                incoming.write(data)

        await finish(tls.do_handshake)
        answer = sha2_scramble(PASSWORD.encode(), greeting.nonce)
        login = frame(HandshakeResponse41(request, answer, greeting.auth_plugin_name).encode(), 2)
        tls.write(login)
        reply = await finish(lambda: tls.read(65536)) or b""
        assert reply[4:6] == b"\x01\x03", reply
        tls.write(frame(b"\x01", 0))
        writer.write(outgoing.read())
    finally:
        writer.close()


def test_client_hello_in_the_segment_of_the_ssl_request(mysql_9_7: RealServer) -> None:
    async def log_in_200_times(port: int) -> None:
        context = trusting_nobody()
        for number in range(200):
            async with asyncio.timeout(10):
                await _log_in_over_tls(port, context, in_one_segment=number % 4 != 3)

    with proxy_with_tls(mysql_9_7, target="logins_per_second = 190") as proxy:
        asyncio.run(log_in_200_times(proxy.port))


def test_a_thousand_logins_with_and_without_tls_on_one_listener(mysql_9_7: RealServer) -> None:
    async def one_kind(log_in_once: Callable[[], Awaitable[object]]) -> int:
        at_once = asyncio.Semaphore(8)

        async def log_in_in_turn() -> int:
            async with at_once, asyncio.timeout(30):
                outcome = await log_in_once()
            if isinstance(outcome, Outcome):
                outcome.writer.close()
                assert outcome.err is None
                assert not outcome.closed
            return 1

        return sum(await asyncio.gather(*(log_in_in_turn() for _ in range(1000))))

    async def both(port: int) -> tuple[int, int]:
        context = trusting_nobody()
        return await asyncio.gather(
            one_kind(lambda: log_in(port, USER, PASSWORD)),
            one_kind(lambda: _log_in_over_tls(port, context, in_one_segment=False)),
        )

    config = config_text(mysql_9_7, target="logins_per_second = 5000")
    with start_proxy(config, key=mysql_9_7.key, dev_mode=False) as proxy:
        assert list(asyncio.run(both(proxy.port))) == [1000, 1000]
