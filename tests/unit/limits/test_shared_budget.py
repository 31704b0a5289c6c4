"""Several proxies' halves of the arithmetic with the store's script, in a time that the test makes."""

import heapq
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fleet.lua_store import LuaStore
from rds_iam_proxy.limits.shared_budget import (
    BEAT_SECONDS,
    CALL_SECONDS,
    GRACE_SECONDS,
    HORIZON_SECONDS,
    LATE_SECONDS,
    SILENT_SECONDS,
    Answer,
    Fleet,
    SharedPermits,
    Source,
)
from rds_iam_proxy.limits.store_clock import StoreClock

STEP_SECONDS = 0.005
LOCAL_SHARE = SILENT_SECONDS + GRACE_SECONDS


@dataclass
class Proxy:
    """One proxy's half: it asks when it should, and its permits are taken as soon as they are there."""

    name: str
    permits: SharedPermits
    offset: float
    """Its monotonic clock, less the time of the world."""
    waiting: int = 0
    reached: bool = True
    hears: bool = True
    granted: list[float] = field(default_factory=list)
    """In the time of the world."""


class World:
    """Proxies, a store, and a network between them that takes `delay` each way."""

    def __init__(self, fleet: Fleet, proxies: int, *, burst: int = 1, delay: float = 0.0005) -> None:
        self.now = 0.0
        self.fleet = fleet
        self.burst = burst
        self.delay = delay
        self.store = LuaStore()
        self.store_offset = self.store.now
        self.store_lives = True
        self.calls = 0
        offsets = [1000.0 * (i + 1) for i in range(proxies)]
        self.proxies = [Proxy(f"p{at:g}", SharedPermits(fleet, at), at) for at in offsets]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        for proxy in self.proxies:
            self._step(proxy)

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._number), action))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = until

    def grants(self) -> list[float]:
        return sorted(itertools.chain(*(proxy.granted for proxy in self.proxies)))

    def take(self, proxy: Proxy) -> None:
        while proxy.waiting and proxy.permits.take(self.now + proxy.offset):
            proxy.waiting -= 1
            proxy.granted.append(self.now)

    def _step(self, proxy: Proxy) -> None:
        """As often as a timer may fire, or later by less than a slot may be."""
        self.take(proxy)
        if proxy.permits.seconds_to_ask(proxy.waiting, self.now + proxy.offset) <= 0:
            self._call(proxy)
        else:
            self.at(self.now + STEP_SECONDS, lambda: self._step(proxy))

    def _call(self, proxy: Proxy) -> None:
        sent = self.now + proxy.offset
        ask = proxy.permits.ask(proxy.waiting, sent)
        self.calls += 1
        answers: list[Answer] = []

        def arrive() -> None:
            if self.store_lives and proxy.reached:
                self.store.now = self.now + self.store_offset
                answers.append(self.store.ask(proxy.name, self.fleet, ask, burst=self.burst))

        def end() -> None:
            if answers and proxy.hears and 2 * self.delay <= CALL_SECONDS:
                proxy.permits.answered(ask, answers[0], sent, self.now + proxy.offset)
            else:
                proxy.permits.failed(self.now + proxy.offset)
            self._step(proxy)

        self.at(self.now + self.delay, arrive)
        self.at(self.now + min(2 * self.delay, CALL_SECONDS), end)


def most_above(grants: list[float], rate: float) -> float:
    """By how much the fullest window exceeds rate * t."""
    excess, least = 0.0, float("inf")
    for number, at in enumerate(grants):
        least = min(least, number - rate * at)
        excess = max(excess, number + 1 - rate * at - least)
    return excess


def allowed(fleet: Fleet, proxies: int, burst: int = 1, delay: float = 0.0005) -> float:
    """A burst, one permit of each proxy's share, and what comes together because a call and a timer take their time."""
    return burst + proxies + fleet.rate * min(LATE_SECONDS, 2 * delay + STEP_SECONDS)


def started(fleet: Fleet, proxies: int, **settings: float) -> World:
    """Past the time in which a new budget waits for its other proxies."""
    world = World(fleet, proxies, **settings)  # type: ignore[arg-type]
    world.run(6)
    return world


def test_a_storm_on_all_gets_the_rate_and_each_gets_the_same() -> None:
    world = started(Fleet(100, 20, 4), 4)
    for proxy in world.proxies:
        proxy.waiting = 10_000
    world.run(26)
    counts = [len(proxy.granted) for proxy in world.proxies]
    assert sum(counts) == pytest.approx(2000, rel=0.01)
    assert max(counts) - min(counts) <= 0.08 * 500
    assert most_above(world.grants(), 100) <= 2
    assert world.calls / sum(counts) < 0.5


def test_the_one_with_a_storm_gets_all_of_the_rate() -> None:
    world = started(Fleet(100, 20, 4), 4)
    world.proxies[0].waiting = 10_000
    world.run(16)
    assert len(world.proxies[0].granted) == pytest.approx(1000, rel=0.02)


def test_one_login_beside_the_storm_of_others_hardly_waits() -> None:
    world = started(Fleet(100, 20, 4), 4)
    for proxy in world.proxies[:3]:
        proxy.waiting = 10_000
    world.run(8)
    waits = []
    for _ in range(20):
        began = world.now
        world.proxies[3].waiting = 1
        while world.proxies[3].waiting:
            world.run(world.now + 0.005)
        waits.append(world.now - began)
        world.run(world.now + 0.2)
    assert max(waits) <= HORIZON_SECONDS + 0.3


def test_a_login_that_waits_for_nobody_waits_for_one_call() -> None:
    world = started(Fleet(100, 20, 2), 2, burst=4)
    for _ in range(10):
        began = world.now
        world.proxies[0].waiting = 1
        while world.proxies[0].waiting:
            world.run(world.now + 0.001)
        assert world.now - began <= 2 * world.delay + 2 * STEP_SECONDS
        world.run(world.now + 0.3)


def test_a_silent_store_costs_a_moment_and_then_everybody_has_the_share() -> None:
    world = started(Fleet(100, 20, 4), 4)
    for proxy in world.proxies:
        proxy.waiting = 10_000
    world.run(8)
    world.store_lives = False
    world.run(8 + HORIZON_SECONDS + 0.1)
    before = len(world.grants())
    world.run(8 + LOCAL_SHARE - 0.3)
    assert len(world.grants()) == before
    world.run(8 + LOCAL_SHARE + 0.3)
    before = len(world.grants())
    world.run(world.now + 4)
    assert len(world.grants()) - before == pytest.approx(400, abs=8)
    assert {proxy.permits.source for proxy in world.proxies} == {Source.SHARE}
    for proxy in world.proxies:
        now = world.now + proxy.offset
        assert (proxy.permits.rate(now), proxy.permits.limit(now)) == (25, 25), "nobody is told that RDS throttles"
    world.store_lives = True
    world.run(world.now + 3)
    assert {proxy.permits.source for proxy in world.proxies} == {Source.STORE}
    before = len(world.grants())
    world.run(world.now + 4)
    assert len(world.grants()) - before == pytest.approx(400, abs=8)
    assert most_above(world.grants(), 100) <= allowed(world.fleet, 4)


@pytest.mark.parametrize("deaf", [False, True])
def test_one_that_is_cut_off_has_its_share_and_the_others_the_rest(deaf: bool) -> None:
    world = started(Fleet(100, 20, 4), 4)
    for proxy in world.proxies:
        proxy.waiting = 10_000
    world.run(8)
    world.proxies[0].hears = False
    world.proxies[0].reached = deaf
    world.run(12)
    counts = [len(proxy.granted) for proxy in world.proxies]
    world.run(20)
    more = [len(proxy.granted) - count for proxy, count in zip(world.proxies, counts, strict=True)]
    assert more[0] == pytest.approx(200, abs=5)
    assert sum(more[1:]) == pytest.approx(600, abs=12)
    assert most_above(world.grants(), 100) <= allowed(world.fleet, 4)


def test_a_late_slot_is_not_used() -> None:
    world = started(Fleet(100, 20, 1), 1)
    (proxy,) = world.proxies
    proxy.waiting = 10
    world.run(world.now + 0.02)
    held = len(proxy.granted)
    now = world.now + proxy.offset + 10 * LATE_SECONDS + HORIZON_SECONDS
    assert not proxy.permits.take(now)
    assert proxy.permits.dropped >= 10 - held


def test_a_store_that_answers_nonsense_raises_no_rate() -> None:
    fleet = Fleet(100, 20, 2)
    permits = SharedPermits(fleet, 0.0)
    taken = []
    for step in range(1000):
        now = step * 0.001
        ask = permits.ask(1000, now)
        nonsense = Answer(step * 1000, step * 1000, 10**6, -5.0, 0, 0, 0, 1e9, 1e9, 0)
        permits.answered(ask, nonsense, now, now)
        taken += [now for _ in range(100) if permits.take(now)]
    assert most_above(taken, 100) <= 20 + 1e-6


_SENSE = [b"1e15", b"1e15", b"0", b"5e3", b"1e15", b"1", b"2", b"200", b"200", b"0"]


@pytest.mark.parametrize("place", range(10))
@pytest.mark.parametrize("nonsense", [b"-1", b"1e18", b"1e300", b"inf", b"-inf", b"nan"])
def test_a_number_that_makes_no_sense_is_an_error(place: int, nonsense: bytes) -> None:
    """Else one answer would silence a proxy for good, or leave it no share of the rate."""
    assert Answer.decode(_SENSE).members == 2
    with pytest.raises(ValueError, match="not all make sense"):
        Answer.decode([*_SENSE[:place], nonsense, *_SENSE[place + 1 :]])


def test_a_proxy_calls_on_however_far_the_next_slot_is_said_to_be() -> None:
    permits = SharedPermits(Fleet(100, 20, 2), 0.0)
    for now in (0.0, 0.1):
        permits.answered(permits.ask(5, now), Answer.decode([*_SENSE[:4], b"9e16", *_SENSE[5:]]), now, now)
    assert permits.seconds_to_ask(5, 0.1) <= BEAT_SECONDS


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0, 2.0])
def test_a_low_rate_is_no_silence(rate: float) -> None:
    """A proxy that waited for its next slot without a word would take its share beside it."""
    world = started(Fleet(rate, 1, 2), 2)
    for proxy in world.proxies:
        proxy.waiting = 1000
    world.run(66)
    assert {proxy.permits.granted[Source.SHARE] for proxy in world.proxies} == {0}
    assert len(world.grants()) == pytest.approx(60 * rate, abs=2)
    assert most_above(world.grants(), rate) <= 1 + rate * LATE_SECONDS


@pytest.mark.parametrize("values", [[], [b"1"] * 9, [b"x"] * 10, [b"nan"] * 10, [1] * 10])
def test_what_is_no_answer_is_an_error(values: list[object]) -> None:
    with pytest.raises(ValueError, match=r"numbers|float"):
        Answer.decode(values)


def test_throttling_at_one_slows_all_and_drops_what_they_hold() -> None:
    world = started(Fleet(100, 20, 2), 2)
    for proxy in world.proxies:
        proxy.waiting = 10_000
    world.run(8)
    one = world.proxies[0]
    one.permits.throttled(one.granted[-1] + one.offset, world.now + one.offset)
    world.run(8.3)
    before = len(world.grants())
    world.run(9.3)
    assert len(world.grants()) - before <= 87
    assert all(proxy.permits.rate(world.now + proxy.offset) < 90 for proxy in world.proxies)


def test_throttling_in_the_silence_of_the_store_slows_the_share() -> None:
    world = started(Fleet(100, 20, 2), 1)
    (proxy,) = world.proxies
    world.store_lives = False
    proxy.waiting = 10_000
    world.run(world.now + 5)
    now = world.now + proxy.offset
    assert proxy.permits.rate(now) == 50
    assert proxy.permits.throttled(proxy.granted[-1] + proxy.offset, now)
    assert proxy.permits.rate(now) == pytest.approx(42.5, abs=1)


class Misfortune:
    """What may happen to a fleet of two, by name."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.slowest = world.delay
        self.overlooked = 0.0
        """Seconds by which the store's clock jumped ahead in steps that may be a slow call; only some are noticed."""
        self._chance = random.Random(seed)
        self._replica = world.store.snapshot()

    def happens(self, what: str, proxy: Proxy, amount: float) -> None:
        getattr(self, what)(proxy, amount)
        self.slowest = max(self.slowest, min(self.world.delay, CALL_SECONDS))
        self.world.run(self.world.now + amount)

    def quiet(self, proxy: Proxy, _: float) -> None:
        proxy.waiting = 0

    def storm(self, proxy: Proxy, _: float) -> None:
        proxy.waiting = 10_000

    def store_stops(self, _: Proxy, __: float) -> None:
        self.world.store_lives = False

    def store_runs(self, _: Proxy, __: float) -> None:
        self.world.store_lives = True

    def flush(self, _: Proxy, __: float) -> None:
        self.world.store.flush()

    def cut_off(self, proxy: Proxy, _: float) -> None:
        proxy.reached = proxy.hears = False

    def deaf(self, proxy: Proxy, _: float) -> None:
        proxy.reached, proxy.hears = True, False

    def heal(self, proxy: Proxy, _: float) -> None:
        proxy.reached = proxy.hears = True

    def clock(self, _: Proxy, amount: float) -> None:
        jump = amount * self._chance.choice((-1, 1, -1000, 1000))
        self.world.store_offset += jump
        if 0 < jump <= 2 * CALL_SECONDS:
            self.overlooked += jump

    def slow(self, _: Proxy, amount: float) -> None:
        self.world.delay = amount / 20

    def quick(self, _: Proxy, __: float) -> None:
        self.world.delay = 0.0005

    def throttled(self, proxy: Proxy, _: float) -> None:
        if proxy.granted:
            proxy.permits.throttled(proxy.granted[-1] + proxy.offset, self.world.now + proxy.offset)

    def failover(self, _: Proxy, __: float) -> None:
        """To a replica that has what was written until the last time; it ends the connections."""
        self.world.store.hashes, self._replica = self._replica, self.world.store.snapshot()
        for proxy in self.world.proxies:
            proxy.permits.failed(self.world.now + proxy.offset)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking, which takes minutes here; a list of misfortunes is read well enough as it comes."""

RATES = st.sampled_from((2.0, 30.0, 100.0, 200.0)) | st.floats(2, 200)

EVENTS = st.lists(
    st.tuples(
        st.sampled_from([name for name in vars(Misfortune) if not name.startswith("_") and name != "happens"]),
        st.integers(0, 1),
        st.floats(0.001, 2),
    ),
    max_size=15,
)


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=int(os.environ.get("FLEET_EXAMPLES", "20")), phases=PHASES)
@given(rate=RATES, burst=st.integers(1, 4), events=EVENTS, seed=st.integers(0, 1000))
def test_two_proxies_never_have_more_than_the_rate_whatever_happens(
    rate: float, burst: int, events: list[tuple[str, int, float]], seed: int
) -> None:
    fleet = Fleet(rate, 20, 2)
    world = started(fleet, 2, burst=burst)
    misfortune = Misfortune(world, seed)
    for what, which, amount in [("storm", 0, 0.01), ("storm", 1, 1.0), *events]:
        misfortune.happens(what, world.proxies[which], amount)
    overlooked = rate * min(HORIZON_SECONDS, misfortune.overlooked)
    assert most_above(world.grants(), rate) <= allowed(fleet, 2, burst, misfortune.slowest) + overlooked


@given(
    offset=st.floats(-1e6, 1e6),
    calls=st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 5)), min_size=1, max_size=30),
)
def test_a_moment_of_the_store_is_never_taken_for_an_earlier_one(
    offset: float, calls: list[tuple[float, float, float]]
) -> None:
    clock, now = StoreClock(), 1000.0
    for there, back, pause in calls:
        sent, read, received = now, now + there, now + there + back
        assert clock.heard(read - offset, sent, received)
        assert clock.here(read - offset) >= read - 1e-6
        now = received + pause
    fastest = min(there + back for there, back, _ in calls)
    assert clock.here(0) - offset <= fastest + 500e-6 * (now - 1000) + 1e-6
