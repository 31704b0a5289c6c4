"""Proxy processes in front of one MySQL server, a storm of clients at each, and what happens to the store meanwhile.

What counts is the server's own log of the logins that it let in.
"""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fleet.proxies import neighbours
from kit.forwarder import Forwarder, forwarder
from kit.plain_client import log_in
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from rds_iam_proxy.limits.shared_budget import Fleet
from rds_iam_proxy.limits.store_place import StorePlace
from rds_iam_proxy.net.address import Address
from servers.real_server import RealServer
from servers.stores import STORES, RunningStore, running_store

SHORTEST_WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 0.05, 5.0

Event = tuple[float, Callable[[], None]]
"""Seconds after the start, and what happens then."""


@dataclass
class Figures:
    """What came of one scenario. Times in seconds."""

    kind: str
    name: str
    rate: float
    seconds: float
    accepted: list[float]
    """When the server let somebody in, after the start of the storm."""
    refused_by_server: list[float]
    granted: list[float] = field(default_factory=list)
    """When a proxy permitted a login; only at debug level, where the proxies say so."""
    codes: Counter[int] = field(default_factory=Counter)
    """Of the errors that clients saw; 0: the connection was closed without one. Not of those of a killed proxy."""
    per_proxy: list[int] = field(default_factory=list)
    """Logins of each proxy's clients."""
    gone: tuple[float, float] | None = None
    """From when until when something did not answer."""

    @property
    def used(self) -> float:
        """Of the rate, without the first second."""
        return sum(1 <= at < self.seconds for at in self.accepted) / (self.rate * (self.seconds - 1))

    def used_between(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.accepted) / (self.rate * (end - start))

    @property
    def meanwhile(self) -> float | None:
        """Of the rate, while something was gone, once that had been noticed."""
        return None if self.gone is None else self.used_between(self.gone[0] + NOTICED_SECONDS, self.gone[1])

    @property
    def afterwards(self) -> float:
        """Of the rate, when all is as it was."""
        return self.used_between(self.seconds * 0.85, self.seconds)

    @property
    def most_above(self) -> float:
        """By how many logins at the server the fullest of any window exceeds rate * t."""
        return _most_above(self.accepted, self.rate)

    @property
    def most_granted_above(self) -> float:
        """The same of the permits: without what a busy machine does to logins on their way."""
        return _most_above(self.granted, self.rate)


def _most_above(times: Sequence[float], rate: float) -> float:
    """Of all windows, from the shortest to the longest, which begin and end with a login or are the shortest."""
    most, short = 0.0, 0
    lowest: deque[tuple[float, float]] = deque()  # where long windows may begin: logins before less rate * t, and t
    for number, at in enumerate(times):
        while at - times[short] >= SHORTEST_WINDOW_SECONDS:
            surplus = short - rate * times[short]
            while lowest and lowest[-1][0] >= surplus:
                lowest.pop()
            lowest.append((surplus, times[short]))
            short += 1
        while lowest and at - lowest[0][1] >= LONGEST_WINDOW_SECONDS:
            lowest.popleft()
        most = max(most, number + 1 - short - rate * SHORTEST_WINDOW_SECONDS)
        if lowest:
            most = max(most, number + 1 - rate * at - lowest[0][0])
    return most


@dataclass
class Stage:
    """A store that may be another tomorrow, and proxies in front of one server that share a budget there."""

    server: RealServer
    store: RunningStore
    name: Forwarder
    proxies: list[RunningProxy]
    rate: float
    another: Callable[[], RunningProxy]
    """Starts a proxy like these."""

    def run(
        self,
        kind: str,
        name: str,
        seconds: float,
        events: Sequence[Event] = (),
        *,
        clients: int = 60,
        gone: tuple[float, float] | None = None,
    ) -> Figures:
        """So many clients at each proxy log in and leave, again and again."""
        position, began = self.server.log.position(), time.time()
        positions = [(proxy, proxy.log_position()) for proxy in self.proxies]
        counts, codes = asyncio.run(_storm(self.proxies, clients, seconds, events))
        log = self.server.log
        positions += [(proxy, 0) for proxy in self.proxies if proxy not in [known for known, _ in positions]]
        return Figures(
            kind,
            name,
            self.rate,
            seconds,
            [login.at.timestamp() - began for login in log.accepted(position)],
            [login.at.timestamp() - began for login in log.refusals(position)],
            sorted(
                entry["monotonic"]
                for proxy, since in positions
                for entry in proxy.events("login permitted", since=since)
            ),
            codes,
            counts,
            gone,
        )

    def wait_for_source(self, source: str) -> None:
        """Every proxy's log says that its permits come from there."""
        for proxy in self.proxies:
            proxy.wait_for(source)


NOTICED_SECONDS = 2.0
"""After so long everybody has noticed that something is gone."""

ANSWERS = "the fleet's store answers; logins share its budget"
SILENT = "the fleet's store is silent; this proxy keeps to its share"


@contextlib.contextmanager
def stage(
    server: RealServer, store_name: str, *, proxies: int = 4, rate: float = 100, level: str = "info"
) -> Iterator[Stage]:
    """The proxies know the store by a name that can lead elsewhere. Raises Unavailable."""
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(running_store(store_name))
        name = stack.enter_context(forwarder(("127.0.0.1", store.port)))
        extra = f'[fleet]\nsize = {proxies}\nstore = "redis://127.0.0.1:{name.port}"'
        config = config_text(server, target=f"logins_per_second = {rate:g}", extra=extra)
        config = config.replace('level = "debug"', f'level = "{level}"')

        def another() -> RunningProxy:
            return stack.enter_context(start_proxy(config, key=server.key, dev_mode=False))

        made = Stage(server, store, name, [another() for _ in range(proxies)], rate, another)
        made.wait_for_source(ANSWERS)
        time.sleep(6)  # a new budget waits for its other proxies
        yield made
        for proxy in made.proxies:
            assert proxy.stop() == 0, proxy.log_text()


async def _storm(
    proxies: Sequence[RunningProxy], clients: int, seconds: float, events: Sequence[Event]
) -> tuple[list[int], Counter[int]]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    counts, codes = [0] * len(proxies), Counter[int]()

    async def client(number: int) -> None:
        while loop.time() < end:
            proxy = proxies[number]
            if proxy.process.poll() is not None:
                await asyncio.sleep(0.1)  # killed: what its clients see says nothing of the others
                continue
            code = await _log_in_and_leave(proxy)
            if code is None:
                counts[number] += 1
                continue
            await asyncio.sleep(0.1)
            if proxy.process.poll() is None:
                codes[code] += 1

    async def happen() -> None:
        began = loop.time()
        for at, event in events:
            await asyncio.sleep(began + at - loop.time())
            await asyncio.to_thread(event)

    tasks = [asyncio.ensure_future(client(number)) for number in range(len(proxies)) for _ in range(clients)]
    happening = asyncio.ensure_future(happen())
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert ended is None or isinstance(ended, asyncio.CancelledError), repr(ended)
    await happening
    await asyncio.sleep(0.2)  # their connections close
    return counts, codes


async def _log_in_and_leave(proxy: RunningProxy) -> int | None:
    """The code of the error; 0: there was none, but no login either."""
    try:
        outcome = await log_in(proxy.port, USER, PASSWORD)
    except ConnectionError:
        return 0
    outcome.writer.close()
    if outcome.err is not None:
        return outcome.err.code
    return 0 if outcome.closed else None


# --- what happens ---


def saturated(at: Stage, seconds: float = 20) -> Figures:
    return at.run("saturated", "saturated", seconds)


def stopped(at: Stage, seconds: float = 20, pause: float = 5) -> Figures:
    gone = seconds / 4, seconds / 4 + pause
    events = [(gone[0], at.store.pause), (gone[1], at.store.resume)]
    return at.run("store stopped", f"store stopped for {pause:g} s (SIGSTOP)", seconds, events, gone=gone)


def flushed(at: Stage, seconds: float = 20) -> Figures:
    def flush() -> None:
        at.store.command("FLUSHALL")

    events = [(seconds / 4 * i, flush) for i in (1, 2, 3)]
    return at.run("store emptied", "FLUSHALL, three times", seconds, events)


def restarted(at: Stage, seconds: float = 20) -> Figures:
    def restart() -> None:
        at.store.kill()
        at.store.start_empty()

    events = [(seconds / 4, restart), (seconds / 2, restart)]
    return at.run("store killed", "store killed and started empty, twice", seconds, events)


def failed_over(at: Stage, seconds: float = 20, lost: float = 1) -> Figures:
    """To a replica that had stopped hearing `lost` seconds before."""
    with running_store(at.store.release.name, "--replicaof", "127.0.0.1", str(at.store.port)) as replica:
        while "master_link_status:up" not in replica.command("INFO", "replication"):
            time.sleep(0.1)

        def fail() -> None:
            replica.pause()
            time.sleep(lost)
            at.store.kill()
            replica.resume()
            replica.command("REPLICAOF", "NO", "ONE")
            at.name.to = ("127.0.0.1", replica.port)

        name = f"failover to a replica {lost:g} s behind"
        figures = at.run("failover", name, seconds, [(seconds / 4, fail)])
        at.store.start_empty()
        at.name.to = ("127.0.0.1", at.store.port)
    return figures


def one_is_stopped(at: Stage, seconds: float = 20, pause: float = 4) -> Figures:
    """A proxy that stands still is counted with its share until it is back."""
    one, gone = at.proxies[0].process, (seconds / 4, seconds / 4 + pause)
    events = [(gone[0], lambda: one.send_signal(signal.SIGSTOP)), (gone[1], lambda: one.send_signal(signal.SIGCONT))]
    return at.run("proxy stopped", f"one of the proxies stopped for {pause:g} s", seconds, events, gone=gone)


def one_is_killed(at: Stage, seconds: float = 20, pause: float = 5) -> Figures:
    """And another is started in its place, which has a name of its own."""
    gone = seconds / 4, seconds / 4 + pause

    def kill() -> None:
        at.proxies[0].stop(signal.SIGKILL)

    def start() -> None:
        at.proxies[0] = at.another()

    name = f"one of the proxies killed, and started after {pause:g} s"
    return at.run("proxy killed", name, seconds, [(gone[0], kill), (gone[1], start)], gone=gone)


OUTAGES = (saturated, stopped, flushed, restarted, failed_over, one_is_stopped, one_is_killed)


@dataclass(frozen=True)
class Throttling:
    """A server that takes less than the fleet was configured for."""

    limit: int
    figures: Figures
    rates: list[float]
    """The rate that each proxy was told last; one that never heard of it is missing."""

    @property
    def accepted_later(self) -> float:
        """A second, in the second half: the fleet has learned then."""
        return self._later(self.figures.accepted)

    @property
    def tried_later(self) -> float:
        """With those that the server refused."""
        return self.accepted_later + self._later(self.figures.refused_by_server)

    def _later(self, times: Sequence[float]) -> float:
        half = self.figures.seconds / 2
        return sum(half <= at < 2 * half for at in times) / half


def throttled(at: Stage, limit: int = 60, seconds: float = 30) -> Throttling:
    at.server.change(max_logins_per_second=limit)
    figures = at.run("throttling", f"a server that throttles at {limit}/s", seconds)
    told = [proxy.events("RDS throttles logins") for proxy in at.proxies]
    return Throttling(limit, figures, [round(lines[-1]["logins_per_second"], 1) for lines in told if lines])


@dataclass(frozen=True)
class Latency:
    """Of permits and of calls to the store, in seconds."""

    permits: list[float]
    calls: list[float]


def half_load(store_name: str, *, proxies: int = 4, rate: float = 100, seconds: float = 20) -> Latency:
    """Logins at random moments, half as many as the rate allows; no proxy and no database around the budgets."""
    assert store_name in STORES
    with running_store(store_name) as store:
        return asyncio.run(_half_load(store, proxies, rate, seconds))


async def _half_load(store: RunningStore, proxies: int, rate: float, seconds: float) -> Latency:
    loop, chance = asyncio.get_running_loop(), random.Random(1)
    place = StorePlace(Address("127.0.0.1", store.port), tls=False)
    async with neighbours(place, Fleet(rate, 20, proxies), proxies) as members:
        await asyncio.sleep(6)
        for member in members:
            member.calls.clear()
        end, logins = loop.time() + seconds, []
        while loop.time() < end:
            logins.append(asyncio.ensure_future(chance.choice(members).login()))
            await asyncio.sleep(chance.expovariate(rate / 2))
        waits = await asyncio.gather(*logins)
        return Latency(sorted(waits), sorted(call for member in members for call in member.calls))
