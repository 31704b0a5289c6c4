"""systemd's protocols, with a socket in the place of systemd."""

import configparser
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from e2e.conftest import assert_clean
from kit.proxies import serving
from kit.running_proxy import PASSWORD, ROOT, USER, config_text, start_proxy
from rds_iam_proxy.cli.app import app
from rds_iam_proxy.net.sockets import SocketName
from rds_iam_proxy.service.systemd import LentSockets, Notifier, take_from
from servers.real_server import RealServer

UNITS = ROOT / "packaging" / "systemd"


class Systemd:
    """The end of NOTIFY_SOCKET that listens."""

    def __init__(self, sock: socket.socket) -> None:
        self.address = str(sock.getsockname())
        self._socket = sock
        sock.settimeout(20)

    def told(self, *, watchdog: bool = False) -> dict[str, str]:
        """The next message; those of the watchdog are left out unless it is waited for."""
        while True:
            lines = self._socket.recv(4096).decode().split("\n")
            message = dict(line.split("=", 1) for line in lines)
            if ("WATCHDOG" in message) is watchdog:
                return message


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield Systemd(sock)


def test_service_tells_systemd_how_it_is(mysql_9_7: RealServer, tmp_path: Path, systemd: Systemd) -> None:
    environment = [f"NOTIFY_SOCKET={systemd.address}", "WATCHDOG_USEC=2000000"]
    config = config_text(mysql_9_7)
    with serving(tmp_path, config, key=mysql_9_7.key, environment=environment) as proxy:
        assert systemd.told() == {"READY": "1", "STATUS": f"listening on 127.0.0.1:{proxy.port}"}
        began = time.monotonic()
        assert systemd.told(watchdog=True) == {"WATCHDOG": "1"}
        assert time.monotonic() - began < 2

        before = time.monotonic_ns() // 1000
        proxy.process.send_signal(signal.SIGHUP)
        reloading = systemd.told()
        assert (reloading["RELOADING"], systemd.told()["READY"]) == ("1", "1")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000

        (tmp_path / "proxy.toml").write_text("")
        proxy.process.send_signal(signal.SIGHUP)
        assert "RELOADING" in systemd.told()
        assert systemd.told()["READY"] == "1", "a refused configuration is no failure of the service"

        proxy.process.send_signal(signal.SIGTERM)
        assert systemd.told()["STOPPING"] == "1"
        assert proxy.process.wait(15) == 0


def test_listens_on_sockets_that_it_is_given(mysql_9_7: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "mysql.sock"
    config = config_text(mysql_9_7).replace("127.0.0.1:0", "systemd:mysql")
    config += '[[listeners]]\nbind = "systemd:local"\ntarget = "shop"\n'
    wrapper = [sys.executable, str(ROOT / "tests/kit/activate.py"), "mysql=127.0.0.1:0", f"local={path}", "--"]
    with start_proxy(config, key=mysql_9_7.key, wrapper=wrapper) as proxy:
        proxy.connect().close()
        proxy.wait_for("listening", count=2)
        settings = {"unix_socket": str(path), "user": USER, "password": PASSWORD, "ssl_disabled": True}
        with contextlib.closing(pymysql.connect(**settings)) as connection:  # type: ignore[call-overload]
            connection.ping(reconnect=False)
        assert proxy.stop() == 0
        assert_clean(proxy.log_text())
    assert path.exists(), "it is systemd's"


@pytest.mark.parametrize(
    ("sockets", "fault"),
    [
        (["other=127.0.0.1:0"], "systemd:mysql: systemd handed over no socket of this name, but: other"),
        (["mysql=127.0.0.1:0", "mysql=127.0.0.1:0"], "2 sockets have this name"),
        (["mysql=0.0.0.0:0"], "is not a loopback address: logins would cross the network"),
    ],
)
def test_socket_that_cannot_be_used_is_a_fault(
    mysql_9_7: RealServer, sockets: list[str], fault: str, tmp_path: Path
) -> None:
    config = config_text(mysql_9_7).replace("127.0.0.1:0", "systemd:mysql")
    wrapper = [sys.executable, str(ROOT / "tests/kit/activate.py"), *sockets, "--"]
    with pytest.raises(AssertionError, match=re.escape(fault)), start_proxy(config, key=mysql_9_7.key, wrapper=wrapper):
        pass


def test_variables_are_taken_once_and_only_by_the_process_they_are_for() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "9", "PATH": "/bin"}
        notifier, sockets = take_from(environ)
    assert (notifier.address, notifier.has_watchdog) == ("@x", True)
    assert environ == {"PATH": "/bin"}
    with pytest.raises(ValueError, match="none at all"):
        sockets.lend(SocketName("unknown"))
    assert not take_from({"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"})[0].has_watchdog


def test_nobody_is_told_where_there_is_no_systemd(tmp_path: Path) -> None:
    for notifier in (Notifier(), Notifier(str(tmp_path / "missing"), has_watchdog=True)):
        notifier.ready("")
        notifier.reloading()
        notifier.stopping(3)
        notifier.alive()


def test_lent_socket_can_be_lent_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sockets = LentSockets({"mysql": [sock.fileno()]})
        for _ in range(2):
            lent = sockets.lend(SocketName("mysql"))
            lent.close()
        socket.create_connection(sock.getsockname()).close()


def test_flags_of_the_packages_exist() -> None:
    commands = app.commands
    flags = {flag for parameter in commands["serve"].params for flag in parameter.opts}
    compose = (ROOT / "packaging/docker/compose.yaml").read_text()
    command = _unit(UNITS / "rds-iam-proxy.service")["Service"]["ExecStart"]
    used = re.findall(r"- (--[a-z-]+)=?", compose) + re.findall(r"--[a-z-]+", command)
    assert len(used) > 5
    assert set(used) <= flags


def test_units_say_what_the_program_can_do() -> None:
    service, sockets = (_unit(UNITS / f"rds-iam-proxy.{kind}") for kind in ("service", "socket"))
    assert service["Service"]["Type"] == "notify"
    assert "-HUP" in service["Service"]["ExecReload"]
    assert service["Service"]["NotifyAccess"] == "main"
    assert float(service["Service"]["TimeoutStopSec"].removesuffix("s")) > 30 + 1, "drain_timeout and the last words"
    assert float(service["Service"]["WatchdogSec"].removesuffix("s")) >= 2
    assert sockets["Socket"]["FileDescriptorName"] == "mysql"
    assert os.path.basename(service["Service"]["ExecStart"].split()[0]) == "rds-iam-proxy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        text = path.read_text().replace("/usr/local/bin/rds-iam-proxy", "/bin/true")
        (tmp_path / path.name).write_text(text)
    command = ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit
