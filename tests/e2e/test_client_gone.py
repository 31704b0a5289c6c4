"""A session that ends while its statement waits at the server ends there too, with its locks, as it does directly."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kit.admin import Admin
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from servers.real_server import RealServer

GONE_SECONDS = 6.0
"""The servers look whether their client is still there every 5 s at the latest."""

WAITING = {"GET_LOCK": "SELECT GET_LOCK('{lock}', 100)", "SLEEP": "SELECT SLEEP(100)"}

CLIENT = """
import sys, pymysql
host, port, user, password, statement = sys.argv[1:]
tls = {"ssl": {"check_hostname": False}} if statement.startswith("TLS ") else {"ssl_disabled": True}
client = pymysql.connect(host=host, port=int(port), user=user, password=password, **tls)
cursor = client.cursor()
cursor.execute("SELECT CONNECTION_ID()")
print(cursor.fetchone()[0], flush=True)
cursor.execute(statement.removeprefix("TLS "))
"""


class Waiting:
    """A client process whose statement waits at the server; its id there."""

    def __init__(self, server: RealServer, proxy: RunningProxy, statement: str, *, tls: bool = False) -> None:
        self._server = server
        command = [sys.executable, "-c", CLIENT, proxy.host, str(proxy.port), USER, PASSWORD]
        self.process = subprocess.Popen(
            [*command, "TLS " * tls + statement], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.id = int(self.process.stdout.readline())
        self._until(lambda state: state is not None and state.lower().startswith("user "), 10.0)

    def until_gone(self) -> float:
        """Seconds until the server has no such session any more."""
        started = time.monotonic()
        self._until(lambda state: state is None, GONE_SECONDS)
        return time.monotonic() - started

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _until(self, is_so: Callable[[str | None], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with contextlib.closing(self._server.admin()) as admin, admin.cursor() as cursor:
            while True:
                cursor.execute("SELECT state FROM information_schema.processlist WHERE id = %s", (self.id,))
                row = cursor.fetchone()
                state = None if row is None else str(row[0])
                if is_so(state):
                    return
                assert time.monotonic() < deadline, f"after {seconds} s the session is {state!r}"
                time.sleep(0.1)


@contextlib.contextmanager
def waiting(server: RealServer, proxy: RunningProxy, statement: str, *, tls: bool = False) -> Iterator[Waiting]:
    """With the lock of its name taken by somebody else meanwhile."""
    lock = f"gone-{time.monotonic_ns()}"
    with contextlib.closing(server.admin()) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 5)", (lock,))
        with contextlib.closing(Waiting(server, proxy, WAITING[statement].format(lock=lock), tls=tls)) as client:
            yield client


@pytest.mark.parametrize("statement", WAITING)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_killed_client(real_server: RealServer, statement: str, tls: bool) -> None:
    with (
        start_proxy(config_text(real_server), key=real_server.key) as proxy,
        waiting(real_server, proxy, statement, tls=tls) as client,
    ):
        client.process.kill()
        client.until_gone()


@pytest.mark.parametrize("statement", WAITING)
def test_session_that_the_drain_cuts(real_server: RealServer, statement: str) -> None:
    config = "drain_timeout = 0.2\n" + config_text(real_server)
    with (
        start_proxy(config, key=real_server.key) as proxy,
        waiting(real_server, proxy, statement) as client,
    ):
        assert proxy.stop() == 128 + signal.SIGTERM
        client.until_gone()


@pytest.mark.parametrize("statement", WAITING)
def test_session_when_the_proxy_is_killed(real_server: RealServer, statement: str) -> None:
    with (
        start_proxy(config_text(real_server), key=real_server.key) as proxy,
        waiting(real_server, proxy, statement) as client,
    ):
        proxy.process.kill()
        client.until_gone()


@pytest.mark.parametrize("statement", WAITING)
def test_session_that_the_page_ends(real_server: RealServer, tmp_path: Path, statement: str) -> None:
    config = config_text(real_server, extra='[admin]\nbind = "127.0.0.1:0"\n')
    with (
        start_proxy(config, key=real_server.key, home=tmp_path) as proxy,
        waiting(real_server, proxy, statement) as client,
    ):
        line = proxy.wait_for("admin")
        address = urlsplit(line["url"])
        admin = Admin(address.port or 0, Path(line["token_file"].replace("~", str(tmp_path), 1)).read_text().strip())
        (session,) = admin.json("/status")["sessions"]
        assert admin.end_session(session["id"]) == 200
        client.until_gone()


def test_idle_timeout_frees_the_locks(real_server: RealServer) -> None:
    config = config_text(real_server, target="idle_timeout = 1.0\n")
    with (
        start_proxy(config, key=real_server.key) as proxy,
        contextlib.closing(proxy.connect()) as session,
        session.cursor() as cursor,
        contextlib.closing(real_server.admin()) as other,
        other.cursor() as asks,
    ):
        cursor.execute("SELECT GET_LOCK('idle', 5)")
        asks.execute("SELECT GET_LOCK('idle', %s)", (1.0 + 2 + GONE_SECONDS,))
        assert asks.fetchone() == (1,)
