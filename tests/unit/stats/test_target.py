"""What is remembered of a target, and what that says about its health."""

import pytest

from rds_iam_proxy.errors.tree import CredentialsError, Denied, Limited, LoginError, Refused, Unreachable, Verdict
from rds_iam_proxy.mysql.program_name import attributes_of, client_program
from rds_iam_proxy.rds.login import Step
from rds_iam_proxy.stats.histogram import Histogram
from rds_iam_proxy.stats.phases import Phase, PhaseTimer
from rds_iam_proxy.stats.refused import UNTOLD_SECONDS, RefusedLogin
from rds_iam_proxy.stats.target import MAX_DB_USERS, MAX_ERRORS, Health, TargetStats

REFUSED = Refused("passed-on", Verdict.PASSED_ON, 1045, "28000", answer="no")


def refused_login(user: str, error: LoginError | None = None) -> RefusedLogin:
    error = error or Denied("login-timeout")
    return RefusedLogin(user, "127.0.0.1", 1045, error.shown, error)


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stats(clock: Clock) -> TargetStats:
    return TargetStats(wall=clock)


def test_a_histogram_counts_what_is_not_above_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 3.0):
        histogram.observe(value)
    assert histogram.cumulative() == (2, 3, 4)
    assert (histogram.count, histogram.total) == (4, 6.0)


def test_every_step_at_rds_but_the_last_has_its_phase() -> None:
    assert {step.name for step in Step} == {"PERMIT", *Phase.__members__, "DONE"}


def test_each_phase_gets_its_own_time(clock: Clock, stats: TargetStats) -> None:
    timer = PhaseTimer(stats.phases, clock)
    for step, seconds in ((Step.GREETING, 1.0), (Step.TLS, 2.0), (Step.DONE, 4.0)):
        clock.time += seconds
        timer(step)
    assert {phase: found.total for phase, found in stats.phases.items() if found.count} == {
        Phase.CONNECT: 1.0,
        Phase.GREETING: 2.0,
        Phase.TLS: 4.0,
    }


def test_a_target_nobody_has_tried_is_starting(stats: TargetStats) -> None:
    assert stats.health(breaker_open=False)[0] is Health.STARTING


@pytest.mark.parametrize(
    "error", [Unreachable("cname-unknown", host="db"), CredentialsError("credentials-too-late", seconds=1.0)]
)
def test_a_target_that_nobody_can_reach_is_down_until_a_login_works(
    stats: TargetStats, error: Unreachable | CredentialsError
) -> None:
    stats.attempted("alice", None)
    stats.attempted("bob", error)
    assert stats.health(breaker_open=False) == (Health.DOWN, error.text)
    stats.attempted("alice", None)
    assert stats.health(breaker_open=False)[0] is Health.READY


def test_a_target_that_refuses_everybody_is_not_ready(stats: TargetStats) -> None:
    stats.attempted("alice", REFUSED)
    assert stats.health(breaker_open=False) == (Health.REFUSED, "no")


def test_one_refused_user_does_not_make_a_target_unready(stats: TargetStats) -> None:
    stats.attempted("alice", None)
    stats.attempted("bob", REFUSED)
    health, why = stats.health(breaker_open=False)
    assert health is Health.READY
    assert why == "but the last login failed: no"


def test_a_client_that_names_a_wrong_database_says_nothing_against_the_target(stats: TargetStats) -> None:
    stats.attempted("alice", Refused("passed-on", Verdict.OF_DATABASE, 1049, "42000", answer="no"))
    assert stats.health(breaker_open=False) == (Health.READY, "")


def test_our_own_limits_say_nothing_about_the_target(stats: TargetStats) -> None:
    stats.attempted("alice", None)
    stats.attempted("alice", Limited("no-room"))
    assert stats.health(breaker_open=False) == (Health.READY, "")


def test_an_attempt_that_is_broken_off_counts_as_none(stats: TargetStats) -> None:
    with pytest.raises(KeyboardInterrupt), stats.attempt("alice"):
        raise KeyboardInterrupt
    assert not stats.attempts


def test_what_is_remembered_is_bounded(stats: TargetStats) -> None:
    for number in range(2 * MAX_DB_USERS):
        stats.attempted(f"user {number}", None)
        stats.refuse(refused_login(f"user {number}"))
    assert len(stats.attempts) == MAX_DB_USERS
    assert len(stats.errors) == MAX_ERRORS
    assert stats.refused["timeout"] == 2 * MAX_DB_USERS


def test_repeated_errors_are_counted_and_come_last(clock: Clock, stats: TargetStats) -> None:
    one, other = (refused_login(user) for user in ("a", "b"))
    for key in (one, other, one):
        clock.time += 1
        stats.refuse(key)
    seen = list(stats.errors.values())
    assert [found.latest for found in seen] == [other, one]
    assert (seen[1].count, seen[1].first_at, seen[1].last_at) == (2, 1001.0, 1003.0)


def test_errors_that_differ_in_numbers_only_are_one_with_the_latest_text(stats: TargetStats) -> None:
    for seconds in (8.0, 7.5):
        stats.refuse(refused_login("a", CredentialsError("credentials-too-late", seconds=seconds)))
    (seen,) = stats.errors.values()
    assert (seen.count, seen.latest.error.values) == (2, {"seconds": 7.5})
    for host in ("db-1", "db-2"):
        stats.refuse(refused_login("a", Unreachable("cname-unknown", host=host)))
    assert len(stats.errors) == 3, "a number in a name is no measure"


def test_log_tells_an_error_once_and_then_how_often_it_came_again(clock: Clock, stats: TargetStats) -> None:
    one, other = (refused_login(user) for user in ("a", "b"))
    assert [stats.refuse(error) for error in (one, one, other, one)] == [True, False, True, False]
    assert stats.tell_again() == [], "not before the time is up"
    clock.time += UNTOLD_SECONDS
    assert stats.tell_again() == [(one, 2)]
    assert not stats.refuse(one), "a storm is one line a minute"
    assert stats.tell_again(at_once=True) == [(one, 1)]
    assert stats.tell_again(at_once=True) == []
    clock.time += UNTOLD_SECONDS
    assert stats.refuse(one)
    clock.time -= 1
    assert stats.refuse(one), "the clock was set back"


def test_count_of_an_error_that_is_forgotten_is_still_told(stats: TargetStats) -> None:
    first = refused_login("first")
    assert [stats.refuse(first), stats.refuse(first)] == [True, False]
    for number in range(MAX_ERRORS):
        assert stats.refuse(refused_login(f"user {number}"))
    assert stats.tell_again() == [(first, 1)]
    assert stats.tell_again() == []


@pytest.mark.parametrize(
    ("attributes", "program"),
    [
        (None, ""),
        (b"", ""),
        (b"\x0c_client_name\x07pymysql", "pymysql"),
        (b"\x0c_client_name\x07pymysql\x0cprogram_name\x04cron", "cron"),
        (b"\x0cprogram_name\x06\x1b[2J\n\x00", "\\x1b[2J\\n\\x00"),
        (b"\x0cprogram_name\x04cron\xff", "cron"),
        (b"\x0cprogram_name\xfd\xff\xff\xff", ""),
    ],
)
def test_the_program_is_read_from_the_attributes(attributes: bytes | None, program: str) -> None:
    assert client_program(attributes_of(attributes)) == program


def test_unknown_users_do_not_push_another_error_out() -> None:
    stats = TargetStats(wall=lambda: 1.8e9)
    real = refused_login("batch", Limited("no-room"))
    stats.refuse(real)
    for number in range(MAX_ERRORS + 10):
        stats.refuse(refused_login(f"user {number}"))
    assert len(stats.errors) == MAX_ERRORS
    assert real.same in stats.errors
    stats.refuse(real)
    assert stats.errors[real.same].count == 2
