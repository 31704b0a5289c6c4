"""The recomputed SigV4 check against tokens that botocore signed."""

import datetime
from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from rds_iam_proxy.commands.demo.token_check import Keys, Reason, TokenCheck, TokenRefused

HOST = "demo.cdemo0000000.us-east-1.rds.amazonaws.com"
USER = "report user@x"  # what URL encoding must not spoil
KEYS = Keys.throw_away()


def signed(
    keys: Keys = KEYS, *, host: str = HOST, port: int = 3306, user: str = USER, region: str = "us-east-1"
) -> bytes:
    session = boto3.Session(
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
        region_name=region,
    )
    token: str = session.client("rds").generate_db_auth_token(host, port, user)
    return token.encode()


def signed_at(token: bytes) -> float:
    text = token.partition(b"X-Amz-Date=")[2][:16].decode()
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%S%z").timestamp()


def check_for(token: bytes, *, age: float = 0.0, keys: Keys = KEYS) -> TokenCheck:
    moment = signed_at(token) + age
    return TokenCheck(f"{HOST}:3306", "us-east-1", keys, lambda: moment)


def refusal(check: TokenCheck, token: bytes, user: str = USER) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        check.check(token, user)
    return caught.value


def test_a_token_of_botocore_is_accepted() -> None:
    token = signed()
    check_for(token).check(token, USER)


def test_a_token_without_session_token_is_accepted() -> None:
    keys = replace(KEYS, session_token=None)
    token = signed(keys)
    check_for(token, keys=keys).check(token, USER)


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        (lambda: signed(host="other.cdemo0000000.us-east-1.rds.amazonaws.com"), "another host"),
        (lambda: signed(port=3307), "another host or port"),
        (lambda: signed(user="somebody"), "DBUser"),
        (lambda: signed(region="eu-west-1"), "X-Amz-Credential"),
        (lambda: signed(replace(KEYS, access_key="ASIADEMOOTHER0000000")), "X-Amz-Credential"),
        (lambda: signed(replace(KEYS, session_token="other")), "X-Amz-Security-Token"),
        (lambda: signed(replace(KEYS, session_token=None)), "missing"),
        (lambda: signed(replace(KEYS, secret_key="other")), "signature"),
    ],
)
def test_a_token_for_something_else_is_invalid(token: Callable[[], bytes], detail: str) -> None:
    made = token()
    refused = refusal(check_for(made), made)
    assert refused.reason is Reason.INVALID
    assert detail in refused.detail


def test_a_token_lives_for_900_seconds() -> None:
    token = signed()
    check_for(token, age=900).check(token, USER)
    assert refusal(check_for(token, age=901), token).reason is Reason.EXPIRED


def test_a_token_from_the_far_future_is_refused() -> None:
    token = signed()
    check_for(token, age=-300).check(token, USER)
    assert refusal(check_for(token, age=-301), token).reason is Reason.INVALID


def test_an_old_token_with_a_wrong_signature_is_invalid_rather_than_expired() -> None:
    token = signed(replace(KEYS, secret_key="other"))
    assert refusal(check_for(token, age=10_000), token).reason is Reason.INVALID


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"X-Amz-Expires=900", b"X-Amz-Expires=901"),
        (b"X-Amz-Expires=900", b"X-Amz-Expires=800"),
        (b"X-Amz-Expires=900", b"X-Amz-Expires=-1"),
        (b"Action=connect", b"Action=connect&Action=connect"),
        (b"Action=connect", b"Action=connect&Extra=1"),
        (b"Action=connect", b"Action"),
        (b"X-Amz-SignedHeaders=host", b"X-Amz-SignedHeaders=host%3Bx"),
        (b"X-Amz-Algorithm=AWS4-HMAC-SHA256", b"X-Amz-Algorithm=none"),
        (b"/?", b"/"),
        (b"DBUser=", b"DBUser=%ff"),
    ],
)
def test_a_changed_token_is_invalid(old: bytes, new: bytes) -> None:
    token = signed()
    changed = token.replace(old, new, 1)
    assert changed != token
    assert refusal(check_for(token), changed).reason is Reason.INVALID


@pytest.mark.parametrize("token", [b"", b"/?", b"password", b"\xff\xfe", b"x/?a=b", b"x" * 100_000])
def test_what_is_no_token_is_invalid(token: bytes) -> None:
    check = TokenCheck(f"{HOST}:3306", "us-east-1", KEYS, lambda: 0.0)
    assert refusal(check, token).reason is Reason.INVALID


def test_every_truncation_is_invalid() -> None:
    token = signed()
    check = check_for(token)
    for length in range(len(token)):
        assert refusal(check, token[:length]).reason is Reason.INVALID


def test_nothing_secret_is_shown() -> None:
    token = signed(replace(KEYS, secret_key="other"))
    shown = repr(KEYS) + repr(check_for(token)) + str(refusal(check_for(token), token))
    assert KEYS.session_token is not None
    for secret in (KEYS.access_key, KEYS.secret_key, KEYS.session_token, token.decode()[-64:]):
        assert secret not in shown
