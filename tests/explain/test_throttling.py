"""What RDS's refusals do to a login: which are tried again, which lower the rate, which reach the client."""

import asyncio
from pathlib import Path

import pytest

from kit.denied_rds import DB_USER, FixedSigner, log_in, upstream_of
from kit.fake_server import OK, after_token, error, fake_server
from kit.raw_client import packet
from rds_iam_proxy.errors.tree import Limited, LoginError, Refused, Unreachable
from rds_iam_proxy.net.make_certificate import make_ca
from rds_iam_proxy.rds.upstream import Upstream

CA = make_ca("CA of a fake server")
LET_IN = packet(OK, 5)
DENIED = error(1045, f"Access denied for user '{DB_USER}'@'10.0.0.1' (using password: YES)", 5, "28000")
RATE_LIMITED = error(1040, "IAM authentication rate limit exceeded", 5, "08004")


class Verdicts:
    """What the server says to one token after the other; the last one stays."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.tokens: list[bytes] = []

    def __call__(self, token: bytes) -> bytes:
        self.tokens.append(token)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def outcome(upstream: Upstream) -> LoginError | None:
    try:
        (await log_in(upstream)).close()
    except LoginError as exc:
        return exc
    return None


async def test_a_login_that_rds_proxy_throttles_is_tried_again(tmp_path: Path) -> None:
    verdicts = Verdicts(RATE_LIMITED, RATE_LIMITED, LET_IN)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            assert await outcome(upstream) is None
            assert upstream.limiter.rate < upstream.target.logins_per_second
    assert len(verdicts.tokens) == 3


async def test_the_third_refusal_for_throttling_is_answered(tmp_path: Path) -> None:
    verdicts = Verdicts(RATE_LIMITED)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            failure = await outcome(upstream)
    assert isinstance(failure, Limited)
    assert (failure.row.key, failure.reason) == ("throttled", "limited")
    assert "throttles new logins" in failure.text
    assert "rate limit exceeded" in failure.detail
    assert len(verdicts.tokens) == 3


async def test_a_user_whom_nothing_lets_in_any_more_is_told_so_at_once(tmp_path: Path) -> None:
    """An AWS session that ended, or a permission that was taken away, is refused in the words of throttling."""
    verdicts = Verdicts(LET_IN, DENIED)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            assert await outcome(upstream) is None
            first, second = await outcome(upstream), await outcome(upstream)
    for failure in (first, second):
        assert isinstance(failure, Refused)
        assert failure.code == 1045
        assert "are the AWS credentials valid" in failure.text
    assert len(verdicts.tokens) == 1 + 3 + 1, "the second is not taken for throttling any more"


async def test_a_user_who_is_refused_once_among_logins_gets_in(tmp_path: Path) -> None:
    verdicts = Verdicts(LET_IN, DENIED, DENIED, LET_IN)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            assert [await outcome(upstream) for _ in range(2)] == [None, None]
    assert len(verdicts.tokens) == 4


async def test_a_user_who_never_logged_in_is_refused_at_once(tmp_path: Path) -> None:
    verdicts = Verdicts(DENIED)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            failure = await outcome(upstream)
            assert upstream.limiter.rate == upstream.target.logins_per_second
    assert isinstance(failure, Refused)
    assert failure.code == 1045
    assert len(verdicts.tokens) == 1


async def test_an_old_token_is_replaced_before_throttling_is_assumed(tmp_path: Path) -> None:
    verdicts = Verdicts(DENIED, LET_IN)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server, signer=FixedSigner(age=300)) as upstream:
            assert await outcome(upstream) is None
            assert upstream.limiter.rate == upstream.target.logins_per_second
    assert len(set(verdicts.tokens)) == 2


async def test_other_refusals_are_not_tried_again(tmp_path: Path) -> None:
    verdicts = Verdicts(error(1040, "Too many connections", 5, "08004"))
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            failure = await outcome(upstream)
    assert isinstance(failure, Refused)
    assert failure.code == 1040
    assert len(verdicts.tokens) == 1


async def test_a_retry_that_has_no_time_left_is_answered_with_1040(tmp_path: Path) -> None:
    verdicts = Verdicts(RATE_LIMITED)
    with fake_server(after_token(CA, tmp_path, verdicts), CA, tmp_path) as server:
        async with upstream_of(server, logins_per_second=0.1, login_burst=1) as upstream:
            failure = await outcome(upstream)
    assert isinstance(failure, Limited)
    assert "became free" in failure.text or "can become free" in failure.text
    assert len(verdicts.tokens) == 1


# --- sessions ---


async def test_sessions_of_one_account_are_counted_apart(tmp_path: Path) -> None:
    with fake_server(after_token(CA, tmp_path, Verdicts(LET_IN)), CA, tmp_path) as server:
        async with upstream_of(server, max_sessions=3, max_sessions_per_account=2) as upstream:
            first, second = await log_in(upstream, "a"), await log_in(upstream, "a")
            with pytest.raises(Limited, match=r"account a uses all 2 sessions .* raise max_sessions_per_account"):
                await log_in(upstream, "a")
            third = await log_in(upstream, "b")
            with pytest.raises(Limited, match="all 3 sessions of target shop are in use"):
                await log_in(upstream, "c")
            first.close()
            first.close()
            assert upstream.sessions == 2
            fourth = await log_in(upstream, "a")
            for session in (second, third, fourth):
                session.close()
            assert upstream.sessions == 0


async def test_those_who_waited_together_do_not_get_one_place_twice(tmp_path: Path) -> None:
    with fake_server(after_token(CA, tmp_path, Verdicts(LET_IN)), CA, tmp_path) as server:
        async with upstream_of(server, max_sessions=1) as upstream:
            outcomes = await asyncio.gather(*(log_in(upstream) for _ in range(3)), return_exceptions=True)
            assert sum(isinstance(outcome, Limited) for outcome in outcomes) == 2
            for entered in outcomes:
                if not isinstance(entered, BaseException):
                    entered.close()


# --- the circuit breaker ---


async def test_an_endpoint_that_cannot_be_reached_is_not_dialled_for_everybody(tmp_path: Path) -> None:
    dialled: list[int] = []
    with fake_server(lambda _connection, _server: dialled.append(1), CA, tmp_path) as server:
        async with upstream_of(server) as upstream:
            failures = [await outcome(upstream) for _ in range(8)]
            assert upstream.breaker_open
    assert all(isinstance(failure, Unreachable) for failure in failures)
    assert len(dialled) == 5
    last = failures[-1]
    assert last is not None
    assert "not tried, because the last 5 attempts failed (next try in " in last.text
    assert "ended the login while reading the greeting" in last.text
    assert len(last.text.encode()) < 385
