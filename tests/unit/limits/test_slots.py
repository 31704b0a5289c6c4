"""The store's script alone: what it answers to one or two callers, by its own clock."""

import itertools

import pytest

from fleet.lua_store import LuaStore
from rds_iam_proxy.limits.shared_budget import HORIZON_SECONDS, Answer, Ask, Fleet

FLEET = Fleet(rate=100, burst=20, size=2)


class Caller:
    """A proxy that tells what it has heard, and sits beside the store: its calls take no time."""

    def __init__(self, store: LuaStore, name: str, fleet: Fleet = FLEET) -> None:
        self.store, self.name, self.fleet = store, name, fleet
        self.known = self.heard = 0
        self.at = store.now

    def ask(self, wanted: int = 0, *, burst: int = 1, refused: int = 0, heard: bool = True) -> Answer:
        waited = round((self.store.now - self.at) * 1e6)
        ask = Ask(wanted, self.known, self.heard, waited, refused)
        answer = self.store.ask(self.name, self.fleet, ask, burst=burst)
        if heard:
            self.known, self.heard, self.at = answer.next, answer.now, self.store.now
        return answer


def slots(answer: Answer) -> list[float]:
    return [(answer.first + i * answer.spacing) / 1e6 for i in range(answer.slots)]


def fleet_of(store: LuaStore, count: int = 2, fleet: Fleet = FLEET) -> list[Caller]:
    """Proxies that have been there for a while."""
    callers = [Caller(store, f"p{i}", fleet) for i in range(count)]
    for _ in range(24):
        for caller in callers:
            caller.ask()
        store.now += 0.25
    return callers


def test_slots_are_spaced_by_the_rate_and_not_further_ahead_than_the_horizon() -> None:
    store = LuaStore()
    one, _ = fleet_of(store)
    answer = one.ask(1000)
    assert answer.spacing == pytest.approx(10_000)
    assert slots(answer)[0] == pytest.approx(store.now)
    assert slots(answer)[-1] <= store.now + HORIZON_SECONDS
    assert one.ask(1000).slots <= 1
    assert one.ask(1000).slots == 0


def test_a_quiet_time_leaves_a_small_burst_and_no_more() -> None:
    store = LuaStore()
    one, _ = fleet_of(store)
    answer = one.ask(1000, burst=4)
    assert sum(at <= store.now for at in slots(answer)) == 4


def test_who_wants_nothing_leaves_it_to_the_others() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    given = 0
    for _ in range(400):
        given += one.ask(30).slots
        two.ask(0)
        store.now += 0.01
    assert given == pytest.approx(400 + 30, abs=2)


def test_the_share_of_one_that_fell_silent_is_taken_from_the_others_until_it_is_back() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    store.now += 1.2
    one.ask()
    assert one.ask().rate == pytest.approx(50)
    assert two.ask().rate == pytest.approx(50), "it has not said yet that it heard this"
    assert two.ask().rate == pytest.approx(100)


def test_slots_of_a_lower_rate_keep_their_distance_from_those_before() -> None:
    store = LuaStore()
    one, _ = fleet_of(store)
    handed: list[tuple[float, float]] = []
    for _ in range(150):
        answer = one.ask(1000)
        handed += [(at, answer.spacing / 1e6) for at in slots(answer)]
        store.now += 0.01
    assert {round(spacing, 3) for _, spacing in handed} == {0.01, 0.02}
    assert all(at - before >= spacing - 2e-6 for (before, _), (at, spacing) in itertools.pairwise(handed))


def test_a_clock_that_jumps_ahead_again_and_again_is_seen_each_time() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    for _ in range(4):
        newest = slots(two.ask(1000))[-1] - store.now
        jumped_at = store.now
        store.now += 2
        one.at += 2
        two.at += 2
        first = one.ask(1000)
        ahead = (first.first if first.slots else first.next) / 1e6 - jumped_at - 2
        assert ahead > newest
        for _ in range(40):
            store.now += 0.01
            one.ask()
            two.ask()


def test_one_whose_calls_come_but_that_hears_no_answer_counts_as_silent() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    for _ in range(6):
        two.ask(heard=False)
        one.ask()
        store.now += 0.25
    assert one.ask().rate == pytest.approx(50)


def test_who_leaves_is_not_waited_for() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    store.leave(two.name)
    for _ in range(6):
        store.now += 0.25
        one.ask()
    assert one.ask().rate == 100
    assert store.members() == ["p0"]


def test_the_dead_whose_places_are_taken_again_cost_nothing() -> None:
    """A proxy that is killed and started again and again leaves one name more each time."""
    store = LuaStore()
    one, two = fleet_of(store)
    for i in range(20):
        dead = Caller(store, f"killed{i}")
        dead.ask()
        dead.ask()
        store.now += 0.25
        one.ask()
        two.ask()
    for _ in range(6):
        store.now += 0.25
        one.ask()
        two.ask()
    assert one.ask().rate == 100


def test_a_new_budget_waits_a_moment_for_its_other_proxies() -> None:
    store = LuaStore()
    one = Caller(store, "p0")
    assert one.ask(10).slots == 0, "nobody has said that it hears"
    assert one.ask().rate == 50
    for _ in range(21):
        store.now += 0.25
        one.ask()
    assert one.ask().rate == 100


def test_an_emptied_store_begins_after_the_last_slot_and_keeps_the_share_of_those_who_have_not_come_back() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    newest = slots(two.ask(1000))[-1]
    store.flush()
    one.ask()
    answer = one.ask(1000)
    assert answer.slots == 0
    assert answer.rate == 50
    store.now += 0.02
    first = slots(one.ask(1000))[0]
    assert first >= newest + 1 / FLEET.rate - 1e-6
    for _ in range(40):
        store.now += 0.25
        one.ask()
    assert one.ask().rate == 50
    two.ask()
    two.ask()
    assert one.ask().rate == 100


def test_writes_that_a_failover_lost_are_not_handed_out_again() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    replica = store.snapshot()
    newest = slots(two.ask(1000))[-1]
    store.hashes = replica
    one.heard = two.heard = 0  # the connections are new
    one.ask()
    store.now += 0.02
    assert slots(one.ask(1000))[0] > newest


def test_a_failover_just_after_a_connection_was_lost_is_known_by_the_slots_that_a_proxy_was_told_of() -> None:
    """A server falls ill before it falls: new connections tell nothing new then."""
    store = LuaStore()
    one, two = fleet_of(store)
    one.heard = 0
    one.ask()
    store.now += 2
    for caller in (one, two):
        caller.ask()
        caller.ask()
    replica = store.snapshot()
    newest = slots(two.ask(1000))[-1]
    store.hashes = replica
    one.heard = two.heard = 0
    two.ask()
    one.ask()
    store.now += 0.02
    assert slots(one.ask(1000))[0] > newest


def test_a_clock_that_jumps_ahead_does_not_bring_the_slots_of_that_time() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    held = two.ask(1000)
    store.now += 60
    one.at += 60  # its own clock has not moved: it says that it waited for nothing
    assert one.ask(1000).first / 1e6 > store.now + HORIZON_SECONDS - 0.01 or one.ask(1000).slots == 0
    assert held.slots


def test_a_clock_that_goes_back_stops_nobody_for_long() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    one.ask(1000)
    store.now -= 3600
    for caller in (one, two):
        caller.at -= 3600
        caller.ask()
        caller.ask()
    store.now += HORIZON_SECONDS + 0.02
    assert one.ask(1000).slots > 0
    assert one.ask().rate == 100


def test_slow_rates_keep_their_distance_beyond_the_horizon() -> None:
    fleet = Fleet(rate=0.5, burst=1, size=1)
    store = LuaStore()
    (one,) = fleet_of(store, 1, fleet)
    given: list[float] = []
    for _ in range(400):
        given += slots(one.ask(10))
        store.now += 0.05
    assert len(given) == pytest.approx(10, abs=1)
    assert min(later - earlier for earlier, later in itertools.pairwise(given)) == pytest.approx(2)


def test_throttling_lowers_the_rate_of_all_once_a_second_and_time_raises_it_again() -> None:
    store = LuaStore()
    one, two = fleet_of(store)
    for _ in range(200):
        one.ask(5)
        two.ask(5)
        store.now += 0.01
    refused = one.ask(0).now
    assert two.ask(0, refused=refused).bears == pytest.approx(85, abs=2)
    assert one.ask(0).bears == pytest.approx(85, abs=2)
    assert one.ask(0, refused=refused - 1000).bears == pytest.approx(85, abs=2)
    store.now += 1
    assert one.ask().bears == pytest.approx(88, abs=2)
    store.now += 1
    one.ask()
    store.now += 2.2
    assert two.ask().bears == pytest.approx(95, abs=2)


def test_a_database_that_bears_less_than_it_was_asked_for_is_given_what_it_had_borne_less_a_part() -> None:
    store = LuaStore()
    one, _ = fleet_of(store)
    given: list[float] = []
    while len(given) < 60:
        given += slots(one.ask(2))
        store.now += 0.02
    answer = one.ask(0, refused=round(given[59] * 1e6))
    assert answer.bears == pytest.approx(60 * 0.85, abs=2)
    store.now += HORIZON_SECONDS
    later = one.ask(5)
    after = slots(later)[0] if later.slots else later.next / 1e6
    assert after >= given[0] + 1 - 0.1, "the database still counts those of the second before"
