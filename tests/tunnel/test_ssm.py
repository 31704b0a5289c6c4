"""The tunnel by Session Manager, against a stand-in for `aws`; and by a command of one's own, socat."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from kit.proxies import serving
from kit.running_proxy import RunningProxy, config_text
from servers.real_server import RealServer
from tunnel.bastion import gone, running
from tunnel.programs import make_aws
from tunnel.test_ssh import QUICK, asked, refused, tunnelled

INSTANCE = "i-0123456789abcdef0"
TROUBLES = {
    f"An error occurred (TargetNotConnected) when calling the StartSession operation: {INSTANCE} is not connected.": (
        "is not connected to Session Manager"
    ),
    "SessionManagerPlugin is not found. Please refer to SessionManager Documentation here: "
    "http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found": "session-manager-plugin",
    "Error when retrieving token from sso: Token has expired and refresh failed": "run `aws sso login",
    "An error occurred (AccessDeniedException) when calling the StartSession operation: User: arn:aws:iam::1:user/x is"
    " not authorized to perform: ssm:StartSession": "needs ssm:StartSession",
}


@pytest.fixture
def aws(mysql_9_7: RealServer, tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return make_aws(folder, (mysql_9_7.host, mysql_9_7.port))


@contextlib.contextmanager
def through_aws(aws: Path, server: RealServer, folder: Path, more: str = "") -> Iterator[RunningProxy]:
    path = f"PATH={aws}:{os.environ['PATH']}"
    with serving(folder, tunnelled(server, f"ssm:{INSTANCE}", more), key=server.key, environment=[path]) as proxy:
        yield proxy


def test_login_by_session_manager(mysql_9_7: RealServer, aws: Path, tmp_path: Path) -> None:
    with through_aws(aws, mysql_9_7, tmp_path) as proxy:
        assert asked(proxy) == ("user_batch@%",)
        target, region, profile, parameters = json.loads((aws / "asked").read_text())
        assert (target, region, profile) == (INSTANCE, mysql_9_7.region, None)
        assert parameters["host"] == mysql_9_7.endpoint_host
        assert parameters["portNumber"] == str(mysql_9_7.endpoint_port)
        assert len(running(str(aws))) >= 2
        assert proxy.stop() == 0
        assert gone(str(aws)), "the plugin, too"


def test_nothing_of_aws_is_left_of_a_proxy_that_was_killed(mysql_9_7: RealServer, aws: Path, tmp_path: Path) -> None:
    with through_aws(aws, mysql_9_7, tmp_path) as proxy:
        assert asked(proxy) == ("user_batch@%",)
        proxy.stop(signal.SIGKILL)
        assert gone(str(aws))


def test_session_that_aws_ends_is_begun_again(mysql_9_7: RealServer, aws: Path, tmp_path: Path) -> None:
    with through_aws(aws, mysql_9_7, tmp_path) as proxy:
        with contextlib.closing(proxy.connect()) as connection:
            for pid in pids_of(f"{aws}/session-manager-plugin"):
                os.kill(pid, signal.SIGTERM)
            proxy.wait_for("tunnel ended")
            with pytest.raises(pymysql.err.OperationalError):
                connection.ping(reconnect=False)
        assert asked(proxy) == ("user_batch@%",)


@pytest.mark.parametrize("trouble", TROUBLES, ids=["not connected", "no plugin", "sso", "denied"])
def test_what_aws_says(mysql_9_7: RealServer, aws: Path, tmp_path: Path, trouble: str) -> None:
    (aws / "trouble").write_text(trouble)
    with through_aws(aws, mysql_9_7, tmp_path, QUICK) as proxy:
        code, text = refused(proxy)
    assert code == 2003
    assert TROUBLES[trouble] in text
    assert gone(str(aws))


def test_command_of_ones_own(mysql_9_7: RealServer, tmp_path: Path) -> None:
    if shutil.which("socat") is None:
        pytest.skip("there is no socat")
    far = f"TCP:{mysql_9_7.host}:{mysql_9_7.port}"
    words = json.dumps(["socat", "TCP-LISTEN:{local_port},bind=127.0.0.1,fork,reuseaddr", far])
    text = config_text(mysql_9_7, target=f"tunnel = {words}")
    text = text.replace(f'dial = "{mysql_9_7.host}:{mysql_9_7.port}"\n', "")
    with serving(tmp_path, text, key=mysql_9_7.key) as proxy:
        assert asked(proxy) == ("user_batch@%",)
        assert proxy.wait_for("tunnel open")["tunnel"] == "command socat"
        assert proxy.stop() == 0
        assert gone(f"{far}")


def test_command_gets_no_password_and_says_no_secret(mysql_9_7: RealServer, tmp_path: Path) -> None:
    """It prints its whole environment: the accounts' passwords are not in it, AWS's secrets are not shown."""
    text = config_text(mysql_9_7, target='tunnel = ["sh", "-c", "env; exit 3 # {local_port}"]\n' + QUICK)
    text = text.replace(f'dial = "{mysql_9_7.host}:{mysql_9_7.port}"\n', "")
    with serving(tmp_path, text, key=mysql_9_7.key) as proxy:
        assert "exit code 3" in refused(proxy)[1]
        assert proxy.events("tunnel says")
        log = proxy.log_text()
    assert "AWS_SECRET_ACCESS_KEY=***" in log
    assert "LEGACY_APP_PASSWORD" not in log
    key = mysql_9_7.key
    for secret in (key.secret_key, key.session_token, proxy.password):
        assert secret is not None
        assert secret not in log


def pids_of(mark: str) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _has(entry, mark)]


def _has(entry: Path, mark: str) -> bool:
    with contextlib.suppress(OSError):
        return mark.encode() in (entry / "cmdline").read_bytes()
    return False
