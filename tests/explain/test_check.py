"""`rds-iam-proxy check`, as a process of its own: each step against real servers, and each way it can fail."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.fake_server import OK, Behaviour, FakeServer, after_token, error, fake_server
from kit.own_dns import own_dns
from kit.raw_client import packet
from kit.running_proxy import MODULE, Target, clean_environment, config_text
from kit.sts import ARN, STS, sts
from rds_iam_proxy.cli.app import app
from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer, make_key
from servers.settings import AccessKey

CA = make_ca("CA of a fake server")
STEPS = ["configuration", "credentials", "clock", "DNS", "TCP", "greeting", "TLS", "token", "login", "query"]


@dataclass
class Checked:
    """What a run of `check --json` ended with."""

    code: int
    steps: dict[str, dict[str, Any]]  # of one target; by name
    order: list[str]
    output: str

    def status(self, step: str) -> str:
        return str(self.steps[step]["status"])

    @property
    def failed(self) -> list[str]:
        return [name for name, step in self.steps.items() if step["status"] == "failed"]


@pytest.fixture
def local_sts() -> Iterator[STS]:
    with sts() as state:
        yield state


@pytest.fixture
def check(tmp_path: Path, local_sts: STS) -> Callable[..., Checked]:
    def run(server: Target, *flags: str, key: AccessKey | None = None, db_user: str = "user_batch") -> Checked:
        arguments = [server.endpoint, "--dial", f"{server.host}:{server.port}", "--ca-file", str(server.ca_file)]
        return run_check(tmp_path, local_sts, *arguments, "--db-user", db_user, *flags, "--json", key=key)

    return run


def run_check(
    home: Path, local_sts: STS | None, *arguments: str, key: AccessKey | None = None, **options: Any
) -> Checked:
    result = run_plain(home, local_sts, *arguments, key=key, **options)
    assert result.stderr == ""
    found = json.loads(result.stdout)
    steps = [step for check in found["checks"] for step in check["steps"]]
    assert found["ok"] is (result.returncode == 0)
    return Checked(result.returncode, {s["step"]: s for s in steps}, [s["step"] for s in steps], result.stdout)


def run_plain(
    home: Path,
    local_sts: STS | None,
    *arguments: str,
    key: AccessKey | None = None,
    encoding: str = "utf-8",
    extra: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
) -> "subprocess.CompletedProcess[str]":
    services = {"AWS_ENDPOINT_URL_STS": local_sts.url} if local_sts else {}
    environment = clean_environment(home, key, {**services, "PYTHONIOENCODING": encoding, **(extra or {})})
    command = [*wrapper, sys.executable, "-W", "always", *MODULE, "check", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding=encoding, timeout=60, check=False
    )


def aborted(server: RealServer) -> str:
    with contextlib.closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_connects%'")
        return str(cursor.fetchall())


# --- all is well ---


def test_every_step_of_a_login_that_works(real_server: RealServer, check: Callable[..., Checked]) -> None:
    before, position = aborted(real_server), real_server.log.position()
    checked = check(real_server, key=real_server.key)
    assert checked.code == 0, checked.output
    assert checked.order == STEPS
    assert {name: step["status"] for name, step in checked.steps.items()} == {
        **dict.fromkeys(STEPS, "ok"),
        "DNS": "skipped",
    }
    assert ARN in checked.steps["credentials"]["text"]
    assert real_server.endpoint_host in checked.steps["TLS"]["details"][0]
    assert "Test CA" in checked.steps["TLS"]["details"][0]
    assert "user_batch@%" in checked.steps["query"]["text"]
    assert ("MariaDB" in checked.steps["greeting"]["text"]) is (real_server.family == "mariadb")
    assert all(0 <= step["seconds"] < 30 for step in checked.steps.values() if "seconds" in step)
    assert len(real_server.log.accepted(position)) == 2, "the proxy's own login, and PyMySQL's"
    assert aborted(real_server) == before, "nothing that counts towards max_connect_errors"


def test_whether_sessions_can_be_lent_again(real_server: RealServer, check: Callable[..., Checked]) -> None:
    checked = check(real_server, "--reuse", key=real_server.key)
    assert (checked.code, checked.status("reuse")) == (0, "ok")
    assert checked.order == [*STEPS[:-1], "reuse", STEPS[-1]]
    with real_server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SET GLOBAL init_connect = 'SET @x = 1'")
        try:
            checked = check(real_server, "--reuse", key=real_server.key)
        finally:
            cursor.execute("SET GLOBAL init_connect = ''")
    assert (checked.code, checked.status("reuse")) == (0, "warning")


def test_as_people_read_it(mysql_9_7: RealServer, tmp_path: Path, local_sts: STS) -> None:
    arguments = [mysql_9_7.endpoint, "--dial", f"{mysql_9_7.host}:{mysql_9_7.port}", "--ca-file"]
    arguments += [str(mysql_9_7.ca_file), "--db-user", "user_batch"]
    result = run_plain(tmp_path, local_sts, *arguments, key=mysql_9_7.key)
    assert (result.returncode, result.stderr) == (0, "")
    assert "  ✓ login " in result.stdout
    assert result.stdout.endswith("All is well.\n")
    result = run_plain(tmp_path, local_sts, *arguments, key=make_key(), encoding="ascii")
    assert result.returncode == 1
    assert "  FAIL login " in result.stdout
    assert "What to do: Allow arn:aws:sts::123456789012:assumed-role/batch/i-1 the action" in result.stdout
    assert "✗" not in result.stdout


def test_nothing_secret_is_printed(mysql_9_7: RealServer, check: Callable[..., Checked]) -> None:
    output = check(mysql_9_7, key=mysql_9_7.key).output + check(mysql_9_7, key=make_key()).output
    key = mysql_9_7.key
    for secret in (key.access_key, key.secret_key, key.session_token, "X-Amz-"):
        assert secret is not None
        assert secret not in output


def test_how_long_the_credentials_last(mysql_9_7: RealServer, tmp_path: Path, local_sts: STS) -> None:
    arguments = [mysql_9_7.endpoint, "--dial", f"{mysql_9_7.host}:{mysql_9_7.port}", "--db-user", "user_batch"]
    arguments += ["--ca-file", str(mysql_9_7.ca_file), "--json"]
    until = {"AWS_CREDENTIAL_EXPIRATION": f"{datetime.now(UTC) + timedelta(minutes=40, seconds=30):%Y-%m-%dT%H:%M:%SZ}"}
    checked = run_check(tmp_path, local_sts, *arguments, key=mysql_9_7.key, extra=until)
    assert checked.code == 0
    assert "valid for 40 more minutes" in checked.steps["credentials"]["text"]


def test_where_the_name_leads(mysql_9_7: RealServer, tmp_path: Path, local_sts: STS) -> None:
    behind = "ec2-1-2-3-4.eu-central-1.compute.amazonaws.com"
    endpoint = f"{mysql_9_7.endpoint_host}:{mysql_9_7.port}"  # nothing is in between
    with own_dns(tmp_path) as dns:
        mysql_9_7.change(endpoint=endpoint)
        dns.server.names |= {mysql_9_7.endpoint_host: behind, behind: mysql_9_7.host}
        arguments = [endpoint, "--ca-file", str(mysql_9_7.ca_file), "--db-user", "user_batch", "--json"]
        checked = run_check(tmp_path, local_sts, *arguments, key=mysql_9_7.key, wrapper=dns.wrapper)
    assert checked.code == 0, checked.output
    assert checked.steps["DNS"]["text"] == f"{mysql_9_7.endpoint_host} is 127.0.0.1"
    assert checked.steps["DNS"]["details"] == [f"{mysql_9_7.endpoint_host} → {behind}"]


def test_configuration_file_with_two_targets(mysql_9_7: RealServer, tmp_path: Path, local_sts: STS) -> None:
    second = config_text(mysql_9_7).split("[[listeners]]")[0].replace("targets.shop", "targets.broken")
    other = mysql_9_7.endpoint.replace("mysql-9-7", "other")
    path = tmp_path / "proxy.toml"
    path.write_text(config_text(mysql_9_7) + second.replace(mysql_9_7.endpoint, other))
    result = run_plain(
        tmp_path, local_sts, "--config", str(path), "--json", key=replace(mysql_9_7.key), encoding="utf-8"
    )
    assert result.returncode == 1
    _, good, bad = json.loads(result.stdout)["checks"]
    assert good["subject"] == f"shop: {mysql_9_7.endpoint} as user_batch"
    assert {step["status"] for step in good["steps"]} == {"ok", "skipped"}
    assert [step["step"] for step in bad["steps"] if step["status"] == "failed"] == ["TLS"]


def test_it_listens_nowhere(mysql_9_7: RealServer, check: Callable[..., Checked]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check(mysql_9_7, "--listen", f"127.0.0.1:{port}", key=mysql_9_7.key).code == 0


def test_it_takes_all_flags_of_serve() -> None:
    commands = app.commands
    of_serve, of_check = ({p.name for p in commands[name].params} for name in ("serve", "check"))
    assert of_check - of_serve == {"json", "config_only"}
    assert of_serve <= of_check


# --- STS ---


def test_sts_out_of_reach_is_a_warning(mysql_9_7: RealServer, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        unreachable = STS(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        arguments = [mysql_9_7.endpoint, "--dial", f"{mysql_9_7.host}:{mysql_9_7.port}", "--db-user", "user_batch"]
        arguments += ["--ca-file", str(mysql_9_7.ca_file), "--json"]
        checked = run_check(tmp_path, unreachable, *arguments, key=mysql_9_7.key)
    assert checked.code == 0
    assert checked.status("credentials") == "warning"
    assert "STS could not be asked" in checked.steps["credentials"]["text"]
    assert "clock" not in checked.steps


def test_sts_that_is_silent_is_not_waited_for(
    mysql_9_7: RealServer, check: Callable[..., Checked], local_sts: STS
) -> None:
    local_sts.delay = 8
    began = time.monotonic()
    checked = check(mysql_9_7, key=mysql_9_7.key)
    assert checked.code == 0
    assert checked.status("credentials") == "warning"
    assert checked.steps["credentials"]["seconds"] < 7
    assert time.monotonic() - began < 25
    assert local_sts.asked == 1, "no retries"


@pytest.mark.parametrize(("ahead", "words"), [(-600, "600 s ahead of"), (600, "600 s behind")])
def test_clock_is_compared_with_that_of_aws(
    mysql_9_7: RealServer, check: Callable[..., Checked], local_sts: STS, ahead: float, words: str
) -> None:
    local_sts.ahead = ahead
    checked = check(mysql_9_7, key=mysql_9_7.key)
    assert checked.status("clock") == "warning"
    text = checked.steps["clock"]["text"].replace("599", "600").replace("601", "600")
    assert words in text
    assert "NTP" in text
    assert checked.code == 0


def test_credentials_that_aws_does_not_take(
    mysql_9_7: RealServer, check: Callable[..., Checked], local_sts: STS
) -> None:
    local_sts.error = "ExpiredToken"
    checked = check(mysql_9_7, key=mysql_9_7.key)
    assert (checked.code, checked.failed) == (1, ["credentials"])
    assert "expired" in checked.steps["credentials"]["text"]
    assert checked.status("login") == "skipped"


# --- each step that decides, failing ---


def assert_failed(checked: Checked, step: str, words: str) -> None:
    assert (checked.code, checked.failed) == (1, [step]), checked.output
    assert words in checked.steps[step]["text"]
    later = STEPS[STEPS.index(step) + 1 :]
    assert all(checked.status(name) == "skipped" for name in later if name in checked.steps), checked.output


def test_configuration_fails(tmp_path: Path) -> None:
    checked = run_check(tmp_path, None, "db.example.com", "--logins-per-second", "0", "--json")
    assert (checked.code, checked.order) == (1, ["configuration"])
    faults = checked.steps["configuration"]["details"]
    assert any("not a name that RDS gives out" in fault for fault in faults)
    assert any("--logins-per-second" in fault for fault in faults)


def test_credentials_fail(mysql_9_7: RealServer, check: Callable[..., Checked]) -> None:
    checked = check(mysql_9_7)
    assert_failed(checked, "credentials", "no AWS credentials found")
    assert checked.steps["credentials"]["advice"]


def test_tcp_fails(tmp_path: Path, check: Callable[..., Checked]) -> None:
    (tmp_path / "ca.pem").write_bytes(CA.certificate_pem)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        checked = check(FakeServer(nobody.getsockname()[1], tmp_path / "ca.pem"), key=make_key())
    assert_failed(checked, "TCP", "Connection refused")
    assert "start the tunnel" in checked.steps["TCP"]["advice"]


def test_name_that_the_dns_does_not_know(tmp_path: Path, local_sts: STS) -> None:
    endpoint = "nowhere.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
    checked = run_check(tmp_path, local_sts, endpoint, "--db-user", "user_batch", "--json", key=make_key())
    assert checked.status("DNS") == "warning"
    assert_failed(checked, "TCP", "has no address")


@contextlib.contextmanager
def faked(behaviour: Behaviour, folder: Path) -> Iterator[FakeServer]:
    with fake_server(behaviour, CA, folder) as server:
        yield server


def test_greeting_fails(tmp_path: Path, check: Callable[..., Checked]) -> None:
    with faked(lambda peer, _: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), tmp_path) as server:
        checked = check(server, key=make_key())
    assert_failed(checked, "greeting", "ended the login while reading the greeting")
    assert checked.status("TCP") == "ok"


def test_tls_fails(mysql_9_7: RealServer, check: Callable[..., Checked]) -> None:
    with mysql_9_7.showing(name="reports.example.com"):
        checked = check(mysql_9_7, key=mysql_9_7.key)
    assert_failed(checked, "TLS", "is for reports.example.com, not valid for")
    assert "issued by CN=Test CA" in checked.steps["TLS"]["details"][0]
    assert checked.status("greeting") == "ok"


def test_login_fails(real_server: RealServer, check: Callable[..., Checked]) -> None:
    checked = check(real_server, key=make_key())
    assert_failed(checked, "login", "RDS refused the IAM token of DB user user_batch")
    assert checked.steps["login"]["advice"].startswith(
        f"Allow {ARN} the action rds-db:connect on"
        " arn:aws:rds-db:eu-central-1:123456789012:dbuser:RESOURCE-ID/user_batch."
    )
    assert checked.status("token") == "ok"


def test_user_that_is_no_iam_user(real_server: RealServer, check: Callable[..., Checked]) -> None:
    checked = check(real_server, key=real_server.key, db_user="plain_user")
    assert_failed(checked, "login", "does not log in with IAM")
    assert checked.steps["token"]["text"] == "not asked for"


def test_query_fails(tmp_path: Path, check: Callable[..., Checked]) -> None:
    answers = [packet(OK, 5), error(1045, "Access denied for user 'user_batch'", 5, "28000")]
    with faked(after_token(CA, tmp_path, lambda _token: answers.pop(0)), tmp_path) as server:
        checked = check(server, key=make_key())
    assert_failed(checked, "query", "a second login, by PyMySQL, failed: Access denied")


def test_a_token_that_the_server_repeats_is_not_shown(tmp_path: Path, check: Callable[..., Checked]) -> None:
    heard: list[bytes] = []

    def answer(token: bytes) -> bytes:
        heard.append(token)
        return packet(OK, 5) if len(heard) == 1 else error(1045, token[-50:].decode().strip("\0"), 5, "28000")

    with faked(after_token(CA, tmp_path, answer), tmp_path) as server:
        checked = check(server, key=make_key())
    assert_failed(checked, "query", "is left out")
    assert heard[0][-21:-1].decode() not in checked.output
