"""RDS's errors by state and SQLSTATE, and every SQLSTATE that the proxy gives itself."""

import pytest

from pg_wire.authentication import AuthenticationOk, AuthenticationOther, AuthenticationSASL
from pg_wire.client_login import State
from pg_wire.errors import (
    MalformedMessage,
    NotAuthorized,
    NotPostgreSQL,
    RemoteProtocolError,
    TLSRequired,
    UnsupportedFeature,
)
from pg_wire.messages import Report, StartupMessage
from rds_iam_proxy.config import Target
from rds_iam_proxy.errors.symptoms import SYMPTOMS
from rds_iam_proxy.errors.tree import Denied, Draining, Ended, Limited, LoginError, Refused, Unreachable, Verdict
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.postgres import refusals
from rds_iam_proxy.rds import failures
from rds_iam_proxy.rds.failures import SentToken

HOST = "shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com"
SHOP = Target("shop", Address(HOST, 5432), Address(HOST, 5432), "eu-central-1", "postgres")
REQUEST = StartupMessage(0, {b"user": b"legacy", b"database": b"shop"})
NAMELESS = StartupMessage(0, {b"user": b"legacy"})
FRESH, OLD = SentToken(3.0, is_old=False, clock=0.0), SentToken(90.0, is_old=True, clock=0.0)
SENT, ASKED, IN = State.TOKEN_SENT, State.REQUESTED, State.AUTHENTICATED


def refused(
    sqlstate: str, at: State, text: bytes = b"no", sent: SentToken | None = FRESH, request: StartupMessage = REQUEST
) -> Refused:
    answer = refusals.Answer(Report("FATAL", sqlstate, text), text, at)
    return refusals.refused(SHOP, "batch", request, answer, None if at is ASKED else sent)


@pytest.mark.parametrize(
    ("sqlstate", "at", "row"),
    [
        ("28000", SENT, "token-refused"),
        ("28000", IN, "role-cannot-log-in"),
        ("28000", State.KEYED, "role-cannot-log-in"),
        ("28000", ASKED, "no-hba-line"),
        ("53300", ASKED, "too-many-clients"),
        ("53300", IN, "passed-on"),
        ("53400", ASKED, "rate-limited"),
        ("57014", SENT, "iam-slow"),
        ("57P03", ASKED, "passed-on"),
        ("42501", IN, "passed-on"),
        ("3D000", IN, "passed-on"),
    ],
)
def test_state_and_sqlstate_tell_the_row(sqlstate: str, at: State, row: str) -> None:
    error = refused(sqlstate, at)
    assert error.row.key == row
    assert refusals.sqlstate(error) == sqlstate


def test_rds_proxys_two_texts() -> None:
    busy = refused("28000", SENT, b"The IAM authentication failed because of too many competing requests.")
    assert (busy.row.key, busy.verdict) == ("rate-limited", Verdict.RATE_LIMITED)
    other = refused("28000", SENT, b"RDS Proxy supports only IAM, MD5, or SCRAM authentication.", sent=None)
    assert other.row.key == "rds-proxy-without-iam"


@pytest.mark.parametrize("sqlstate", ["3D000", "42501"])
def test_whoever_may_not_into_a_database_was_let_in(sqlstate: str) -> None:
    assert {refused(sqlstate, at).verdict for at in (IN, State.KEYED)} == {Verdict.OF_DATABASE}
    assert refused(sqlstate, ASKED).verdict is Verdict.PASSED_ON


def test_old_token_may_be_replaced() -> None:
    assert refused("28000", SENT).verdict is Verdict.TOKEN_REFUSED
    assert refused("28000", SENT, sent=OLD).verdict is Verdict.OLD_TOKEN


def test_database_of_the_users_name() -> None:
    assert refused("3D000", IN, request=NAMELESS).row.key == "database-of-the-user"
    same = StartupMessage(0, {b"user": b"batch"})
    assert refused("3D000", IN, request=same).row.key == "passed-on"


@pytest.mark.parametrize(
    "asked",
    [AuthenticationOk(), AuthenticationSASL((b"SCRAM-SHA-256",)), AuthenticationOther(5)],
    ids=lambda a: type(a),
)
def test_who_is_asked_for_no_token(asked: AuthenticationOk | AuthenticationSASL | AuthenticationOther) -> None:
    error = refusals.not_an_iam_role(SHOP, "batch", asked)
    assert error.row.key == "not-in-rds-iam"
    assert 'GRANT rds_iam TO "batch"' in error.shown
    assert refusals.sqlstate(error) == "28000"


@pytest.mark.parametrize(
    ("error", "sqlstate"),
    [
        (refusals.access_denied(b"x", is_known=True), "28P01"),
        (refusals.access_denied(b"x", is_known=False), "28P01"),
        (refusals.broken_login(MalformedMessage("x")), "08P01"),
        (refusals.broken_login(UnsupportedFeature("x")), "0A000"),
        (refusals.broken_login(NotAuthorized("x")), "28000"),
        (refusals.broken_login(TLSRequired("x")), "28000"),
        (Denied("postgres-replication"), "42501"),
        (Denied("login-timeout"), "57014"),
        (Draining("stopping"), "57P03"),
        (Limited("no-room"), "53300"),
        (Ended("session-stopped"), "57P01"),
        (Ended("session-idle", target="shop", seconds=5.0), "57P05"),
        (Unreachable("unreachable", where="x", why="y"), "08001"),
        (Unreachable("hung-up", where="x", step="y", why="z"), "08006"),
        (LoginError("internal"), "XX000"),
    ],
)
def test_sqlstate_of_the_proxys_own(error: LoginError, sqlstate: str) -> None:
    report = refusals.error_response(error).report
    assert (report.severity, report.sqlstate, report.text) == ("FATAL", sqlstate, error.shown.encode())


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (MalformedMessage("x"), "postgres-protocol"),
        (UnsupportedFeature("x"), "postgres-unsupported"),
        (NotAuthorized("x"), "postgres-not-authorized"),
        (TLSRequired("x"), "postgres-tls-required"),
    ],
)
def test_row_of_a_broken_login(error: RemoteProtocolError, row: str) -> None:
    assert refusals.broken_login(error).row.key == row


def test_server_of_another_protocol() -> None:
    error = failures.other_protocol(SHOP, "PostgreSQL", NotPostgreSQL("x"))
    assert error.row.key == "other-protocol"


def test_known_and_unknown_are_told_the_same() -> None:
    known, unknown = (refusals.access_denied(b"app", is_known=is_known) for is_known in (True, False))
    assert (known.row.key, unknown.row.key) == ("postgres-wrong-password", "postgres-unknown-user")
    assert known.shown == unknown.shown == 'password authentication failed for user "app"'


def test_every_reason_has_an_sqlstate() -> None:
    of_mysql = {"greeting-changed"}
    for row in SYMPTOMS.values():
        assert row.key in refusals.CODES or row.reason in refusals.CODES or row.reason in {"", *of_mysql}, row.key
    assert all(len(code) == 5 for code in refusals.CODES.values())
