"""MySQL blocks hosts whose handshakes break off (max_connect_errors): nothing that a client does here may count."""

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

from pymysql.cursors import DictCursor

from e2e.conftest import running
from kit.fake_server import FakeServer, fake_server
from kit.raw_client import RawClient, login_payload, packet, refusal
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text
from servers.real_server import RealServer
from servers.settings import AccessKey


class Source:
    """Passes connections on from another loopback address: MySQL remembers nothing of 127.0.0.1."""

    def __init__(self, server: RealServer, address: str) -> None:
        self._server = server
        self._address = address

    def __call__(self, connection: socket.socket, server: FakeServer) -> None:
        target = (self._server.host, self._server.port)
        with socket.create_connection(target, timeout=30, source_address=(self._address, 0)) as onward:
            while True:
                ready, _, _ = select.select([connection, onward], [], [], 30)
                for end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    (onward if end is connection else connection).sendall(data)

    def errors(self) -> dict[str, int]:
        """Every counter of this address that is not 0."""
        with contextlib.closing(self._server.admin()) as admin, admin.cursor(DictCursor) as cursor:
            cursor.execute("SELECT * FROM performance_schema.host_cache WHERE IP = %s", (self._address,))
            (row,) = cursor.fetchall()
        ignored = "COUNT_NAMEINFO_PERMANENT_ERRORS"  # it has no name
        return {key: row[key] for key in row if key.startswith(("COUNT_", "SUM_")) and row[key] and key != ignored}


@contextlib.contextmanager
def from_another_address(
    server: RealServer, address: str, folder: Path, key: AccessKey | None
) -> Iterator[tuple[RunningProxy, Source]]:
    """A proxy whose connections come from `address`."""
    source = Source(server, address)
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("TRUNCATE TABLE performance_schema.host_cache")
    with fake_server(source, server.ca, folder) as forwarder:
        forwarder.endpoint = server.endpoint
        with running(config_text(forwarder), key=key) as proxy:
            yield proxy, source


def test_host_cache_of_mysql_stays_clean(mysql_9_7: RealServer, tmp_path: Path) -> None:
    with from_another_address(mysql_9_7, "127.0.0.9", tmp_path, mysql_9_7.key) as (proxy, source):
        for _ in range(20):
            proxy.connect().close()
        for _ in range(5):
            assert refusal(proxy.port, USER, "wrong").code == 1045
        for sent in (0, 10):
            with RawClient(proxy.port) as client:
                client.socket.sendall(packet(login_payload(USER, b"x" * 20, "p"), 1)[:sent])
        assert source.errors() == {}


def test_logins_without_aws_credentials_do_not_get_the_proxy_blocked(mysql_9_7: RealServer, tmp_path: Path) -> None:
    with from_another_address(mysql_9_7, "127.0.0.10", tmp_path, None) as (proxy, source):
        for _ in range(3):
            assert refusal(proxy.port, USER, PASSWORD).code == 1045
        assert source.errors().get("SUM_CONNECT_ERRORS", 0) == 0
