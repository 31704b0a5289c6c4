"""The brake on guessing passwords."""

from rds_iam_proxy.front.guard import MAX_QUEUE_SECONDS, LoginGuard


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def _guard() -> tuple[LoginGuard, Clock]:
    clock = Clock()
    return LoginGuard(now=clock.now, sleep=clock.sleep), clock


async def test_ten_failures_in_a_row_slow_the_pair_down() -> None:
    guard, clock = _guard()
    for _ in range(10):
        assert await guard.turn("app", "127.0.0.1")
        assert clock.slept == []
        guard.failed("app", "127.0.0.1")
    for _ in range(3):
        assert await guard.turn("app", "127.0.0.1")
    assert clock.slept == [0.0, 1.0, 2.0]
    assert await guard.turn("app", "10.0.0.9"), "another peer is not slowed"
    assert await guard.turn("other", "127.0.0.1"), "nor another account"
    assert clock.slept == [0.0, 1.0, 2.0]


async def test_right_password_ends_it_and_so_does_a_minute() -> None:
    guard, clock = _guard()
    for _ in range(10):
        guard.failed("app", "p")
    guard.succeeded("app", "p")
    assert await guard.turn("app", "p")
    for _ in range(10):
        guard.failed("app", "p")
    clock.time += 61
    assert await guard.turn("app", "p")
    assert clock.slept == []


async def test_nine_failures_and_a_success_count_from_the_beginning() -> None:
    guard, clock = _guard()
    for _ in range(5):
        for _ in range(9):
            guard.failed("app", "p")
        guard.succeeded("app", "p")
    await guard.turn("app", "p")
    assert clock.slept == []


async def test_nobody_waits_longer_than_a_client_would() -> None:
    guard, clock = _guard()
    for _ in range(10):
        guard.failed("app", "p")
    turns = [await guard.turn("app", "p") for _ in range(20)]
    assert turns == [True] * 9 + [False] * 11
    assert max(clock.slept) <= MAX_QUEUE_SECONDS
