"""The admin address of a real proxy process, over HTTP."""

import contextlib
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pymysql
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kit.admin import (
    HOSTILE,
    PASSWORD,
    Admin,
    RunningProxy,
    account_text,
    eventually,
    proxy_with_admin,
    target_text,
)
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS


@pytest.fixture(scope="module")
def running(rds: EmbeddedRDS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningProxy, Admin]]:
    home = tmp_path_factory.mktemp("home")
    config = target_text("shop", rds) + account_text("legacy_app") + account_text("o'hara <b>")
    with proxy_with_admin(rds, config, home) as (proxy, admin):
        eventually(lambda: admin.code("/readiness") == 200)
        yield proxy, admin
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.log_text()
        assert admin.token not in proxy.log_text()


def test_a_session_is_seen_and_its_activity(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with contextlib.closing(proxy.connect(program_name="cron")) as session:
        found = admin.json("/status")["sessions"][0]
        assert (found["account"], found["db_user"], found["peer"]) == ("legacy_app", "demo_user", "127.0.0.1")
        assert (found["program"], found["target"], found["tls"]) == ("cron", "shop", False)
        eventually(lambda: admin.json("/status")["sessions"][0]["activity"] == "idle")
        before = admin.json("/status")["sessions"][0]
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
        after = admin.json("/status")["sessions"][0]
        assert after["bytes_from_client"] > before["bytes_from_client"]
        assert after["bytes_from_rds"] > before["bytes_from_rds"]
    eventually(lambda: not admin.json("/status")["sessions"])


def test_bytes_are_counted_while_and_after_a_session_lasts(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running

    def count() -> float:
        families = text_string_to_metric_families(admin.ask("/metrics")[2])
        samples = (sample for family in families for sample in family.samples)
        return next(s.value for s in samples if s.name.endswith("_bytes_total") and s.labels["sender"] == "client")

    before = count()
    with contextlib.closing(proxy.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
        during = count()
        assert during > before
    eventually(lambda: not admin.json("/status")["sessions"])
    assert during <= count() < during + 100


def test_a_session_is_ended_with_the_token_only(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with contextlib.closing(proxy.connect()) as session:
        number = admin.json("/status")["sessions"][0]["id"]
        path = f"/sessions/{number}/end"
        assert admin.code(path, method="POST") == 401
        assert admin.code(path, method="POST", headers={"Authorization": "Bearer wrong"}) == 401
        assert admin.code(path, headers={"Authorization": f"Bearer {admin.token}"}) == 405, "GET changes nothing"
        assert admin.end_session(number, Origin="http://evil.example") == 403
        assert admin.end_session(number, Host="evil.example") == 421
        assert admin.json("/status")["sessions"][0]["id"] == number
        assert admin.end_session(number) == 200
        with pytest.raises(pymysql.err.MySQLError):
            session.ping(reconnect=False)
    eventually(lambda: admin.end_session(number) == 404)
    ended = eventually(lambda: [line for line in proxy.events("session ended") if line["id"] == number])
    assert ended[0]["why"] == "ended on the status page"


def test_an_idle_session_is_told_why(running: tuple[RunningProxy, Admin]) -> None:
    """PyMySQL reads no unasked packet, so this looks at the bytes."""
    proxy, admin = running
    with contextlib.closing(proxy.connect()) as session:
        eventually(lambda: admin.json("/status")["sessions"][0]["activity"] == "idle")
        assert admin.end_session(admin.json("/status")["sessions"][0]["id"]) == 200
        packet = session._sock.recv(4096)  # type: ignore[attr-defined]
        assert packet[3] == 0
        assert b"an operator of the proxy ended this session" in packet


def test_hostile_names_stay_text(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with pytest.raises(pymysql.err.OperationalError):
        proxy.connect(user=HOSTILE)
    with contextlib.closing(proxy.connect(user="o'hara <b>", program_name=HOSTILE)):
        _, headers, text = admin.ask("/status")
        assert headers["Content-Type"].startswith("application/json")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "\x1b" not in text
        assert "\\u001b" not in text
        status = json.loads(text)
        assert status["sessions"][0]["program"].endswith("\\x1b[31m")
        assert status["errors"][0]["user"].endswith("\\x1b[31m")
        for family in text_string_to_metric_families(admin.ask("/metrics")[2]):
            assert not any("img" in value for sample in family.samples for value in sample.labels.values())


def test_errors_are_counted_and_explained(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    for _ in range(3):
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(password="wrong")
    found = next(error for error in admin.json("/status")["errors"] if error["reason"] == "wrong password")
    assert (found["count"], found["code"], found["user"]) == (3, 1045, "legacy_app")
    assert found["text"].startswith("Access denied for user 'legacy_app'@'localhost'")
    assert found["remedy"]


def test_the_page_brings_all_it_needs_and_may_load_nothing_else(running: tuple[RunningProxy, Admin]) -> None:
    _, admin = running
    for path in ("/", "/page.css", "/page.js", "/ask.js", "/charts.js", "/words.js", "/icon.svg"):
        code, headers, text = admin.ask(path)
        assert code == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert "https://" not in text
        assert "innerHTML" not in text
    assert admin.code("/nothing") == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80"])
def test_a_rebound_name_gets_nothing(running: tuple[RunningProxy, Admin], host: str) -> None:
    _, admin = running
    for path in ("/", "/status", "/metrics", "/readiness"):
        assert admin.code(path, headers={"Host": host}) == 421


def test_the_token_file_is_private(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    path = Path(proxy.events("admin")[0]["token_file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(admin.token) >= 32


def test_behind_a_server_that_speaks_tls_everything_but_health_needs_the_token(
    rds: EmbeddedRDS, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("correct-horse-battery-staple")
    token.chmod(0o600)
    more = f'token_file = "{token}"\npublic_host = "proxy.example.com"'
    config = target_text("shop", rds) + account_text("legacy_app")
    with proxy_with_admin(rds, config, tmp_path, admin=more) as (_, admin):
        front = {"Host": "proxy.example.com", "X-Forwarded-Proto": "https"}
        with_token = {**front, "Authorization": "Bearer correct-horse-battery-staple"}
        for path in ("/status", "/metrics"):
            assert admin.code(path, headers=front) == 401
            assert admin.code(path, headers={**with_token, "X-Forwarded-Proto": "http"}) == 403
            assert admin.code(path, headers=with_token) == 200
            assert admin.code(path) == 401
            assert admin.code(path, headers={"Authorization": with_token["Authorization"]}) == 200, "on this machine"
        for path in ("/liveness", "/", "/page.js"):
            assert admin.code(path, headers=front) == 200


def test_no_secret_is_shown(running: tuple[RunningProxy, Admin], rds: EmbeddedRDS) -> None:
    proxy, admin = running
    with contextlib.closing(proxy.connect()):
        shown = admin.ask("/status")[2] + admin.ask("/metrics")[2]
    secrets = (PASSWORD, admin.token, rds.keys.secret_key, rds.keys.session_token or "-", "X-Amz-Signature")
    for secret in secrets:
        assert secret not in shown
        assert quote(secret, safe="") not in shown


def test_charts_get_a_point_a_second(running: tuple[RunningProxy, Admin]) -> None:
    _, admin = running
    began, first = time.monotonic(), admin.json("/status")["targets"][0]["points_taken"]
    eventually(lambda: admin.json("/status")["targets"][0]["points_taken"] >= first + 2)
    assert time.monotonic() - began > 0.9
