"""What clients read."""

import errno
import socket
import ssl

import pytest

from mysql_wire.constants import ErrorCode
from mysql_wire.errors import MalformedPacket, PacketTooLarge, TLSRequired, UnexpectedPacket, UnsupportedClient
from mysql_wire.reply import ERRPacket
from rds_iam_proxy import refusals
from rds_iam_proxy.config import Target
from rds_iam_proxy.endpoint import Address
from rds_iam_proxy.errors import Draining, LoginError, Refused

ENDPOINT = Address("orders.cweacjg5pv9n.eu-west-1.rds.amazonaws.com", 3306)
TARGET = Target("orders", ENDPOINT, ENDPOINT, "eu-west-1")
TUNNELLED = Target("orders", ENDPOINT, Address("127.0.0.1", 13306), "eu-west-1")


@pytest.mark.parametrize(
    ("error", "code", "sqlstate", "words"),
    [
        (refusals.dial_failure(TARGET, OSError(errno.ECONNREFUSED, "")), 2003, "HY000", "security group"),
        (refusals.dial_failure(TUNNELLED, OSError(errno.ECONNREFUSED, "")), 2003, "HY000", "tunnel runs"),
        (refusals.dial_failure(TARGET, OSError(errno.EMFILE, "")), 1040, "08004", "ulimit -n"),
        (refusals.dial_failure(TARGET, socket.gaierror(-2, "unknown")), 2003, "HY000", "DNS"),
        (refusals.no_answer(TARGET, "connecting", 9.5), 2003, "HY000", "within 9.5 s while connecting"),
        (refusals.no_tls(TARGET), 2026, "HY000", "verified TLS only"),
        (refusals.tls_failure(TARGET, ssl.SSLError(1, "x")), 2026, "HY000", "TLS"),
        (refusals.not_an_iam_user(TARGET, "u", "why"), 1045, "28000", "AWSAuthenticationPlugin AS 'RDS'"),
        (refusals.refused(TARGET, "u", ERRPacket(1045, "28000", b"no"), old_token=False), 1045, "28000", "rds-db"),
        (Draining("the proxy is shutting down"), 1053, "08S01", "shutting down"),
    ],
)
def test_failures_have_their_code_and_say_what_to_do(error: LoginError, code: int, sqlstate: str, words: str) -> None:
    packet = refusals.err_packet(error)
    assert (packet.code, packet.sqlstate) == (code, sqlstate)
    assert words in packet.message.decode()
    assert packet.message.startswith(b"rds-iam-proxy: ")
    assert len(packet.message) <= refusals.MAX_TEXT
    assert b"\n" not in packet.message


def test_an_err_of_rds_that_speaks_for_itself_passes() -> None:
    err = ERRPacket(1049, "42000", b"Unknown database 'x'")
    assert refusals.err_packet(refusals.refused(TARGET, "u", err, old_token=False)) == err


def test_long_texts_are_cut_between_characters() -> None:
    message = refusals.err_packet(Refused("ä" * 500, code=1, sqlstate="HY000")).message
    assert len(message) <= refusals.MAX_TEXT
    assert message.decode().endswith("...")


@pytest.mark.parametrize(
    ("error", "code", "has_sqlstate"),
    [
        (MalformedPacket("x"), 1043, True),
        (PacketTooLarge("x"), 1043, True),
        (UnexpectedPacket("x"), 1156, True),
        (UnsupportedClient("x"), 1251, False),
        (TLSRequired("x"), 3159, True),
    ],
)
def test_broken_logins(error: MalformedPacket, code: int, has_sqlstate: bool) -> None:
    assert refusals.broken_login(error).code == code
    assert refusals.has_sqlstate(error) is has_sqlstate


def test_access_denied_reads_as_a_server_s_and_escapes_the_name() -> None:
    packet = refusals.access_denied(b"a\x1bb", "localhost", using_password=True)
    assert packet.message == rb"Access denied for user 'a\x1bb'@'localhost' (using password: YES)"
    assert packet.code == ErrorCode.ER_ACCESS_DENIED_ERROR
