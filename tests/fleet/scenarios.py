"""Proxy processes in front of one MySQL server, a storm of clients at each, and what happens to the store meanwhile.

What counts is the server's own log of the logins that it let in.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
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

WINDOWS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds."""

Event = tuple[float, Callable[[], None]]
"""Seconds after the start, and what happens then."""


@dataclass
class Figures:
    """What came of one scenario. Times in seconds."""

    name: str
    rate: float
    seconds: float
    accepted: list[float]
    """When the server let somebody in, after the start of the storm."""
    refused_by_server: list[float]
    granted: list[float] = field(default_factory=list)
    """When a proxy permitted a login; only at debug level, where the proxies say so."""
    codes: Counter[int] = field(default_factory=Counter)
    """Of the errors that clients saw; 0: the connection was closed without one."""
    per_proxy: list[int] = field(default_factory=list)
    """Logins of each proxy's clients."""

    @property
    def used(self) -> float:
        """Of the rate, without the first second."""
        return sum(1 <= at < self.seconds for at in self.accepted) / (self.rate * (self.seconds - 1))

    def used_between(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.accepted) / (self.rate * (end - start))

    @property
    def most_above(self) -> float:
        """By how many logins at the server the fullest of any window exceeds rate * t."""
        return self._most_above(self.accepted)

    @property
    def most_granted_above(self) -> float:
        """The same of the permits: without what a busy machine does to logins on their way."""
        return self._most_above(self.granted)

    def _most_above(self, times: Sequence[float]) -> float:
        return max(_most_in(times, window) - self.rate * window for window in WINDOWS)


def _most_in(times: Sequence[float], window: float) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass
class Stage:
    """A store that may be another tomorrow, and proxies in front of one server that share a budget there."""

    server: RealServer
    store: RunningStore
    name: Forwarder
    proxies: list[RunningProxy]
    rate: float

    def run(self, name: str, seconds: float, events: Sequence[Event] = (), *, clients: int = 60) -> Figures:
        """So many clients at each proxy log in and leave, again and again."""
        position, began = self.server.log.position(), time.time()
        positions = [proxy.log_position() for proxy in self.proxies]
        counts, codes = asyncio.run(_storm(self.proxies, clients, seconds, events))
        log = self.server.log
        return Figures(
            name,
            self.rate,
            seconds,
            [login.at.timestamp() - began for login in log.accepted(position)],
            [login.at.timestamp() - began for login in log.refusals(position)],
            sorted(
                entry["monotonic"]
                for proxy, since in zip(self.proxies, positions, strict=True)
                for entry in proxy.events("login permitted", since=since)
            ),
            codes,
            counts,
        )

    def wait_for_source(self, source: str) -> None:
        """Every proxy's log says that its permits come from there."""
        for proxy in self.proxies:
            proxy.wait_for(source)


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
        running = [stack.enter_context(start_proxy(config, key=server.key, dev_mode=False)) for _ in range(proxies)]
        made = Stage(server, store, name, running, rate)
        made.wait_for_source(ANSWERS)
        time.sleep(6)  # a new budget waits for its other proxies
        yield made
        for proxy in running:
            assert proxy.stop() == 0, proxy.log_text()


async def _storm(
    proxies: Sequence[RunningProxy], clients: int, seconds: float, events: Sequence[Event]
) -> tuple[list[int], Counter[int]]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    counts, codes = [0] * len(proxies), Counter[int]()

    async def client(number: int) -> None:
        while loop.time() < end:
            outcome = await log_in(proxies[number].port, USER, PASSWORD)
            outcome.writer.close()
            if outcome.closed or outcome.err is not None:
                codes[0 if outcome.err is None else outcome.err.code] += 1
                await asyncio.sleep(0.1)
            else:
                counts[number] += 1

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
    await asyncio.gather(*tasks, return_exceptions=True)
    await happening
    await asyncio.sleep(0.2)  # their connections close
    return counts, codes


# --- what happens ---


def saturated(at: Stage, seconds: float = 20) -> Figures:
    return at.run("saturated", seconds)


def stopped(at: Stage, seconds: float = 20, pause: float = 5) -> Figures:
    events = [(seconds / 4, at.store.pause), (seconds / 4 + pause, at.store.resume)]
    return at.run(f"store stopped for {pause:g} s (SIGSTOP)", seconds, events)


def flushed(at: Stage, seconds: float = 20) -> Figures:
    def flush() -> None:
        at.store.command("FLUSHALL")

    return at.run("FLUSHALL, three times", seconds, [(seconds / 4 * i, flush) for i in (1, 2, 3)])


def restarted(at: Stage, seconds: float = 20) -> Figures:
    def restart() -> None:
        at.store.kill()
        at.store.start_empty()

    return at.run("killed and started empty, twice", seconds, [(seconds / 4, restart), (seconds / 2, restart)])


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

        figures = at.run(f"failover to a replica {lost:g} s behind", seconds, [(seconds / 4, fail)])
        at.store.start_empty()
        at.name.to = ("127.0.0.1", at.store.port)
    return figures


def one_is_stopped(at: Stage, seconds: float = 20, pause: float = 4) -> Figures:
    """A proxy that stands still is counted with its share until it is back."""
    one = at.proxies[0].process
    events = [(seconds / 4, lambda: one.send_signal(19)), (seconds / 4 + pause, lambda: one.send_signal(18))]
    return at.run(f"one of the proxies stopped for {pause:g} s", seconds, events)


OUTAGES = (saturated, stopped, flushed, restarted, failed_over, one_is_stopped)


def throttled(at: Stage, limit: int = 60, seconds: float = 30) -> Figures:
    """The server takes less than the fleet was configured for."""
    at.server.change(max_logins_per_second=limit)
    return at.run(f"a server that throttles at {limit}/s", seconds)


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
