"""The brake on guessing passwords."""

import sys

from rds_iam_proxy.front.guard import MAX_PAIRS, QUICK_ANSWERS, QUICK_SECONDS, SLOWEST_SECONDS, LoginGuard


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


def _guard() -> tuple[LoginGuard, Clock]:
    clock = Clock()
    return LoginGuard(now=clock.now), clock


def test_wrong_answers_wait_longer_and_longer_up_to_a_limit() -> None:
    guard, _ = _guard()
    waits = [guard.wrong(b"app", "127.0.0.1") for _ in range(18)]
    assert waits[:QUICK_ANSWERS] == [QUICK_SECONDS] * QUICK_ANSWERS
    assert waits[QUICK_ANSWERS:] == [0.2, 0.4, 0.8, 1.6, 3.2, SLOWEST_SECONDS, SLOWEST_SECONDS, SLOWEST_SECONDS]


def test_other_peers_and_other_names_are_not_slowed() -> None:
    guard, _ = _guard()
    for _ in range(20):
        guard.wrong(b"app", "127.0.0.1")
    assert guard.wrong(b"app", "10.0.0.9") == QUICK_SECONDS
    assert guard.wrong(b"other", "127.0.0.1") == QUICK_SECONDS


def test_a_minute_without_a_wrong_answer_ends_it() -> None:
    guard, clock = _guard()
    for _ in range(20):
        guard.wrong(b"app", "p")
        clock.time += 59.0
    assert guard.wrong(b"app", "p") == SLOWEST_SECONDS
    clock.time += 61.0
    assert guard.wrong(b"app", "p") == QUICK_SECONDS


def test_guessing_for_days_stays_cheap_to_count() -> None:
    guard, _ = _guard()
    for _ in range(100_000):
        wait = guard.wrong(b"app", "p")
    assert wait == SLOWEST_SECONDS


def test_memory_is_bounded_whatever_names_are_sent() -> None:
    guard, _ = _guard()
    for number in range(MAX_PAIRS + 500):
        guard.wrong(b"x" * 10_000 + str(number).encode(), "p")
    pairs = guard._pairs
    assert len(pairs) == MAX_PAIRS
    assert sum(sys.getsizeof(key) for key in pairs) < 100 * MAX_PAIRS
    assert guard.wrong(b"x" * 10_000 + b"0", "p") == QUICK_SECONDS, "the oldest was forgotten"
