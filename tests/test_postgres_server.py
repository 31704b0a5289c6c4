"""The PostgreSQL servers themselves: members of rds_iam get in with good IAM tokens only; the log says why not."""

import contextlib
import datetime
import secrets
import subprocess
import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from botocore.session import Session

from pg_wire.scram import Verifier
from rds_iam_proxy.net.make_certificate import make_ca
from servers.postgres_accounts import NOLOGIN_USER, PLAIN_PASSWORD, PLAIN_USER, REPLICATION_USER
from servers.postgres_login import connect_directly
from servers.postgres_server import PostgresServer
from servers.real_server import make_key
from servers.releases import POSTGRES_RELEASES
from servers.settings import AccessKey
from servers.tokens import server_token, sign_token
from servers.trees import cli_command


def refused(server: PostgresServer, password: str, *, user: str = "user_batch", **options: str) -> tuple[str, str]:
    """Code and text that the server logged when it refused the token."""
    before = server.log.position()
    with pytest.raises(psycopg.OperationalError, match=f'PAM authentication failed for user "{user}"'):
        connect_directly(server, user=user, password=password, **options)
    assert server.log.accepted(before) == []
    (refusal,) = server.log.refusals(before)
    assert refusal.user == user
    return refusal.code, refusal.text


def signed(server: PostgresServer, **changes: str | int | AccessKey | datetime.datetime) -> str:
    """A token that differs from a good one in some way."""
    good = {
        "key": server.key,
        "host": server.endpoint_host,
        "port": server.endpoint_port,
        "region": server.region,
        "user": "user_batch",
    }
    return sign_token(**{**good, **changes})  # type: ignore[arg-type]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_token_of_botocore_is_accepted(postgres_server: PostgresServer) -> None:
    session = Session()
    key = postgres_server.key
    session.set_credentials(key.access_key, key.secret_key, key.session_token)
    client: Any = session.create_client("rds", region_name=postgres_server.region)
    token = client.generate_db_auth_token(postgres_server.endpoint_host, postgres_server.endpoint_port, "user_batch")
    before = postgres_server.log.position()
    with contextlib.closing(connect_directly(postgres_server, password=token)) as connection:
        row = connection.execute("SELECT current_user, current_setting('server_version')").fetchone()
    assert row is not None
    assert row[0] == "user_batch"
    assert row[1].startswith(POSTGRES_RELEASES[postgres_server.name].version)
    (accepted,) = postgres_server.log.accepted(before)
    assert accepted.user == "user_batch"
    assert abs((accepted.at - now()).total_seconds()) < 30
    assert postgres_server.log.refusals(before) == []


def test_roles_have_their_rights(postgres_server: PostgresServer) -> None:
    with contextlib.closing(connect_directly(postgres_server, user="user_dev")) as connection:
        rows = connection.execute("SELECT name FROM customers ORDER BY id").fetchall()
        assert rows == [("Ada",), ("Grace",), ("Zoë",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM customers")


def test_token_with_session_token_of_six_kilobytes_is_accepted(postgres_server: PostgresServer) -> None:
    key = replace(make_key(), session_token=secrets.token_urlsafe(4600))
    postgres_server.change(keys=(key,))
    token = server_token(postgres_server)
    assert len(token) > 6000
    connect_directly(postgres_server, password=token).close()


def test_token_without_session_token_works_for_long_term_key(postgres_server: PostgresServer) -> None:
    key = AccessKey("AKIA0123456789ABCDEF", "a long-term secret/+=")
    postgres_server.change(keys=(make_key(), key))
    connect_directly(postgres_server, password=signed(postgres_server, key=key)).close()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"host": "other.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"}, "another host or port"),
        ({"port": 5433}, "another host or port"),
        ({"user": "user_dev"}, "another DBUser"),
        ({"region": "eu-west-1"}, "another region"),
        ({"key": make_key()}, "unknown access key"),
    ],
    ids=["host", "port", "user", "region", "key"],
)
def test_token_signed_for_something_else_is_invalid(
    postgres_server: PostgresServer, changes: dict[str, str | int | AccessKey], text: str
) -> None:
    code, logged = refused(postgres_server, signed(postgres_server, **changes))
    assert code == "InvalidToken"
    assert text in logged


def test_wrong_secret_key_does_not_match(postgres_server: PostgresServer) -> None:
    key = replace(postgres_server.key, secret_key="wrong")
    verdict = refused(postgres_server, signed(postgres_server, key=key))
    assert verdict == ("InvalidToken", "the signature does not match")


@pytest.mark.parametrize("password", ["x", "a/?b", "x" * 20_000], ids=["letter", "word", "too long"])
def test_what_is_no_token_is_invalid(postgres_server: PostgresServer, password: str) -> None:
    assert refused(postgres_server, password)[0] == "InvalidToken"


def test_token_lives_fifteen_minutes(postgres_server: PostgresServer) -> None:
    young, old = (datetime.timedelta(minutes=number) for number in (14.8, 15.1))
    connect_directly(postgres_server, password=signed(postgres_server, at=now() - young)).close()
    assert refused(postgres_server, signed(postgres_server, at=now() - old))[0] == "ExpiredToken"


def test_expired_session_is_refused(postgres_server: PostgresServer) -> None:
    postgres_server.change(keys=(replace(postgres_server.key, expires=int(time.time()) - 1),))
    assert refused(postgres_server, server_token(postgres_server))[0] == "ExpiredToken"


def test_rotated_key_makes_old_tokens_invalid(postgres_server: PostgresServer) -> None:
    old = server_token(postgres_server)
    postgres_server.rotate_key()
    assert refused(postgres_server, old) == ("InvalidToken", "unknown access key")
    connect_directly(postgres_server).close()


def test_user_without_the_iam_action_is_not_authorized(postgres_server: PostgresServer) -> None:
    postgres_server.change(not_authorized=frozenset({"user_dev"}))
    token = server_token(postgres_server, "user_dev")
    assert refused(postgres_server, token, user="user_dev")[0] == "NotAuthorized"
    connect_directly(postgres_server).close()


def test_rate_above_the_limit_is_throttled_across_the_servers_processes(postgres_server: PostgresServer) -> None:
    postgres_server.change(max_logins_per_second=3)
    token = server_token(postgres_server)
    before = postgres_server.log.position()
    for _ in range(3):
        connect_directly(postgres_server, password=token).close()
    first, _, last = postgres_server.log.accepted(before)
    assert (last.at - first.at).total_seconds() < 1, "too slow a machine to test a rate"
    assert refused(postgres_server, token)[0] == "ThrottlingException"
    time.sleep(1.1)
    connect_directly(postgres_server, password=token).close()


def test_refused_token_costs_one_login_with_verify_full_and_prefer(postgres_server: PostgresServer) -> None:
    before = postgres_server.log.position()
    for mode in ("verify-full", "prefer"):
        with pytest.raises(psycopg.OperationalError):
            connect_directly(postgres_server, password="no token", sslmode=mode)
    # The second try of `prefer` goes without TLS, where no line of pg_hba.conf fits: PAM is not asked again.
    assert len(postgres_server.log.refusals(before)) == 2


def test_certificate_of_another_ca_and_with_another_name(postgres_server: PostgresServer) -> None:
    error = psycopg.OperationalError
    with postgres_server.showing(ca=make_ca("Another CA")), pytest.raises(error, match="certificate verify failed"):
        connect_directly(postgres_server)
    with postgres_server.showing(name="other.example.com"), pytest.raises(error, match="does not match host name"):
        connect_directly(postgres_server)
    connect_directly(postgres_server).close()


def test_login_without_tls_is_refused_before_the_token_is_asked_for(postgres_server: PostgresServer) -> None:
    before = postgres_server.log.position()
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        connect_directly(postgres_server, sslmode="disable")
    assert postgres_server.log.verdicts(before) == []


def test_iam_login_through_the_unix_socket_is_refused(postgres_server: PostgresServer) -> None:
    before = postgres_server.log.position()
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        connect_directly(postgres_server, host=str(postgres_server.folder), hostaddr=None, sslmode="disable")
    assert postgres_server.log.verdicts(before) == []


def test_role_without_iam_is_never_asked_for_a_token(postgres_server: PostgresServer) -> None:
    before = postgres_server.log.position()
    connect_directly(postgres_server, user=PLAIN_USER, password=PLAIN_PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect_directly(postgres_server, user=PLAIN_USER)
    assert postgres_server.log.verdicts(before) == []


def test_role_that_may_not_log_in_is_refused_after_its_token_was_accepted(postgres_server: PostgresServer) -> None:
    before = postgres_server.log.position()
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        connect_directly(postgres_server, user=NOLOGIN_USER)
    (accepted,) = postgres_server.log.accepted(before)
    assert accepted.user == NOLOGIN_USER


def test_only_the_replication_role_may_replicate(postgres_server: PostgresServer) -> None:
    with contextlib.closing(
        connect_directly(postgres_server, user=REPLICATION_USER, replication="database", autocommit=True)
    ) as connection:
        result = connection.pgconn.exec_(b"IDENTIFY_SYSTEM")
        assert result.ntuples == 1
    with pytest.raises(psycopg.OperationalError, match=r"(?i)replication"):
        connect_directly(postgres_server, replication="database")


def test_role_with_a_verifier_of_ours_logs_in_and_theirs_can_be_read(postgres_server: PostgresServer) -> None:
    password = "pässword\u00adwith something to prepare"
    verifier = Verifier.of_passwords([password.encode()], secrets.token_bytes(16))
    with contextlib.closing(postgres_server.admin()) as admin:
        admin.execute(f"ALTER ROLE {PLAIN_USER} PASSWORD '{verifier.texts()[0]}'".encode())
        try:
            connect_directly(postgres_server, user=PLAIN_USER, password=password).close()
        finally:
            admin.execute(f"ALTER ROLE {PLAIN_USER} PASSWORD '{PLAIN_PASSWORD}'".encode())
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (PLAIN_USER,)).fetchone()
    assert row is not None
    assert Verifier.parse(row[0]).fits(PLAIN_PASSWORD.encode())


def test_log_never_has_the_token(postgres_server: PostgresServer) -> None:
    token = server_token(postgres_server)
    connect_directly(postgres_server, password=token).close()
    refused(postgres_server, token + "0")
    text = postgres_server.log.text()
    signature = token.rpartition("=")[2]
    for secret in (signature, postgres_server.key.secret_key, postgres_server.key.session_token or "", token[-40:]):
        assert secret not in text


def test_server_is_not_run_by_root(postgres_server: PostgresServer) -> None:
    owner = subprocess.run(
        ["ps", "-o", "user=", "-p", str(postgres_server.process.pid)], capture_output=True, text=True, check=True
    )
    assert owner.stdout.strip() not in {"root", "0"}


def test_own_client_logs_in(postgres_server: PostgresServer) -> None:
    address = f"host={postgres_server.host} port={postgres_server.port} dbname=shop sslmode=require"
    where = f"{address} user={PLAIN_USER} password='{PLAIN_PASSWORD}'"
    result = subprocess.run(
        [*cli_command(postgres_server.name), "-Atc", "SELECT current_user", where],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.stdout == f"{PLAIN_USER}\n", result.stderr
