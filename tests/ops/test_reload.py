"""A new configuration while sessions are open."""

import contextlib
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.proxies import serving
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_serve
from servers.real_server import RealServer

NEW_PASSWORD = "a new password for the same user"
REFUSED = "not reloaded, all stays as it was"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def rewrite(path: Path, text: str) -> None:
    """In one step, as editors and configuration managers do."""
    unfinished = path.with_name("unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.rename(path)


def config_with(server: RealServer, password_file: Path, port: int) -> str:
    text = config_text(server, target="logins_per_second = 150\nlogin_burst = 100")
    text = text.replace('password_env = "LEGACY_APP_PASSWORD"', f'password_file = "{password_file}"')
    return text.replace("127.0.0.1:0", f"127.0.0.1:{port}")


def reload(proxy: RunningProxy, event: str = "reloaded") -> dict[str, object]:
    position = proxy.log_position()
    proxy.process.send_signal(signal.SIGHUP)
    return proxy.wait_for(event, since=position)


def user_of(proxy: RunningProxy, **options: object) -> object:
    with contextlib.closing(proxy.connect(**options)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        return cursor.fetchone()


class Load:
    """Sessions that ask all the time, in a thread each."""

    def __init__(self, proxy: RunningProxy, sessions: int) -> None:
        self.faults: list[object] = []
        self.answers = [0] * sessions
        self._proxy = proxy
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(sessions)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.wait_for_answers()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for_answers(self) -> None:
        """Until each session has had ten more."""
        before = list(self.answers)
        deadline = time.monotonic() + 40
        while not self.faults and any(now < then + 10 for now, then in zip(self.answers, before, strict=True)):
            assert time.monotonic() < deadline, self.answers
            time.sleep(0.02)
        assert self.faults == []

    def _work(self, number: int) -> None:
        try:
            with contextlib.closing(self._proxy.connect()) as connection, connection.cursor() as cursor:
                while not self._over.is_set():
                    cursor.execute("SELECT REPEAT(%s, 5000)", (chr(65 + number),))
                    assert cursor.fetchall() == ((chr(65 + number) * 5000,),)
                    self.answers[number] += 1
                    time.sleep(0.001)
        except Exception as exc:
            self.faults.append(exc)


@pytest.mark.parametrize("on_asyncio", [False, True])
def test_reload_under_load_loses_no_session(mysql_9_7: RealServer, tmp_path: Path, on_asyncio: bool) -> None:
    password, first_port, second_port = tmp_path / "password", free_port(), free_port()
    rewrite(password, PASSWORD)
    config = config_with(mysql_9_7, password, first_port)
    with serving(tmp_path, config, key=mysql_9_7.key, on_asyncio=on_asyncio) as proxy:
        with Load(proxy, 20) as load:
            rewrite(password, NEW_PASSWORD)
            more = '[[accounts]]\nuser = "another"\npassword_file = "password"\ndb_user = "user_report"\n'
            rewrite(tmp_path / "proxy.toml", config_with(mysql_9_7, password, second_port) + more)
            assert reload(proxy)["accounts"] == 2
            load.wait_for_answers()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", first_port), timeout=5).close()
            proxy.port = second_port
            assert user_of(proxy, password=NEW_PASSWORD) == ("user_batch@%",)
            assert user_of(proxy, password=NEW_PASSWORD, user="another") == ("user_report@%",)
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                proxy.connect(password=PASSWORD)
            load.wait_for_answers()
        assert load.faults == []
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_session_of_a_removed_target_and_account_goes_on(mysql_9_7: RealServer, tmp_path: Path) -> None:
    config = config_text(mysql_9_7)
    with serving(tmp_path, config, key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as connection:
            other = config.replace("shop", "store").replace(f'user = "{USER}"', 'user = "somebody"', 1)
            rewrite(tmp_path / "proxy.toml", other)
            reload(proxy)
            connection.ping(reconnect=False)
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                proxy.connect()
            proxy.connect(user="somebody").close()
            connection.ping(reconnect=False)
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_bad_configuration_is_refused_with_its_faults(mysql_9_7: RealServer, tmp_path: Path) -> None:
    config = config_text(mysql_9_7)
    with (
        serving(tmp_path, config, key=mysql_9_7.key) as proxy,
        socket.create_server(("127.0.0.1", 0)) as taken,
        contextlib.closing(proxy.connect()) as connection,
    ):
        rewrite(tmp_path / "proxy.toml", config.replace("endpoint", "end_point") + 'colour = "blue"\n')
        position = proxy.log_position()
        assert reload(proxy, REFUSED)["level"] == "error"
        proxy.wait_for(REFUSED, since=position, count=3)
        faults = [str(entry["fault"]) for entry in proxy.events(REFUSED)]
        assert any(re.match(r"targets\.shop\.end_point, line [0-9]+: unknown key", fault) for fault in faults)
        assert any(re.match(r"log\.colour, line [0-9]+: unknown key", fault) for fault in faults)

        rewrite(tmp_path / "proxy.toml", config.replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
        assert "cannot listen" in str(reload(proxy, REFUSED)["fault"])
        connection.ping(reconnect=False)
        proxy.connect().close()
        assert proxy.stop() == 0


def test_password_from_the_environment_needs_a_restart_and_reload_says_so(
    mysql_9_7: RealServer, tmp_path: Path
) -> None:
    with serving(tmp_path, config_text(mysql_9_7), key=mysql_9_7.key) as proxy:
        reload(proxy)
        told = proxy.wait_for("passwords from the environment are those of the start; restart to change them")
        assert told["users"] == USER
        proxy.connect().close()
        assert proxy.stop() == 0


@pytest.mark.parametrize("on_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_watch_takes_a_changed_password_file(mysql_9_7: RealServer, tmp_path: Path, on_asyncio: bool) -> None:
    password = tmp_path / "password"
    rewrite(password, PASSWORD)
    config = config_with(mysql_9_7, password, 0)
    with serving(tmp_path, config, "--watch", key=mysql_9_7.key, on_asyncio=on_asyncio) as proxy:
        proxy.connect().close()
        rewrite(password, NEW_PASSWORD)
        proxy.wait_for("reloaded")
        proxy.connect(password=NEW_PASSWORD).close()
        assert len(proxy.events("reloaded")) == 1
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())


def test_reload_without_a_file_reads_the_password_anew(mysql_9_7: RealServer, tmp_path: Path) -> None:
    password = tmp_path / "password"
    rewrite(password, PASSWORD)
    flags = [mysql_9_7.endpoint, "--listen", "127.0.0.1:0", "--db-user", "user_batch", "--user", USER]
    flags += ["--dial", f"{mysql_9_7.host}:{mysql_9_7.port}", "--ca-file", str(mysql_9_7.ca_file)]
    with start_serve([*flags, "--password-file", str(password)], key=mysql_9_7.key, home=tmp_path) as proxy:
        proxy.connect().close()
        rewrite(password, NEW_PASSWORD)
        reload(proxy)
        proxy.connect(password=NEW_PASSWORD).close()
        assert proxy.stop() == 0
