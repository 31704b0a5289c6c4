"""What clients read."""

import errno
import socket
import ssl
from dataclasses import replace

import pytest

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import MalformedPacket, PacketTooLarge, TLSRequired, UnexpectedPacket, UnsupportedClient
from mysql_wire.reply import ERRPacket
from rds_iam_proxy.config import Target
from rds_iam_proxy.errors.tree import MAX_TEXT_BYTES, Draining, Ended, GreetingChanged, LoginError, Refused, Verdict
from rds_iam_proxy.mysql import refusals
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds import failures

ENDPOINT = Address("orders.cweacjg5pv9n.eu-west-1.rds.amazonaws.com", 3306)
TARGET = Target("orders", ENDPOINT, ENDPOINT, "eu-west-1")
NOON = 1767355200.0  # 2026-01-02 12:00 UTC
DENIED = ERRPacket(1045, "28000", b"no")
FRESH = failures.SentToken(age=3.0, is_old=False, clock=NOON)
TUNNELLED = Target("orders", ENDPOINT, Address("127.0.0.1", 13306), "eu-west-1")


@pytest.mark.parametrize(
    ("error", "code", "sqlstate", "words"),
    [
        (failures.dial_failure(TARGET, OSError(errno.ECONNREFUSED, "")), 2003, "HY000", "security group"),
        (failures.dial_failure(TUNNELLED, OSError(errno.ECONNREFUSED, "")), 2003, "HY000", "tunnel runs"),
        (failures.dial_failure(TARGET, OSError(errno.EMFILE, "")), 1040, "08004", "ulimit -n"),
        (failures.dial_failure(TARGET, socket.gaierror(-2, "unknown")), 2003, "HY000", "DNS"),
        (failures.no_answer(TARGET, "connecting", 9.5), 2003, "HY000", "within 9.5 s while connecting"),
        (failures.no_tls(TARGET), 2026, "HY000", "verified TLS only"),
        (failures.tls_failure(TARGET, ssl.SSLError(1, "x"), None, NOON), 2026, "HY000", "TLS"),
        (failures.credentials_too_late(1.5), 1045, "28000", "connect again"),
        (failures.throttled(TARGET, "u", refusals.refused(TARGET, "u", DENIED, FRESH), 3.4), 1040, "08004", "3 s ago"),
        (failures.sessions_in_use(TARGET), 1040, "08004", "max_sessions"),
        (failures.account_sessions_in_use(TARGET, "app", 5), 1040, "08004", "max_sessions_per_account"),
        (GreetingChanged("greeting-changed", address="db:3306", version="8.4.0"), 1105, "HY000", "connect again"),
        (failures.not_an_iam_user(TARGET, "u", "why"), 1045, "28000", "AWSAuthenticationPlugin AS 'RDS'"),
        (refusals.refused(TARGET, "u", DENIED, FRESH), 1045, "28000", "rds-db:connect"),
        (refusals.refused(TARGET, "u", DENIED, None), 1045, "28000", "without asking for a token"),
        (refusals.refused(TARGET, "u", ERRPacket(1040, "08004", b"Too many"), None), 1040, "08004", "max_connections"),
        (refusals.refused(TARGET, "u", ERRPacket(1524, "HY000", b"not loaded"), None), 1524, "HY000", "IAM"),
        (refusals.refused(TARGET, "u", ERRPacket(1129, "HY000", b"blocked"), None), 1129, "HY000", "FLUSH HOSTS"),
        (Draining("stopping"), 1053, "08S01", "being stopped"),
        (Ended("session-stopped"), 1053, "08S01", "connect again"),
        (Ended("session-ended"), 1053, "08S01", "connect again"),
    ],
)
def test_failures_have_their_code_and_say_what_to_do(error: LoginError, code: int, sqlstate: str, words: str) -> None:
    packet = refusals.err_packet(error)
    assert (packet.code, packet.sqlstate) == (code, sqlstate)
    assert words in packet.message.decode()
    assert packet.message.startswith(b"rds-iam-proxy: ")
    assert len(packet.message) <= MAX_TEXT_BYTES
    assert b"\n" not in packet.message


def test_each_way_not_to_be_connected_has_its_row() -> None:
    error = OSError(errno.ECONNREFUSED, "")
    assert failures.dial_failure(TARGET, error).row.key == "unreachable"
    assert failures.dial_failure(TUNNELLED, error).row.key == "tunnel-down"


def test_throttling_keeps_what_the_last_refusal_told() -> None:
    last = refusals.refused(TARGET, "u", ERRPacket(1040, "08004", b"IAM authentication rate limit exceeded"), FRESH)
    assert (last.row.key, last.verdict) == ("rate-limited", Verdict.RATE_LIMITED)
    for seconds, row in ((None, "throttled"), (3.4, "throttled-known")):
        failure = failures.throttled(TARGET, "u", last, seconds)
        assert failure.row.key == row
        assert failure.detail == "RDS said: IAM authentication rate limit exceeded"


def test_an_err_of_rds_that_speaks_for_itself_passes() -> None:
    err = ERRPacket(1049, "42000", b"Unknown database 'x'")
    failure = refusals.refused(TARGET, "u", err, FRESH)
    assert (failure.row.key, failure.verdict) == ("passed-on", Verdict.OF_DATABASE)
    assert refusals.err_packet(failure) == err


def test_a_refused_token_is_told_from_a_refused_user() -> None:
    fresh, old = (refusals.refused(TARGET, "u", DENIED, sent) for sent in (FRESH, replace(FRESH, is_old=True)))
    assert (fresh.verdict, old.verdict) == (Verdict.TOKEN_REFUSED, Verdict.OLD_TOKEN)
    assert refusals.refused(TARGET, "u", DENIED, None).verdict is Verdict.EXPLAINED


def test_the_log_has_what_rds_said_and_what_the_clock_says() -> None:
    detail = refusals.refused(TARGET, "u", DENIED, FRESH).detail
    assert detail == (
        f"RDS said: no; signed for {ENDPOINT} in eu-west-1, 3 s old; this machine's clock says 2026-01-02 12:00:00 UTC"
    )


def test_a_clock_that_was_set_is_told() -> None:
    text = refusals.refused(TARGET, "u", DENIED, replace(FRESH, clock_moved=-3600.2)).text
    assert "moved by -3600 s and says 2026-01-02 12:00:00 UTC: check it" in text
    assert "moved" not in refusals.refused(TARGET, "u", DENIED, replace(FRESH, clock_moved=59)).text


@pytest.mark.parametrize(
    ("host", "region", "resource"),
    [
        (
            "orders.cweacjg5pv9n.eu-west-1.rds.amazonaws.com",
            "eu-west-1",
            "arn:aws:rds-db:eu-west-1:ACCOUNT:dbuser:RESOURCE",
        ),
        ("orders.cluster-ro-abc.eu-west-1.rds.amazonaws.com", "eu-west-1", "ACCOUNT:dbuser:cluster-ID/u"),
        ("orders.proxy-abc.eu-west-1.rds.amazonaws.com", "eu-west-1", "ACCOUNT:dbuser:prx-ID/u"),
        ("orders.global-abc.global.rds.amazonaws.com", "eu-west-1", "rds-db:eu-west-1:ACCOUNT:dbuser:cluster-ID/u"),
        ("orders.abc.rds.cn-north-1.amazonaws.com.cn", "cn-north-1", "arn:aws-cn:rds-db:cn-north-1:ACCOUNT"),
    ],
)
def test_policy_is_named_as_far_as_it_is_known(host: str, region: str, resource: str) -> None:
    address = Address(host, 3306)
    assert resource in failures.policy_arn(Target("orders", address, address, region), "u")


def test_policy_is_in_the_account_of_the_role() -> None:
    target = replace(TARGET, role_arn="arn:aws:iam::123456789012:role/db")
    assert "eu-west-1:123456789012:dbuser" in failures.policy_arn(target, "u")


def test_a_global_endpoint_may_have_moved_to_another_region() -> None:
    address = Address("orders.global-abc.global.rds.amazonaws.com", 3306)
    text = refusals.refused(Target("orders", address, address, "eu-west-1"), "u", DENIED, FRESH).text
    assert "signed for region eu-west-1: is the writer in another region now?" in text


def test_longest_names_leave_room_for_what_to_do() -> None:
    address = Address(f"{'o' * 63}.cluster-custom-cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com", 33060)
    target = Target("orders", address, address, "ap-northeast-2", profile="production-admin")
    packet = refusals.err_packet(refusals.refused(target, "u" * 32, DENIED, FRESH))
    assert b"is this clock right (2026-01-02 12:00:00 UTC)?" in packet.message


def test_long_texts_are_cut_between_characters() -> None:
    message = refusals.err_packet(Refused("passed-on", Verdict.PASSED_ON, 1, "HY000", answer="ä" * 500)).message
    assert len(message) <= MAX_TEXT_BYTES
    assert message.decode().endswith("...")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MalformedPacket("x"), 1043),
        (PacketTooLarge("x"), 1043),
        (UnexpectedPacket("x"), 1156),
        (UnsupportedClient("x"), 1251),
        (TLSRequired("x"), 3159),
    ],
)
def test_broken_logins(error: MalformedPacket, code: int) -> None:
    assert refusals.err_packet(refusals.broken_login(error)).code == code


def test_access_denied_reads_as_a_server_s_and_escapes_the_name() -> None:
    failure, other = (
        refusals.access_denied(b"a\x1bb", "localhost", using_password=True, is_known=known) for known in (True, False)
    )
    packet = refusals.err_packet(failure)
    assert packet == refusals.err_packet(other)
    assert (failure.reason, other.reason) == ("wrong password", "unknown user")
    assert packet.message == rb"Access denied for user 'a\x1bb'@'localhost' (using password: YES)"
    assert packet.code == ErrorCode.ER_ACCESS_DENIED_ERROR


def test_who_was_idle_for_too_long_reads_mysqls_own_text() -> None:
    packet = refusals.err_packet(Ended("session-idle", target="shop", seconds=60))
    assert (packet.code, packet.sqlstate) == (4031, "HY000")
    assert b"because of inactivity" in packet.message
