"""Many clients at once that come, leave in every way and kill each other, while the proxy is reloaded and drained."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.conftest import assert_clean
from kit.admin import Admin
from kit.running_proxy import RunningProxy, config_text, start_serve
from reuse.ground import value
from reuse.visits import CLI, Client, Leave, PyMySQL, Seen, Visit, started_php
from servers.errors import Unavailable
from servers.real_server import RealServer

IS_LONG = bool(os.environ.get("LONG_TESTS"))
LOGINS = 10_000 if IS_LONG else 300
"""For each server."""

DRAINS = 5 if IS_LONG else 2
"""The proxy is stopped so many times, with clients in it."""

MAX_SESSIONS = 30
MAX_PARKED = 6
"""A fifth of it."""

LEAVES = (*[Leave.QUIT] * 6, Leave.UNREAD, Leave.DROP)
OF_A_KILL = {1094, 1317, 1927, 2006, 2013, 3169}
"""Errors of who was killed, or named a session that is gone."""

REFUSED = {2002, 2003}
"""The proxy has gone."""

OF_A_DRAIN = {1053, *REFUSED}
"""Beside those."""

Workers = dict[str, Client]


@dataclass
class Run:
    """What came of all clients of one proxy."""

    proxy: RunningProxy
    numbers: "itertools.count[int]"
    wrong: list[str] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Who had which session at RDS."""
    draining: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def work(self, name: str, client: Client) -> None:
        """One visit after the other, until the proxy has gone."""
        while not self.gone.is_set():
            visit = self._visit(next(self.numbers), name)
            try:
                seen = client.visit(self.proxy.port, visit)
                self._judge(name, visit, seen)
                time.sleep(0.1 if seen.error in REFUSED else 0)
            except Exception as exc:
                self.wrong.append(f"{name} {visit}: {exc!r}")
                raise

    def _visit(self, number: int, name: str) -> Visit:
        chance = random.Random(number)
        leave = chance.choice((*LEAVES, Leave.INTERRUPT) if name == "CLI" else LEAVES)
        last: tuple[str, ...] = ()
        match chance.choice(["", "", "", "transaction", "role", "kill"]):
            case "transaction":
                last = ("BEGIN", "UPDATE customers SET name = name WHERE id = 1")
            case "role":
                last = ("SET ROLE NONE",)
            case "kill" if self.seen:
                _, session = chance.choice(self.seen[-12:])
                last = (f"KILL {chance.choice(['QUERY', 'CONNECTION'])} {session}",)
        return Visit(number, chance.choice(["shop", "shop", None]) if not last else "shop", last, leave)

    def _judge(self, name: str, visit: Visit, seen: Seen) -> None:
        draining = self.draining.is_set()
        if seen.error and seen.error not in (OF_A_KILL | OF_A_DRAIN if draining else OF_A_KILL):
            self.wrong.append(f"{name} {visit} was told {seen.error}")
        if not seen.values:
            return
        (tag, _, session), answers = seen.values[0].partition("/"), seen.values[1:]
        self.seen.append((name, session))
        if tag != "-":
            self.wrong.append(f"{name} {visit} found {tag}")
        if set(answers) - {visit.answer} or (len(answers) != 3 and not seen.error):
            self.wrong.append(f"{name} {visit} was answered {answers}, {seen.error}")


@pytest.fixture
def workers(real_server: RealServer) -> Iterator[tuple[Workers, list[str]]]:
    """Clients, and what cannot be had of them."""
    found: Workers = {f"PyMySQL {number}": PyMySQL() for number in range(3)}
    missing = []
    with contextlib.ExitStack() as stack:
        for name in ("mysqli", "mysqli", "PDO", "PDO"):
            try:
                found[f"{name} {len(found)}"] = stack.enter_context(started_php(name))
            except Unavailable as exc:
                missing.append(str(exc))
        try:
            found["CLI"] = CLI(real_server.name)
        except Unavailable as exc:
            missing.append(str(exc))
        yield found, missing


@pytest.mark.timeout(3600 if IS_LONG else 300)
def test_nobody_gets_another_s_answers_and_nothing_is_left(
    real_server: RealServer, tmp_path: Path, workers: tuple[Workers, list[str]]
) -> None:
    clients, missing = workers
    numbers, seen = itertools.count(), list[tuple[str, str]]()
    for drain in range(1, DRAINS + 1):
        with _proxy(real_server, tmp_path) as proxy:
            run = Run(proxy, numbers)
            most = _visits(run, clients, real_server, tmp_path / "proxy.toml", LOGINS * drain // DRAINS - len(seen))
            assert run.wrong == []
            assert_clean(proxy.log_text())
            assert most["parked"] <= MAX_PARKED
            assert most["sessions"] <= MAX_SESSIONS
        _until_nobody_is_left(real_server)
        seen += run.seen
    assert len(seen) >= LOGINS
    for name in clients:
        sessions = [session for who, session in seen if who == name]
        assert len(sessions) > len(set(sessions)), f"{name} was lent nothing"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"in CI every client must run: {missing}", pytrace=False)
    if missing:
        pytest.skip(f"the others saw nothing wrong; not to be had: {missing}")


@contextlib.contextmanager
def _proxy(server: RealServer, folder: Path) -> Iterator[RunningProxy]:
    _configure(server, folder / "proxy.toml", 10)
    state = {"XDG_STATE_HOME": str(folder / "state")}
    arguments = ["--config", str(folder / "proxy.toml")]
    with start_serve(arguments, key=server.key, dev_mode=False, environment=state) as proxy:
        yield proxy


def _configure(server: RealServer, path: Path, reuse_idle: int) -> None:
    target = f"reuse = true\nreuse_idle = {reuse_idle}\nmax_sessions = {MAX_SESSIONS}\nlogins_per_second = 100"
    path.write_text(config_text(server, target=target, extra='[admin]\nbind = "127.0.0.1:0"'))


def _visits(run: Run, clients: Workers, server: RealServer, path: Path, logins: int) -> "Counter[str]":
    """Until there were so many logins; then the proxy drains, while they go on. The most sessions that there were."""
    threads = [threading.Thread(target=run.work, args=each) for each in clients.items()]
    line = run.proxy.wait_for("admin")
    admin = Admin(int(line["url"].rstrip("/").rpartition(":")[2]), "")
    most: Counter[str] = Counter()
    for thread in threads:
        thread.start()
    try:
        for turn in itertools.count(1):
            if len(run.seen) >= logins or run.wrong:
                break
            (target,) = admin.json("/status")["targets"]
            parked = target["parked"]
            most |= Counter(parked=parked, sessions=parked + target["sessions"])
            if turn % 10 == 0:  # a new target: those of the old one wait no more
                _configure(server, path, 10 + turn // 10 % 2)
            run.proxy.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        run.draining.set()
        assert run.proxy.stop() == 0
    finally:
        run.draining.set()
        run.gone.set()
        for thread in threads:
            thread.join()
    return most


def _until_nobody_is_left(server: RealServer) -> None:
    deadline = time.monotonic() + 10
    with server.admin() as admin:
        while value(admin, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'user_batch'"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
