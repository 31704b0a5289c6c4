"""Every command where Python lacks what it lacks on Windows or macOS. Simulated: the system itself is this one."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pymysql
import pytest

from kit.admin import account_text, running_rds, target_text
from kit.running_proxy import MODULE, ROOT, USER, RunningProxy, clean_environment, start_serve
from kit.sts import sts
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from servers.settings import AccessKey

STARTUP = Path(__file__).parent / "startup"
LOG = '[log]\nformat = "json"\nlevel = "debug"\n'
SHOW_USER = (
    "import os, pymysql; c = pymysql.connect(host=os.environ['DB_HOST'], port=int(os.environ['DB_PORT']),"
    " user=os.environ['DB_USER'], password=os.environ['DB_PASSWORD']); k = c.cursor();"
    " k.execute('SELECT CURRENT_USER()'); print(k.fetchone()[0])"
)


def environment_on(system: str) -> Mapping[str, str]:
    """Of a process there."""
    roots = (STARTUP, ROOT / "proxy", ROOT / "protocol")
    return {"SIMULATED_SYSTEM": system, "PYTHONPATH": os.pathsep.join(map(str, roots))}


@pytest.fixture(params=["windows", "macos"])
def system(request: pytest.FixtureRequest) -> Mapping[str, str]:
    return environment_on(request.param)


@pytest.fixture(scope="module")
def rds() -> Iterator[EmbeddedRDS]:
    with running_rds() as rds:
        yield rds


def key_of(rds: EmbeddedRDS) -> AccessKey:
    return AccessKey(rds.keys.access_key, rds.keys.secret_key, rds.keys.session_token)


@contextlib.contextmanager
def serving(system: Mapping[str, str], rds: EmbeddedRDS, folder: Path, *flags: str) -> Iterator[RunningProxy]:
    config = folder / "proxy.toml"
    config.write_text(target_text("shop", rds) + account_text(USER) + LOG)
    options = {"key": key_of(rds), "environment": system, "home": folder, "dev_mode": False}
    with start_serve(["--config", str(config), *flags], **options) as proxy:  # type: ignore[arg-type]
        yield proxy


def asked(proxy: RunningProxy) -> str:
    with contextlib.closing(proxy.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        return str(cursor.fetchone()[0])


def test_login_refusal_and_ctrl_c(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    with serving(system, rds, tmp_path) as proxy:
        assert asked(proxy) == "demo_user@%"
        with pytest.raises(pymysql.err.OperationalError) as refused:
            proxy.connect(password="wrong")
        assert refused.value.args[0] == 1045
        with contextlib.closing(proxy.connect(ssl_disabled=False, ssl={"check_hostname": False})) as session:
            session.ping(reconnect=False)
            proxy.process.send_signal(signal.SIGINT)
            proxy.wait_for("stopping; a second signal ends at once")
            session.ping(reconnect=False)
        assert proxy.process.wait(15) == 0
        assert [line["event"] for line in proxy.events() if line["level"] == "error"] == []
        assert proxy.events("stopped")
        assert "Traceback" not in proxy.log_text()
        lacking = [line["what"] for line in proxy.events("this system lacks")]
        assert lacking == (["SIGHUP"] if system["SIMULATED_SYSTEM"] == "windows" else [])


def test_second_ctrl_c_ends_it_at_once(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    with serving(system, rds, tmp_path) as proxy, contextlib.closing(proxy.connect()):
        proxy.process.send_signal(signal.SIGINT)
        proxy.wait_for("stopping; a second signal ends at once")
        proxy.process.send_signal(signal.SIGINT)
        assert proxy.process.wait(5) in (0, 130)
        assert proxy.events("stopped")


def test_reload(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    by_signal = system["SIMULATED_SYSTEM"] == "macos"
    with serving(system, rds, tmp_path, *([] if by_signal else ["--watch"])) as proxy:
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(user="new_app")
        with (tmp_path / "proxy.toml").open("a") as config:
            config.write(account_text("new_app"))
        if by_signal:
            proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for("reloaded")
        proxy.connect(user="new_app").close()
        assert proxy.stop(signal.SIGINT) == 0


def run(
    system: Mapping[str, str], rds: EmbeddedRDS, folder: Path, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    with sts() as local_sts:
        environment = clean_environment(folder, key_of(rds), {"AWS_ENDPOINT_URL_STS": local_sts.url, **system})
        command = [sys.executable, *MODULE, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def where(rds: EmbeddedRDS) -> list[str]:
    return [str(rds.endpoint), "--dial", str(rds.address), "--ca-file", str(rds.ca_file), "--db-user", "demo_user"]


def test_check(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    done = run(system, rds, tmp_path, "check", *where(rds))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_run(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    show = [sys.executable, "-c", SHOW_USER]
    done = run(system, rds, tmp_path, "run", *where(rds), "--", *show)
    assert (done.returncode, done.stdout) == (0, "demo_user@%\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert run(system, rds, tmp_path, "run", *where(rds), "--", sys.executable, "-c", "exit(7)").returncode == 7


def test_demo(system: Mapping[str, str], rds: EmbeddedRDS, tmp_path: Path) -> None:
    done = run(system, rds, tmp_path, "demo", "--listen", "127.0.0.1:0", "--once")
    assert done.returncode == 0, done.stderr
    assert "CURRENT_USER()   demo_user@%" in done.stdout


def test_peer_user_says_what_is_missing(rds: EmbeddedRDS, tmp_path: Path) -> None:
    config = tmp_path / "proxy.toml"
    account = '[[accounts]]\nuser = "peer"\npeer_user = "root"\ndb_user = "demo_user"\n'
    config.write_text(target_text("shop", rds) + account_text(USER) + account + LOG)
    options = {"key": key_of(rds), "environment": environment_on("macos"), "home": tmp_path, "dev_mode": False}
    with start_serve(["--config", str(config)], **options) as proxy:  # type: ignore[arg-type]
        (line,) = proxy.events("this system lacks")
        assert "peer_user" in line["so"]
        assert asked(proxy) == "demo_user@%"


def test_unix_socket_says_what_is_missing(rds: EmbeddedRDS, tmp_path: Path) -> None:
    config = tmp_path / "proxy.toml"
    target = target_text("shop", rds).replace("127.0.0.1:0", f"unix:{tmp_path}/s")
    config.write_text(target + account_text(USER))
    done = run(environment_on("windows"), rds, tmp_path, "serve", "--config", str(config))
    assert done.returncode == 2
    assert "there are no Unix sockets for Python on this system" in done.stderr
    assert "Traceback" not in done.stderr
