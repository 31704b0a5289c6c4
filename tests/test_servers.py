"""The real servers themselves: their plugin lets in good IAM tokens only, and logs why it refused the others."""

import contextlib
import datetime
import secrets
import ssl
import subprocess
import time
from dataclasses import replace
from typing import Any

import pymysql
import pytest
from botocore.session import Session

from rds_iam_proxy.net.make_certificate import make_ca
from servers.real_server import RealServer, make_key
from servers.releases import RELEASES
from servers.server_log import Accepted, most_in_a_second
from servers.settings import AccessKey
from servers.tokens import connect_directly, server_token, sign_token
from servers.trees import cli_command

ACCESS_DENIED = 1045
SECURE_TRANSPORT_REQUIRED = 3159


def refused(server: RealServer, password: str, *, user: str = "user_batch") -> tuple[str, str]:
    """Code and text that the server logged when it refused the login."""
    before = server.log.position()
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect_directly(server, user=user, password=password)
    assert caught.value.args[0] == ACCESS_DENIED
    assert caught.value.args[1].endswith("(using password: YES)")
    assert server.log.accepted(before) == []
    (refusal,) = server.log.refusals(before)
    assert refusal.user == user
    return refusal.code, refusal.text


def signed(server: RealServer, **changes: str | int | AccessKey | datetime.datetime) -> str:
    """A token that differs from a good one in some way."""
    good = {
        "key": server.key,
        "host": server.endpoint_host,
        "port": server.endpoint_port,
        "region": server.region,
        "user": "user_batch",
    }
    return sign_token(**{**good, **changes})  # type: ignore[arg-type]


def minutes(number: float) -> datetime.timedelta:
    return datetime.timedelta(minutes=number)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_token_of_botocore_is_accepted(real_server: RealServer) -> None:
    session = Session()
    key = real_server.key
    session.set_credentials(key.access_key, key.secret_key, key.session_token)
    client: Any = session.create_client("rds", region_name=real_server.region)
    token = client.generate_db_auth_token(real_server.endpoint_host, real_server.endpoint_port, "user_batch")
    before = real_server.log.position()
    with contextlib.closing(connect_directly(real_server, password=token)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), VERSION()")
        user, version = cursor.fetchone()
    assert user == "user_batch@%"
    assert version.startswith(RELEASES[real_server.name].version)
    (accepted,) = real_server.log.accepted(before)
    assert accepted.user == "user_batch"
    assert abs((accepted.at - now()).total_seconds()) < 30
    assert real_server.log.refusals(before) == []


def test_accounts_have_their_rights(real_server: RealServer) -> None:
    report = connect_directly(real_server, user="user_report", database="shop")
    with contextlib.closing(report), report.cursor() as cursor:
        cursor.execute("SELECT name FROM customers ORDER BY id")
        assert cursor.fetchall() == (("Ada",), ("Grace",), ("Zoë",))
        with pytest.raises(pymysql.err.OperationalError, match="DELETE command denied"):
            cursor.execute("DELETE FROM customers")
    with contextlib.closing(real_server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE User = ''")
        assert cursor.fetchone() == (0,)


def test_token_can_be_used_more_than_once(real_server: RealServer) -> None:
    token = server_token(real_server)
    for _ in range(3):
        connect_directly(real_server, password=token).close()


def test_token_without_session_token_works_for_long_term_key(real_server: RealServer) -> None:
    key = AccessKey("AKIA0123456789ABCDEF", "a long-term secret/+=")
    real_server.change(keys=(make_key(), key))
    connect_directly(real_server, password=signed(real_server, key=key)).close()


def test_token_with_session_token_of_six_kilobytes_is_accepted(real_server: RealServer) -> None:
    key = replace(make_key(), session_token=secrets.token_urlsafe(4600))
    real_server.change(keys=(key,))
    token = server_token(real_server)
    assert len(token) > 6000
    connect_directly(real_server, password=token).close()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"host": "other.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"}, "another host or port"),
        ({"port": 3307}, "another host or port"),
        ({"user": "user_report"}, "another DBUser"),
        ({"region": "eu-west-1"}, "another region"),
        ({"key": make_key()}, "unknown access key"),
    ],
    ids=["host", "port", "user", "region", "key"],
)
def test_token_signed_for_something_else_is_invalid(
    real_server: RealServer, changes: dict[str, str | int | AccessKey], text: str
) -> None:
    code, logged = refused(real_server, signed(real_server, **changes))
    assert code == "InvalidToken"
    assert text in logged


def test_wrong_secret_key_does_not_match(real_server: RealServer) -> None:
    key = replace(real_server.key, secret_key="wrong")
    assert refused(real_server, signed(real_server, key=key)) == (
        "InvalidToken",
        "the signature does not match",
    )


def test_session_token_must_be_the_right_one(real_server: RealServer) -> None:
    missing = replace(real_server.key, session_token=None)
    assert refused(real_server, signed(real_server, key=missing)) == (
        "InvalidToken",
        "the session token is missing",
    )
    wrong = replace(real_server.key, session_token="another")
    code, text = refused(real_server, signed(real_server, key=wrong))
    assert (code, "does not belong" in text) == ("InvalidToken", True)


def test_each_part_of_a_token_is_signed(real_server: RealServer) -> None:
    token = server_token(real_server)
    for part, other in (("X-Amz-Expires=900", "X-Amz-Expires=899"), ("host&", "host%20&")):
        assert part in token
        assert refused(real_server, token.replace(part, other))[0] == "InvalidToken"
    tampered = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert refused(real_server, tampered) == ("InvalidToken", "the signature does not match")


@pytest.mark.parametrize(
    "password",
    ["x", "secret", "a/?b", "h:1/?Action=connect&Action=connect", "h:1/?DBUser=%zz", "h:1/?DBUser=%00", "x" * 20000],
    ids=["letter", "word", "no value", "twice", "bad escape", "NUL", "too long"],
)
def test_what_is_no_token_is_invalid(real_server: RealServer, password: str) -> None:
    assert refused(real_server, password)[0] == "InvalidToken"


def test_token_lives_fifteen_minutes(real_server: RealServer) -> None:
    connect_directly(real_server, password=signed(real_server, at=now() - minutes(14.8))).close()
    code, text = refused(real_server, signed(real_server, at=now() - minutes(15.1)))
    assert (code, text) == ("ExpiredToken", "the token is older than 15 minutes")


def test_token_from_the_future_is_invalid(real_server: RealServer) -> None:
    connect_directly(real_server, password=signed(real_server, at=now() + minutes(2))).close()
    assert refused(real_server, signed(real_server, at=now() + minutes(10))) == (
        "InvalidToken",
        "signed in the future",
    )


def test_expired_session_is_refused(real_server: RealServer) -> None:
    real_server.change(keys=(replace(real_server.key, expires=int(time.time()) - 1),))
    code, text = refused(real_server, server_token(real_server))
    assert (code, "session" in text) == ("ExpiredToken", True)


def test_rotated_key_makes_old_tokens_invalid(real_server: RealServer) -> None:
    old = server_token(real_server)
    real_server.rotate_key()
    assert refused(real_server, old) == ("InvalidToken", "unknown access key")
    connect_directly(real_server).close()


def test_user_without_the_iam_action_is_not_authorized(real_server: RealServer) -> None:
    real_server.change(not_authorized=frozenset({"user_report"}))
    token = server_token(real_server, "user_report")
    assert refused(real_server, token, user="user_report")[0] == "NotAuthorized"
    connect_directly(real_server).close()


def test_rate_above_the_limit_is_throttled(real_server: RealServer) -> None:
    real_server.change(max_logins_per_second=3)
    token = server_token(real_server)
    before = real_server.log.position()
    for _ in range(3):
        connect_directly(real_server, password=token).close()
    first, _, last = real_server.log.accepted(before)
    assert (last.at - first.at).total_seconds() < 1, "too slow a machine to test a rate"
    assert refused(real_server, token)[0] == "ThrottlingException"
    time.sleep(1.1)
    connect_directly(real_server, password=token).close()


def test_certificate_of_another_ca_and_with_another_name(real_server: RealServer) -> None:
    error = pymysql.err.OperationalError
    with real_server.showing(ca=make_ca("Another CA")), pytest.raises(error, match="CERTIFICATE_VERIFY_FAILED"):
        connect_directly(real_server)
    with real_server.showing(name="other.example.com"), pytest.raises(error, match="Hostname mismatch"):
        connect_directly(real_server)
    connect_directly(real_server).close()


def test_login_without_tls_is_refused(real_server: RealServer) -> None:
    # MySQL and MariaDB 10.11 check this after the plugin, which cannot see TLS: the log has the token as accepted.
    with pytest.raises(pymysql.err.OperationalError) as caught:
        pymysql.connect(
            host=real_server.host,
            port=real_server.port,
            user="user_batch",
            password=server_token(real_server),
            ssl_disabled=True,
        )
    assert caught.value.args[0] in {SECURE_TRANSPORT_REQUIRED, ACCESS_DENIED}


def test_iam_login_through_the_unix_socket_is_refused(real_server: RealServer) -> None:
    before = real_server.log.position()
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(
            unix_socket=str(real_server.folder / "s"),
            user="user_batch",
            password=server_token(real_server),
            ssl=ssl.create_default_context(cafile=str(real_server.ca_file)),
        )
    assert real_server.log.accepted(before) == []


def test_plain_user_needs_no_token(real_server: RealServer) -> None:
    before = real_server.log.position()
    connect_directly(real_server, user="plain_user", password="").close()
    assert real_server.log.verdicts(before) == []


def test_log_never_has_the_token(real_server: RealServer) -> None:
    token = server_token(real_server)
    connect_directly(real_server, password=token).close()
    refused(real_server, token + "0")
    text = real_server.log.text()
    signature = token.rpartition("=")[2]
    for secret in (signature, real_server.key.secret_key, real_server.key.session_token or "", token[-40:]):
        assert secret not in text


def test_host_cache_of_mysql_is_clean_after_good_logins(mysql_9_7: RealServer) -> None:
    # MySQL keeps no entry for 127.0.0.1.
    for _ in range(3):
        connect_directly(mysql_9_7, source="127.0.0.9").close()
    with contextlib.closing(mysql_9_7.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT IP, SUM_CONNECT_ERRORS FROM performance_schema.host_cache WHERE IP = '127.0.0.9'")
        assert cursor.fetchall() == (("127.0.0.9", 0),)


def test_server_is_not_run_by_root(real_server: RealServer) -> None:
    with contextlib.closing(real_server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@max_connections, @@local_infile, @@max_allowed_packet")
        assert cursor.fetchone() == (2000, 1, 1 << 30)
    owner = subprocess.run(
        ["ps", "-o", "user=", "-p", str(real_server.process.pid)], capture_output=True, text=True, check=True
    )
    assert owner.stdout.strip() not in {"root", "0"}


def test_own_client_logs_in(real_server: RealServer) -> None:
    command = [*cli_command(real_server.name), "-h127.0.0.1", f"-P{real_server.port}", "-uplain_user", "-N"]
    if real_server.family == "mariadb":
        command += ["--ssl", "--skip-ssl-verify-server-cert"]
    result = subprocess.run(
        [*command, "-e", "SELECT VERSION()"], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.stdout.startswith(RELEASES[real_server.name].version), result.stderr


def test_log_counts_the_busiest_second() -> None:
    start = now()
    logins = [Accepted(start + datetime.timedelta(milliseconds=at), "u") for at in (0, 500, 999, 1000, 1400, 3000)]
    assert most_in_a_second(logins) == 4
    assert most_in_a_second([]) == 0
