from rds_iam_proxy.aws.clock import TokenClock


class Clocks:
    def __init__(self) -> None:
        self.wall, self.boot = 1_000_000.0, 50.0

    def pass_seconds(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


def test_time_that_passes_moves_nothing() -> None:
    clocks = Clocks()
    clock = TokenClock(wall=lambda: clocks.wall, boot=lambda: clocks.boot)
    clocks.pass_seconds(7200)  # asleep or not
    assert clock.moved() == 0
    assert clock.now() == clocks.wall


def test_a_clock_that_is_set_moves_until_it_was_right() -> None:
    clocks = Clocks()
    clock = TokenClock(wall=lambda: clocks.wall, boot=lambda: clocks.boot)
    clocks.wall -= 3600
    clocks.pass_seconds(5)
    assert clock.moved() == -3600
    clock.was_right()
    assert clock.moved() == 0


def test_without_a_clock_that_counts_sleep_nothing_is_claimed() -> None:
    clocks = Clocks()
    clock = TokenClock(wall=lambda: clocks.wall, boot=None)
    clocks.wall += 3600
    assert clock.moved() == 0
