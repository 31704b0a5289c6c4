"""Listeners on Unix sockets: passwords as over TCP, and users whom the operating system vouches for."""

import contextlib
import os
import pwd
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection

from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from servers.real_server import RealServer

ME = pwd.getpwuid(os.geteuid()).pw_name


def _config(server: RealServer, path: Path, account: str = "") -> str:
    return f'{config_text(server, extra=account)}\n[[listeners]]\nbind = "unix:{path}"\ntarget = "shop"\n'


@contextlib.contextmanager
def proxy_on(server: RealServer, path: Path, account: str = "") -> Iterator[RunningProxy]:
    with start_proxy(_config(server, path, account), key=server.key) as proxy:
        proxy.wait_for("listening", count=2)
        yield proxy


def connect(path: Path, **options: Any) -> "Connection[Any]":
    settings: dict[str, Any] = {"unix_socket": str(path), "user": USER, "password": PASSWORD, "ssl_disabled": True}
    return pymysql.connect(**{**settings, **options})


def _who_is(connection: "Connection[Any]") -> object:
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        return cursor.fetchone()


def test_login_by_password_through_the_socket(real_server: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with proxy_on(real_server, path) as proxy:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert _who_is(connect(path)) == ("user_batch@%",)
        with pytest.raises(pymysql.err.OperationalError) as caught:
            connect(path, password="wrong")
        assert caught.value.args[0] == 1045
        refused = proxy.wait_for("login refused")
        assert len(proxy.events("login refused")) == 1
        assert (refused["peer"], refused["pid"]) == (f"uid:{os.geteuid()}", os.getpid())
        assert proxy.stop() == 0
        ended = proxy.events("session ended")[0]
        assert (ended["peer"], ended["pid"]) == (f"uid:{os.geteuid()}", os.getpid())
    assert not path.exists(), "removed at the end"


def test_peer_user_logs_in_with_any_password_or_none_and_never_over_tcp(
    real_server: RealServer, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    account = f'[[accounts]]\nuser = "deploy"\npeer_user = "{ME}"\ndb_user = "user_batch"\n'
    with proxy_on(real_server, path, account) as proxy:
        for password in ("", "anything"):
            assert _who_is(connect(path, user="deploy", password=password)) == ("user_batch@%",)
        for password in ("", "anything"):
            with pytest.raises(pymysql.err.OperationalError) as caught:
                proxy.connect(user="deploy", password=password)
            assert caught.value.args[0] == 1045


def test_another_local_user_is_no_peer(mysql_9_7: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "s"
    account = '[[accounts]]\nuser = "deploy"\npeer_user = "nobody"\ndb_user = "user_batch"\n'
    with proxy_on(mysql_9_7, path, account), pytest.raises(pymysql.err.OperationalError) as caught:
        connect(path, user="deploy", password="")
    assert caught.value.args[0] == 1045


def test_our_own_dead_socket_is_replaced(mysql_9_7: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with proxy_on(mysql_9_7, path) as proxy:
        proxy.process.send_signal(signal.SIGKILL)
        proxy.process.wait()
    assert path.exists()
    with proxy_on(mysql_9_7, path):
        connect(path).close()


@pytest.mark.parametrize("obstacle", ["a file", "a live socket"])
def test_what_is_not_our_dead_socket_stays(mysql_9_7: RealServer, tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "s"
    with contextlib.ExitStack() as stack:
        if obstacle == "a file":
            path.write_text("precious")
        else:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()
        with pytest.raises(AssertionError, match=f"cannot listen on {path}"):
            stack.enter_context(proxy_on(mysql_9_7, path))
        assert path.exists()


def test_either_password_is_right_while_it_is_being_changed(mysql_9_7: RealServer, tmp_path: Path) -> None:
    (tmp_path / "next").write_text("the next password\n")
    (tmp_path / "next").chmod(0o600)
    config = config_text(mysql_9_7, extra=f'next_password_file = "{tmp_path}/next"')
    with start_proxy(config, key=mysql_9_7.key) as proxy:
        for password in (PASSWORD, "the next password"):
            proxy.connect(password=password).close()
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(password="another")
