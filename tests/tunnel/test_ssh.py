"""Logins through the proxy's own tunnel, by a real sshd: what works, and what is said when it does not."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from explain.test_check import Checked, run_check
from kit.proxies import serving
from kit.running_proxy import MODULE, RunningProxy, Target, clean_environment, config_text
from kit.sts import sts
from servers.real_server import RealServer
from servers.settings import AccessKey
from tunnel.bastion import Bastion, bastion, gone, running

QUICK = "login_timeout = 6\nlogin_wait = 2"


@dataclass
class Faulty:
    """How to break a way that works, and what is said then."""

    name: str
    spoil: Callable[[Bastion], None]
    tunnel: str
    row_says: str
    advice: str


def _nothing(_: Bastion) -> None:
    pass


FAULTS = [
    Faulty("wrong key", Bastion.accept_no_key, "ssh:bastion", "Permission denied (publickey)", "ssh-add"),
    Faulty("unknown host key", Bastion.forget_host_key, "ssh:bastion", "run `ssh bastion` once", "fingerprint"),
    Faulty("other host key", Bastion.change_host_key, "ssh:bastion", "is not the one in known_hosts", "ssh-keygen -R"),
    Faulty("nobody there", _nothing, "ssh:nobody", "port 1: Connection refused", "in a terminal"),
]


@dataclass
class Elsewhere:
    """A server whose port nobody listens on."""

    endpoint: str
    host: str
    port: int
    ca_file: Path


@pytest.fixture(params=["mysql-9.7", "mariadb-11.8"])
def server(request: pytest.FixtureRequest) -> RealServer:
    found: RealServer = request.getfixturevalue(request.param.replace("-", "_").replace(".", "_"))
    return found


@pytest.fixture
def host(mysql_9_7: RealServer) -> Iterator[Bastion]:
    with bastion(mysql_9_7) as running_bastion:
        yield running_bastion


@contextlib.contextmanager
def proxy_through(
    host: Bastion,
    server: Target,
    folder: Path,
    *,
    key: AccessKey,
    tunnel: str = "ssh:bastion",
    more: str = "",
    extra: str = "",
    environment: dict[str, str] | None = None,
    on_asyncio: bool = False,
) -> Iterator[RunningProxy]:
    variables = {**host.environment, **(environment or {})}
    pairs = [f"{name}={value}" for name, value in variables.items()]
    text = tunnelled(server, tunnel, more, extra)
    with serving(folder, text, key=key, environment=pairs, on_asyncio=on_asyncio) as proxy:
        yield proxy


def tunnelled(server: Target, tunnel: str, more: str = "", extra: str = "") -> str:
    text = config_text(server, target=f'tunnel = "{tunnel}"\n{more}', extra=extra)
    return text.replace(f'dial = "{server.host}:{server.port}"\n', "")


def asked(proxy: RunningProxy, sql: str = "SELECT CURRENT_USER()", **options: object) -> object:
    with contextlib.closing(proxy.connect(**options)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def refused(proxy: RunningProxy) -> tuple[int, str]:
    with pytest.raises(pymysql.err.OperationalError) as caught:
        proxy.connect()
    code, text = caught.value.args
    return int(code), str(text)


def check_through(host: Bastion, server: Target, key: AccessKey, home: Path, tunnel: str) -> Checked:
    arguments = [server.endpoint, "--tunnel", tunnel, "--ca-file", str(server.ca_file), "--db-user", "user_batch"]
    arguments += ["--login-timeout", "3"]
    with sts() as state:
        return run_check(home, state, *arguments, "--json", key=key, extra=host.environment)


# --- it works ---


def test_login_through_a_socket_that_nobody_else_reaches(server: RealServer, tmp_path: Path) -> None:
    with (
        bastion(server) as host,
        proxy_through(host, server, tmp_path, key=server.key, on_asyncio=server.family == "mariadb") as proxy,
    ):
        assert asked(proxy) == ("user_batch@%",)
        near = Path(proxy.wait_for("tunnel open")["near"])
        assert stat.S_ISSOCK(near.stat().st_mode)
        assert stat.S_IMODE(near.parent.stat().st_mode) == 0o700
        assert proxy.stop() == 0
        assert gone(str(host.folder), but=host.process.pid)
        assert not near.parent.exists()
        assert proxy.events("internal error") == []


def test_every_step_of_check(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    checked = check_through(host, mysql_9_7, mysql_9_7.key, tmp_path, "ssh:bastion")
    assert checked.code == 0, checked.output
    assert checked.status("tunnel") == "ok"
    assert checked.status("DNS") == "skipped"
    assert checked.status("query") == "ok"
    assert gone(str(host.folder), but=host.process.pid)


def test_run_opens_it_for_one_job(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    flags = ["--tunnel", "ssh:bastion", "--ca-file", str(mysql_9_7.ca_file), "--db-user", "user_batch"]
    job = "import os, pymysql; c = pymysql.connect(unix_socket=os.environ['DB_SOCKET'], user='x',"
    job += " password=os.environ['DB_PASSWORD']); print(c.get_server_info())"
    line = [sys.executable, *MODULE, "run", mysql_9_7.endpoint, *flags, "--", sys.executable, "-c", job]
    environment = clean_environment(tmp_path, mysql_9_7.key, host.environment)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout[:4]) == (0, "9.7."), done.stderr
    assert gone(str(host.folder), but=host.process.pid)


def test_two_targets_of_one_way_share_it(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    second = f"""
[targets.second]
endpoint = "{mysql_9_7.endpoint}"
tunnel = "ssh:bastion"
ca_file = "{mysql_9_7.ca_file}"
[[listeners]]
bind = "127.0.0.1:0"
target = "second"
"""
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key, extra=second) as proxy:
        proxy.wait_for("listening", count=2)
        for entry in proxy.events("listening"):
            assert asked(proxy, port=int(entry["address"].rpartition(":")[2])) == ("user_batch@%",)
        assert len(proxy.events("tunnel opens")) == 1


def test_two_hundred_logins_at_once(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    """The tunnel is not open yet, and opens slowly."""
    outcomes: list[object] = []

    def log_in() -> None:
        began = time.monotonic()
        try:
            outcomes.append(asked(proxy, "SELECT 1"))
        except pymysql.err.OperationalError as exc:
            outcomes.append(exc.args[0] if "rds-iam-proxy:" in str(exc.args[1]) else exc)
        assert time.monotonic() - began < 20

    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        threads = [threading.Thread(target=log_in) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(outcomes) <= {(1,), 1040, 2003}, Counter(map(repr, outcomes))
        assert outcomes.count((1,)) >= 150
        assert len(proxy.events("tunnel opens")) == 1


def test_without_a_session_it_is_closed_and_opened_again(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key, more="tunnel_idle = 1") as proxy:
        with contextlib.closing(proxy.connect()) as connection:
            time.sleep(1.5)
            connection.ping(reconnect=False)
        assert proxy.wait_for("tunnel closed")["why"] == "no session needs it"
        assert gone(str(host.folder), but=host.process.pid)
        assert asked(proxy) == ("user_batch@%",)


# --- it does not work ---


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_said_when_it_does_not_open(
    mysql_9_7: RealServer, host: Bastion, tmp_path: Path, fault: Faulty
) -> None:
    fault.spoil(host)
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key, tunnel=fault.tunnel, more=QUICK) as proxy:
        began = time.monotonic()
        code, text = refused(proxy)
        assert code == 2003
        assert fault.row_says in text
        assert fault.tunnel in text
        assert time.monotonic() - began < 12
        proxy.stop()
        assert gone(str(host.folder), but=host.process.pid)
    checked = check_through(host, mysql_9_7, mysql_9_7.key, tmp_path, fault.tunnel)
    assert (checked.code, checked.failed) == (1, ["tunnel"])
    assert fault.row_says in checked.steps["tunnel"]["text"]
    assert fault.advice in checked.steps["tunnel"]["text"] + checked.steps["tunnel"]["advice"]
    assert checked.status("login") == "skipped"


def test_key_that_is_allowed_later_is_used_without_a_restart(
    mysql_9_7: RealServer, host: Bastion, tmp_path: Path
) -> None:
    allowed = (host.folder / "authorized_keys").read_text()
    host.accept_no_key()
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        assert "Permission denied" in refused(proxy)[1]
        (host.folder / "authorized_keys").write_text(allowed)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with contextlib.suppress(pymysql.err.OperationalError):
                assert asked(proxy) == ("user_batch@%",)
                return
            time.sleep(0.5)
        raise AssertionError(proxy.log_text())


@pytest.mark.parametrize("is_forbidden", [True, False])
def test_bastion_that_does_not_lead_on(mysql_9_7: RealServer, tmp_path: Path, is_forbidden: bool) -> None:
    server = Elsewhere(mysql_9_7.endpoint, "127.0.0.1", mysql_9_7.port if is_forbidden else 1, mysql_9_7.ca_file)
    told = "the bastion forbids the way" if is_forbidden else "its far end cannot connect to"
    with bastion(server, forwarding="no" if is_forbidden else "yes") as host:
        with proxy_through(host, server, tmp_path, key=mysql_9_7.key) as proxy:
            code, text = refused(proxy)
        assert code == 2003
        assert told in text
        assert "open failed" in text
        checked = check_through(host, server, mysql_9_7.key, tmp_path, "ssh:bastion")
        assert checked.failed == ["greeting"]
        assert told in checked.steps["greeting"]["text"]


def test_program_that_is_not_there(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key, environment=environment) as proxy:
        code, text = refused(proxy)
    assert code == 2003
    assert "needs the program ssh, which is not in PATH" in text


# --- it ends ---


def test_sshd_killed_in_a_query(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
            threading.Timer(0.5, host.signal_sessions, (signal.SIGKILL,)).start()
            with pytest.raises(pymysql.err.OperationalError) as caught:
                cursor.execute("SELECT SLEEP(20)")
            assert caught.value.args[0] in (2006, 2013)
        assert asked(proxy) == ("user_batch@%",), "it waits for the tunnel to be open again"
        assert len(proxy.events("tunnel open")) == 2
        assert "closed by remote host" in proxy.wait_for("tunnel ended")["why"]


def test_machine_that_slept(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    """The other side says nothing any more. Keepalives (here each second) find that out."""
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as connection:
            host.signal_sessions(signal.SIGSTOP)
            proxy.wait_for("tunnel ended", seconds=10)
            with pytest.raises(pymysql.err.OperationalError):
                connection.ping(reconnect=False)
        assert asked(proxy) == ("user_batch@%",)


def test_reload_with_another_way(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    """A session keeps the tunnel that it came through; new ones take the new."""
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        with contextlib.closing(proxy.connect()) as old:
            (tmp_path / "proxy.toml").write_text(tunnelled(mysql_9_7, "ssh:other"))
            proxy.process.send_signal(signal.SIGHUP)
            proxy.wait_for("reloaded")
            assert asked(proxy) == ("user_batch@%",)
            assert {entry["tunnel"] for entry in proxy.events("tunnel open")} == {"ssh:bastion", "ssh:other"}
            old.ping(reconnect=False)
        assert proxy.wait_for("tunnel closed")["tunnel"] == "ssh:bastion"
        assert asked(proxy) == ("user_batch@%",)
        assert proxy.stop() == 0
    assert gone(str(host.folder), but=host.process.pid)


def test_nothing_is_left_of_a_proxy_that_was_killed(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key) as proxy:
        assert asked(proxy) == ("user_batch@%",)
        near = Path(proxy.wait_for("tunnel open")["near"])
        assert running(str(near.parent))
        proxy.stop(signal.SIGKILL)
        assert gone(str(near.parent))
        assert gone(str(host.folder), but=host.process.pid)
        assert not near.parent.exists()


def test_where_no_socket_can_be_it_is_a_port(mysql_9_7: RealServer, host: Bastion, tmp_path: Path) -> None:
    """A sessions' folder with a long name, as macOS has, and no other to write to."""
    fake = tmp_path / "fake"
    fake.mkdir()
    hidden = "import rds_iam_proxy.net.sockets as s; s.MAX_SOCKET_PATH = 20"
    (fake / "sitecustomize.py").write_text(hidden + "\n")
    path = os.pathsep.join([str(fake), clean_environment(tmp_path, None)["PYTHONPATH"]])
    with proxy_through(host, mysql_9_7, tmp_path, key=mysql_9_7.key, environment={"PYTHONPATH": path}) as proxy:
        assert asked(proxy) == ("user_batch@%",)
        assert proxy.wait_for("tunnel open")["near"].startswith("127.0.0.1:")
