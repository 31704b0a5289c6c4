import heapq
import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from kit.grants import assert_within
from rds_iam_proxy.limits.budget import Permits
from rds_iam_proxy.limits.fair_queue import Entry, PermitQueue, Waiter

START = 1000.0


class Storm:
    """Runs logins through a PermitQueue without a loop."""

    def __init__(self, rate: float, burst: int, max_waiting: int = 1000) -> None:
        self.queue = PermitQueue(Permits(rate, burst, START), max_waiting)
        self.grants: list[float] = []
        self.waits: dict[str, list[float]] = {}
        self.refused = 0
        self.left = 0
        self._entered: dict[Waiter, float] = {}
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def login(self, account: str, arrival: float, patience: float = math.inf, leaves: float | None = None) -> None:
        """`arrival` in seconds from the start; `leaves` in seconds after that."""
        waiter = Waiter(account, START + arrival + patience)

        def leave(now: float) -> None:
            if self._entered.pop(waiter, None) is not None:
                self.queue.leave(waiter)
                self.left += 1

        def enter(now: float) -> None:
            match self.queue.enter(waiter, now):
                case Entry.GRANTED:
                    self._granted(account, now, 0.0)
                case Entry.WAITS:
                    self._entered[waiter] = now
                    stays = patience if leaves is None else min(patience, leaves)
                    if stays < math.inf:
                        self._at(now + stays, leave)
                    self._wake(now)
                case Entry.FULL | Entry.TOO_LATE:
                    self.refused += 1

        self._at(START + arrival, enter)

    def run(self) -> None:
        while self._events:
            time, _, action = heapq.heappop(self._events)
            action(time)

    def _at(self, time: float, action: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, action))

    def _wake(self, now: float) -> None:
        seconds = self.queue.seconds_to_next(now)
        if seconds is not None:
            self._at(now + max(seconds, 1e-4), self._timer)

    def _timer(self, now: float) -> None:
        for waiter in self.queue.grant(now):
            assert now <= waiter.deadline
            self._granted(waiter.account, now, now - self._entered.pop(waiter))
        self._wake(now)

    def _granted(self, account: str, now: float, waited: float) -> None:
        self.grants.append(now)
        self.waits.setdefault(account, []).append(waited)


accounts = st.sampled_from("abcd")


@given(
    rate=st.floats(0.5, 500),
    burst=st.integers(1, 30),
    max_waiting=st.integers(0, 20),
    logins=st.lists(
        st.tuples(accounts, st.floats(0, 3), st.floats(0, 2), st.none() | st.floats(0, 2)), min_size=1, max_size=60
    ),
)
def test_no_window_ever_holds_more_than_rate_and_burst_and_nobody_is_forgotten(
    rate: float, burst: int, max_waiting: int, logins: list[tuple[str, float, float, float | None]]
) -> None:
    storm = Storm(rate, burst, max_waiting)
    for login in logins:
        storm.login(*login)
    storm.run()
    assert_within(storm.grants, rate, burst)
    assert len(storm.grants) + storm.refused + storm.left == len(logins)
    assert len(storm.queue) == 0
    assert storm.queue.per_account() == {}


@given(
    rate=st.floats(1, 100),
    burst=st.integers(1, 5),
    waiting=st.lists(accounts, max_size=40),
    later=st.lists(accounts, max_size=40),
    data=st.data(),
)
def test_nobody_waits_for_more_than_its_place_in_line_times_the_accounts(
    rate: float, burst: int, waiting: list[str], later: list[str], data: st.DataObject
) -> None:
    """Whoever comes later: each round serves each account that waits once."""
    permits = Permits(rate, burst, START)
    queue = PermitQueue(permits, 1000)
    while permits.take(START):
        pass
    for account in waiting:
        queue.enter(Waiter(account, math.inf), START)
    mine = Waiter(data.draw(accounts), math.inf)
    place = waiting.count(mine.account) + 1
    queue.enter(mine, START)
    arrivals = later[:]
    order: list[Waiter] = []
    while mine not in order:
        if arrivals:
            queue.enter(Waiter(arrivals.pop(), math.inf), START)
        order += queue.grant(START + (len(order) + 1) / rate)
    active = len({*waiting, *later, mine.account})
    assert len(order) <= place * active


@given(waiting=st.lists(accounts, max_size=40), account=accounts, again=st.booleans())
def test_on_entry_a_login_is_too_late_exactly_if_its_turn_would_come_too_late(
    waiting: list[str], account: str, again: bool
) -> None:
    for turns, expected in ((0, Entry.WAITS), (-1, Entry.TOO_LATE)):
        queue = busy_queue(*waiting)
        queue.enter(mine := Waiter(account, math.inf, again), START)
        order = all_grants(queue)
        turn = order.index(mine) + 1
        queue = busy_queue(*waiting)
        deadline = START + (turn + turns) / 10 + 0.001
        assert queue.enter(Waiter(account, deadline, again), START) is expected


def busy_queue(*waiting: str, max_waiting: int = 1000) -> PermitQueue:
    """10 permits a second, none of them left."""
    permits = Permits(10, 1, START)
    permits.take(START)
    queue = PermitQueue(permits, max_waiting)
    for account in waiting:
        queue.enter(Waiter(account, math.inf), START)
    return queue


def all_grants(queue: PermitQueue) -> list[Waiter]:
    now = START
    granted = []
    while len(queue):
        now += 0.1
        granted += queue.grant(now)
    return granted


def test_accounts_take_turns_and_within_one_it_is_first_come_first_served() -> None:
    queue = busy_queue()
    names = {}
    for name in ("a1", "a2", "a3", "b1", "c1", "b2", "a4"):
        waiter = Waiter(name[0], math.inf)
        names[waiter] = name
        queue.enter(waiter, START)
    assert queue.per_account() == {"a": 4, "b": 2, "c": 1}
    order = [names[waiter] for waiter in all_grants(queue)]
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_a_login_that_was_throttled_goes_ahead_of_its_own_account_only() -> None:
    queue = busy_queue("a", "b", "b")
    throttled = Waiter("b", math.inf, again=True)
    queue.enter(throttled, START)
    order = all_grants(queue)
    assert [waiter.account for waiter in order] == ["a", "b", "b", "b"]
    assert order[1] is throttled


def test_an_account_whose_turn_it_was_does_not_get_the_next_by_coming_back() -> None:
    queue = busy_queue("a", "b", "b")
    first = queue.grant(START + 0.1)[0]
    assert first.account == "a"
    queue.enter(Waiter("a", math.inf), START + 0.1)
    assert [waiter.account for waiter in all_grants(queue)] == ["b", "a", "b"]


def test_a_full_queue_still_takes_an_account_with_a_short_line_and_sends_the_newest_of_the_longest_away() -> None:
    queue = busy_queue("b", max_waiting=4)
    storm = [Waiter("a", math.inf) for _ in range(3)]
    for waiter in storm:
        queue.enter(waiter, START)
    newcomer = Waiter("c", math.inf)
    assert queue.enter(newcomer, START) is Entry.FULL
    assert queue.make_room("c") is storm[-1]
    assert queue.enter(newcomer, START) is Entry.WAITS
    assert queue.per_account() == {"b": 1, "a": 2, "c": 1}


def test_a_full_queue_sends_nobody_away_for_an_account_that_has_its_share() -> None:
    queue = busy_queue("a", "a", "b", "b", max_waiting=4)
    assert queue.make_room("a") is None
    assert queue.make_room("b") is None
    assert queue.make_room("c") is not None
    assert busy_queue("a", "b", "c", max_waiting=3).make_room("d") is None
    assert busy_queue(max_waiting=0).make_room("a") is None


@given(st.lists(accounts, max_size=80))
def test_however_many_come_each_account_gets_a_fair_share_of_a_full_queue(arrivals: list[str]) -> None:
    queue = busy_queue(max_waiting=12)
    for account in arrivals:
        if queue.enter(waiter := Waiter(account, math.inf), START) is Entry.FULL and queue.make_room(account):
            queue.enter(waiter, START)
    assert len(queue) == min(12, len(arrivals))
    for account, waiting in queue.per_account().items():
        assert waiting == arrivals.count(account) or waiting >= 12 // len(set(arrivals))


def test_no_permit_is_spent_on_the_late() -> None:
    queue = busy_queue()
    queue.enter(Waiter("a", START + 1), START)
    queue.enter(in_time := Waiter("a", START + 9), START)
    assert queue.grant(START + 5) == [in_time]
    assert len(queue) == 0


def test_one_login_a_second_hardly_waits_behind_300_of_another_account() -> None:
    storm = Storm(rate=20, burst=20)
    for _ in range(300):
        storm.login("a", 0)
    for second in range(16):
        storm.login("b", 0.01 + second)
    storm.run()
    waits = sorted(storm.waits["b"])
    assert len(waits) == 16
    assert waits[-1] < 0.15
    assert len(storm.waits["a"]) == 300
