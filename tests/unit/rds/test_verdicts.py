"""What a refusal means, by who got in lately; the test says what time it is."""

import pytest

from rds_iam_proxy.errors.tree import Refused, Verdict
from rds_iam_proxy.rds.verdicts import KNOWN_GOOD_SECONDS, NEW_TOKEN_SECONDS, Meaning, Verdicts

NOW = 1000.0


def refused(verdict: Verdict) -> Refused:
    return Refused("passed-on", verdict, 1045, "28000", answer="Access denied")


REFUSED, OLD, OPENLY = map(refused, (Verdict.TOKEN_REFUSED, Verdict.OLD_TOKEN, Verdict.RATE_LIMITED))


@pytest.mark.parametrize("verdict", [Verdict.PASSED_ON, Verdict.EXPLAINED, Verdict.TOKEN_REFUSED])
def test_refusal_of_somebody_who_never_got_in_is_meant(verdict: Verdict) -> None:
    assert Verdicts().trial("app", NOW).judge(refused(verdict), NOW) is Meaning.AS_IT_SAYS


@pytest.mark.parametrize("verdict", [Verdict.PASSED_ON, Verdict.EXPLAINED])
def test_what_is_not_about_the_token_is_meant_whoever_got_in(verdict: Verdict) -> None:
    verdicts = Verdicts()
    verdicts.logged_in("app", NOW)
    assert verdicts.trial("app", NOW).judge(refused(verdict), NOW) is Meaning.AS_IT_SAYS


def test_token_of_somebody_who_got_in_lately_is_throttled() -> None:
    verdicts = Verdicts()
    verdicts.logged_in("app", NOW)
    for seconds, meaning in (
        (KNOWN_GOOD_SECONDS - 1, Meaning.THROTTLED),
        (KNOWN_GOOD_SECONDS, Meaning.AS_IT_SAYS),
    ):
        assert verdicts.trial("app", NOW).judge(REFUSED, NOW + seconds) is meaning
    assert verdicts.trial("other", NOW).judge(REFUSED, NOW) is Meaning.AS_IT_SAYS


def test_third_throttled_try_is_the_last_and_is_meant_if_nobody_got_in_meanwhile() -> None:
    verdicts = Verdicts()
    verdicts.logged_in("app", NOW - 1)
    trial = verdicts.trial("app", NOW)
    meanings = [trial.judge(REFUSED, NOW + seconds) for seconds in range(3)]
    assert meanings == [Meaning.THROTTLED, Meaning.THROTTLED, Meaning.NOT_THROTTLED]
    assert verdicts.seconds_since_login("app", NOW) is None
    assert verdicts.trial("app", NOW + 3).judge(REFUSED, NOW + 3) is Meaning.AS_IT_SAYS


def test_third_throttled_try_is_still_throttled_if_somebody_got_in_meanwhile() -> None:
    verdicts = Verdicts()
    verdicts.logged_in("app", NOW - 1)
    trial = verdicts.trial("app", NOW)
    assert [trial.judge(REFUSED, NOW) for _ in range(2)] == [Meaning.THROTTLED, Meaning.THROTTLED]
    verdicts.logged_in("app", NOW)
    assert trial.judge(REFUSED, NOW + 2) is Meaning.STILL_THROTTLED
    assert verdicts.seconds_since_login("app", NOW + 2) == 2


def test_throttling_that_is_said_openly_needs_no_login_before() -> None:
    trial = Verdicts().trial("app", NOW)
    meanings = [trial.judge(OPENLY, NOW) for _ in range(3)]
    assert meanings == [Meaning.THROTTLED, Meaning.THROTTLED, Meaning.STILL_THROTTLED]


def test_after_open_throttling_a_refused_token_is_taken_for_the_same() -> None:
    trial = Verdicts().trial("app", NOW)
    assert trial.judge(OPENLY, NOW) is Meaning.THROTTLED
    assert trial.judge(REFUSED, NOW) is Meaning.THROTTLED


def test_old_token_is_replaced_once_in_a_while_for_each_db_user() -> None:
    verdicts = Verdicts()
    assert verdicts.trial("app", NOW).judge(OLD, NOW) is Meaning.OLD_TOKEN
    assert verdicts.trial("app", NOW).judge(OLD, NOW + NEW_TOKEN_SECONDS - 1) is Meaning.AS_IT_SAYS
    assert verdicts.trial("other", NOW).judge(OLD, NOW) is Meaning.OLD_TOKEN
    assert verdicts.trial("app", NOW).judge(OLD, NOW + NEW_TOKEN_SECONDS) is Meaning.OLD_TOKEN
