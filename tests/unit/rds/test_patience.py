"""Who is blamed when a login's time is over."""

from rds_iam_proxy.config import Target
from rds_iam_proxy.errors.tree import LoginError
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.rds.login import Step
from rds_iam_proxy.rds.patience import Patience

ADDRESS = Address("db", 3306)
TARGET = Target("shop", ADDRESS, ADDRESS, "eu-central-1")


def blamed(waited: float, *steps: tuple[Step, float]) -> LoginError:
    """After so many seconds on each step, in the middle of the last one."""
    now = 1000.0

    def clock() -> float:
        return now

    patience = Patience(waited, clock)
    for step, seconds in steps:
        patience.on(step)
        now += seconds
    return patience.over(TARGET)


def test_step_that_used_the_time_is_blamed_and_not_the_last_one() -> None:
    error = blamed(0.1, (Step.CONNECT, 0.1), (Step.VERDICT, 8.0), (Step.CONNECT, 0.1), (Step.CREDENTIALS, 1.3))
    assert error.row.key == "no-answer"
    assert "did not answer within 8.0 s while checking the token" in error.text


def test_credentials_that_were_slow_are_blamed_whatever_came_after() -> None:
    error = blamed(0.0, (Step.CREDENTIALS, 4.9), (Step.CONNECT, 4.6))
    assert error.row.key == "credentials-too-late"


def test_a_long_wait_for_the_permit_is_no_fault_of_rds() -> None:
    error = blamed(8.0, (Step.CREDENTIALS, 0.2), (Step.CONNECT, 1.3))
    assert (error.row.key, error.reason) == ("permit-too-late", "limited")
    assert "waited 8.0 s for its turn, and RDS did not let it in within the 1.5 s" in error.text


def test_waits_of_several_tries_add_up() -> None:
    error = blamed(1.0, (Step.VERDICT, 1.5), (Step.PERMIT, 2.0), (Step.VERDICT, 1.8))
    assert error.row.key == "no-answer"
    assert "within 3.3 s" in error.text


def test_paused_clusters_are_named() -> None:
    error = blamed(0.0, (Step.CONNECT, 9.5))
    assert "a paused Aurora Serverless needs 15 s and more: raise login_timeout" in error.shown
