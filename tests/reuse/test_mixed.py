"""Many clients at once that come, leave in every way and kill each other, while the proxy is reloaded and drained."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.running_proxy import RunningProxy, config_text, start_serve
from reuse.ground import value
from servers.real_server import RealServer

LOGINS = 10_000 if os.environ.get("LONG_TESTS") else 300
"""For each server."""

CLIENTS = 8
MAX_SESSIONS = 40
ABOUT_OUR_OWN_END = {1053, 1317, 1927, 2006, 2013, 1040, 3169}
"""Errors of a client that was killed, or whose proxy drains."""


class Run:
    """What came of all clients."""

    def __init__(self, proxy: RunningProxy) -> None:
        self.proxy = proxy
        self.wrong: list[str] = []
        self.seen: Counter[int] = Counter()
        """Clients by the session at RDS that they had."""
        self.ids: set[int] = set()
        self._lock = threading.Lock()

    def client(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with contextlib.suppress(pymysql.err.OperationalError):
                self._talk(number, chance)
        except pymysql.MySQLError as exc:
            if exc.args[0] not in ABOUT_OUR_OWN_END:
                self.wrong.append(f"{number}: {exc}")
        except (OSError, ValueError, IndexError, AttributeError):
            return  # the connection ended under it

    def _talk(self, number: int, chance: random.Random) -> None:
        client: Any = self.proxy.connect(database=chance.choice(["shop", "shop", None]), read_timeout=20)
        mine = client.server_thread_id[0]
        with self._lock:
            self.ids.add(mine)
        found = value(client, "SELECT CONVERT(CONCAT(IFNULL(@tag, '-'), '/', CONNECTION_ID()) USING utf8mb4)")
        if isinstance(found, str) and not found.startswith("ERR"):
            tag, session = found.split("/")
            with self._lock:
                self.seen[int(session)] += 1
            if tag != "-":
                self.wrong.append(f"{number} found {tag}")
        value(client, f"SET @tag = 'client{number}'")
        for _ in range(3):
            answer = value(client, f"SELECT CONCAT(@tag, '-', {number})")
            if answer != f"client{number}-{number}" and not str(answer).startswith("ERR"):
                self.wrong.append(f"{number} was answered {answer}")
        self._leave(client, chance)

    def _leave(self, client: Any, chance: random.Random) -> None:
        how = chance.choice(["quit", "quit", "quit", "quit", "transaction", "unread", "drop", "kill", "role"])
        if how == "transaction":
            value(client, "BEGIN")
            value(client, "UPDATE customers SET name = name WHERE id = 1")
        if how == "kill":
            with self._lock:
                victim = chance.choice(sorted(self.ids))
            value(client, f"KILL {chance.choice(['QUERY', 'CONNECTION'])} {victim}")
        if how == "role":
            value(client, "SET ROLE NONE")
        if how == "unread":
            client._execute_command(0x03, "SELECT REPEAT('x', 1000), 'of another' FROM customers")
        if how == "drop":
            client._force_close()
        else:
            client.close()


@pytest.mark.timeout(1800 if LOGINS > 1000 else 300)
def test_nobody_gets_another_s_answers_and_nothing_is_left(real_server: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    settings = f"reuse = true\nmax_sessions = {MAX_SESSIONS}\nlogins_per_second = 1000\nlogin_burst = 1000"
    path.write_text(config_text(real_server, target=settings))
    seen: Counter[int] = Counter()
    for part in range(2):
        with start_serve(["--config", str(path)], key=real_server.key, dev_mode=False) as proxy:
            run, over = Run(proxy), threading.Event()
            most = [0]
            watching = threading.Thread(target=_watch, args=(real_server, over, most, proxy))
            watching.start()
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(run.client, range(part * LOGINS, part * LOGINS + LOGINS // 2)))
            over.set()
            watching.join()
            assert run.wrong == []
            assert most[0] <= MAX_SESSIONS + 2
            assert proxy.stop() == 0
            assert_clean(proxy.log_text())
            seen += run.seen
    _until_nobody_is_left(real_server)
    assert seen.total() > LOGINS * 0.5
    assert seen.total() > 2 * len(seen)


def _watch(server: RealServer, over: threading.Event, most: list[int], proxy: RunningProxy) -> None:
    """How many sessions there are at once; meanwhile the configuration is read again."""
    with server.admin() as admin:
        while not over.wait(0.1):
            count = value(admin, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'user_batch'")
            most[0] = max(most[0], int(count))
            proxy.process.send_signal(signal.SIGHUP)


def _until_nobody_is_left(server: RealServer) -> None:
    deadline = time.monotonic() + 10
    with server.admin() as admin:
        while value(admin, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'user_batch'"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
