"""What runs inside the process: listeners, probes and sessions, and how a new configuration takes the place of the old.

Signals, files and the service manager are the business of `reload`, `lifecycle` and the command `serve`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from pathlib import Path
from typing import Any

from ..config import Config, Listener
from ..config.values import AuthMode
from ..dialect import Dialect
from ..errors.tree import ConfigError, LoginError
from ..front.accounts import Accounts
from ..front.arrival import Arrival
from ..front.guard import LoginGuard
from ..front.ids import LiveSessions
from ..front.shared import Shared
from ..front.slots import LoginSlot, LoginSlots
from ..front.tls import LocalTLS
from ..logs import escaped, event
from ..net.address import Address
from ..net.sockets import Bind, ListeningSocket, Peer, SocketName, listen
from ..net.stream import Stream
from ..session.clients import Clients
from ..session.relay import make_buffer
from ..session.session import Session
from ..stats.target import TargetStats
from .acceptor import Acceptor
from .budgets import LoginBudget
from .descriptors import room_for_clients, room_for_waiting
from .probe import Probe
from .system import say_what_is_missing
from .systemd import LentSockets
from .wiring import Wiring, wire

log = logging.getLogger(__name__)

_DoorKey = tuple[Bind, int]
"""Where to listen, and the how manieth listener there it is: several may ask for any free port."""


@dataclass(frozen=True, slots=True)
class LastReload:
    """What came of it. `at`: seconds since 1970."""

    at: float
    faults: tuple[str, ...] = ()
    """None: it is in force. Else everything stayed as it was."""


@dataclass(slots=True)
class _Door:
    """One listener. What is behind it may change while it is open."""

    listening: ListeningSocket
    address: Address | Path
    target: str
    dialect: Dialect[Any]
    """Of the target, and of the last one it had when it closes."""
    tls: LocalTLS | None = dataclass_field(repr=False)
    auth: AuthMode
    task: asyncio.Task[None] | None = None


class Service:
    """`start`, any number of `reload`s, then `drain` and `close`, or `close` alone. For one event loop."""

    def __init__(
        self,
        config: Config,
        sockets: LentSockets | None = None,
        new_stats: Callable[[], TargetStats] = TargetStats,
    ) -> None:
        """Raises ConfigError."""
        self._config = config
        self._sockets = sockets or LentSockets()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tunnel_tasks: set[asyncio.Task[None]] = set()
        self._doors: dict[_DoorKey, _Door] = {}
        self._probing: dict[Probe, asyncio.Task[None]] = {}
        self._talking: dict[LoginBudget, asyncio.Task[None]] = {}
        self._max_clients = _room_for(config)
        self._slots = LoginSlots(most_waiting=room_for_waiting(self._max_clients))
        self._shared = Shared(Accounts(config.accounts), LoginGuard(), LiveSessions(), make_buffer())
        self._new_stats = new_stats
        self._wiring = wire(config, self.spawn, spawn_tunnel=self._spawn_tunnel, new_stats=new_stats)
        self.clients = Clients()
        self.last_reload: LastReload | None = None
        """None: there has been none since the start."""

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    @property
    def addresses(self) -> tuple[Address | Path, ...]:
        """Where it listens, in the order of the configuration, with the real port where 0 was asked for."""
        return tuple(self._doors[key].address for key in _keyed(self._config.listeners))

    @property
    def wiring(self) -> Wiring:
        """The parts in use."""
        return self._wiring

    @property
    def status(self) -> str:
        """One line about what it does."""
        listening = f"listening on {', '.join(map(str, self.addresses))}"
        if self.last_reload is None or not self.last_reload.faults:
            return listening
        return f"{listening}; the last reload was refused: {escaped(self.last_reload.faults[0])}"

    def start(self) -> None:
        """Listen. Raises ConfigError."""
        say_what_is_missing(self._config)
        self._open_doors(self._config, self._wiring, self._listen(_keyed(self._config.listeners)))
        self._join_fleets()
        self._start_probes()

    async def first_tries(self) -> None:
        """Until each target has answered, or failed to, for the first time."""
        for route in self._wiring.routes.values():
            await route.probe.first_try()

    def prepare(self, config: Config) -> Wiring:
        """The parts for `config`, for `reload`. Reads files, so it may block: for a thread. Raises ConfigError."""
        return wire(config, self.spawn, self._wiring, spawn_tunnel=self._spawn_tunnel, new_stats=self._new_stats)

    def reload(self, config: Config, wiring: Wiring) -> None:
        """Put `config` in force. No session ends; what has changed is true for new logins, COM_CHANGE_USER included.

        Raises ConfigError, and then everything is as it was.
        """
        wanted = _keyed(config.listeners)
        new = self._listen({key: listener for key, listener in wanted.items() if key not in self._doors})
        # From here on nothing can fail.
        self._shared.accounts = Accounts(config.accounts)
        self._max_clients = _room_for(config)
        for key in self._doors.keys() - wanted.keys():
            self._close_door(self._doors.pop(key))
        self._close_pools(before=self._wiring, after=wiring)
        self._spoil_changed(config)
        for way in self._wiring.tunnels.keys() - wiring.tunnels.keys():
            self._wiring.tunnels[way].retire()
        self._config, self._wiring = config, wiring
        self._open_doors(config, wiring, new)
        self._join_fleets()
        self._start_probes()

    def sweep(self) -> None:
        """Everything here that is looked at from time to time; to be called every SWEEP_SECONDS."""
        self.clients.sweep()
        for upstream in self._wiring.upstreams.values():
            upstream.close_expired()
        self._tell_again()

    def _tell_again(self, *, at_once: bool = False) -> None:
        """Log how often errors came again."""
        for name, route in self._wiring.routes.items():
            for login, times in route.upstream.stats.tell_again(at_once=at_once):
                event(
                    log,
                    logging.WARNING,
                    "login refused again",
                    times=times,
                    peer=login.peer,
                    user=login.user,
                    target=name,
                    reason=login.error.reason,
                    code=login.code,
                    text=login.text,
                )

    async def drain(self, stop_now: asyncio.Event) -> int:
        """Accept nobody, and give the sessions `drain_timeout` seconds, or until `stop_now`, to end.

        Returns how many busy ones were cut.
        """
        self._stop_listening()
        self._stop_probes()
        self._close_pools(before=self._wiring, after=Wiring())
        return await self.clients.drain(self._config.drain_timeout, stop_now)

    async def close(self) -> None:
        """End everything that still runs."""
        self._stop_listening()
        self._close_pools(before=self._wiring, after=Wiring())
        await _cancel(self._tasks)
        await _cancel(self._tunnel_tasks)  # which carried the farewells of sessions
        for door in self._doors.values():
            door.listening.close()  # if its task never ran
        for tokens in self._wiring.tokens.values():
            tokens.close()
        self._tell_again(at_once=True)

    def spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """The one place where tasks are made: the loop itself would forget them."""
        return self._spawn(coroutine, self._tasks)

    def _spawn_tunnel(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self._spawn(coroutine, self._tunnel_tasks)

    def _spawn(self, coroutine: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(partial(self._ended, tasks))
        return task

    def _ended(self, tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        exception = None if task.cancelled() else task.exception()
        if exception is not None:
            event(log, logging.ERROR, "internal error", exception=exception)

    # --- used sessions ---

    def _close_pools(self, *, before: Wiring, after: Wiring) -> None:
        """Of the targets that are gone, or are made anew: their sessions came there another way."""
        for key, upstream in before.upstreams.items():
            if after.upstreams.get(key) is not upstream:
                upstream.close_pool()

    def _spoil_changed(self, config: Config) -> None:
        """An account that is not as it was gets no session from before."""
        for account in set(self._config.accounts) - set(config.accounts):
            for upstream in self._wiring.upstreams.values():
                upstream.spoil(account=account.user)

    # --- listeners ---

    def _listen(self, wanted: Mapping[_DoorKey, Listener]) -> dict[_DoorKey, ListeningSocket]:
        """All or none. Raises ConfigError."""
        opened: dict[_DoorKey, ListeningSocket] = {}
        faults = []
        for key, listener in wanted.items():
            try:
                opened[key] = self._open(listener)
            except OSError as exc:
                faults.append(f"cannot listen on {key[0]}: {exc.strerror}; choose another --listen or bind address")
            except ValueError as exc:
                faults.append(str(exc))
        if faults:
            for listening in opened.values():
                listening.close()
            raise ConfigError(faults)
        return opened

    def _open(self, listener: Listener) -> ListeningSocket:
        """Raises OSError, ValueError."""
        if not isinstance(listener.bind, SocketName):
            return listen(listener.bind)
        lent = self._sockets.lend(listener.bind)
        address = lent.address
        if isinstance(address, Address) and not address.is_loopback and listener.tls != "required":
            lent.close()
            raise ValueError(
                f"{listener.bind}: {address} is not a loopback address: logins would cross the network;"
                f' let the unit listen on 127.0.0.1:{address.port}, or add tls = "required"'
            )
        return lent

    def _open_doors(self, config: Config, wiring: Wiring, new: Mapping[_DoorKey, ListeningSocket]) -> None:
        """Open the new ones, and set what is behind each."""
        for (key, listener), tls in zip(_keyed(config.listeners).items(), wiring.tls, strict=True):
            door, dialect = self._doors.get(key), wiring.routes[listener.target].dialect
            if door is not None:
                door.target, door.dialect, door.tls, door.auth = listener.target, dialect, tls, listener.auth
                continue
            door = self._doors[key] = _Door(new[key], new[key].address, listener.target, dialect, tls, listener.auth)
            start, turn_away = self._starter(door), self._turner_away(door)
            accepting = Acceptor(door.listening, start, self._slots, self._has_room, turn_away)
            door.task = self.spawn(accepting.run())
            event(log, logging.INFO, "listening", address=str(door.address), target=listener.target, tls=listener.tls)

    def _close_door(self, door: _Door) -> None:
        event(log, logging.INFO, "no longer listening", address=str(door.address), target=door.target)
        if door.task is not None:
            door.task.cancel()

    def _stop_listening(self) -> None:
        for door in self._doors.values():
            if door.task is not None:
                door.task.cancel()

    def _starter(self, door: _Door) -> Callable[[Stream, Peer, LoginSlot], None]:
        def start_session(stream: Stream, peer: Peer, slot: LoginSlot) -> None:
            route = self._wiring.routes[door.target]
            number, timeout = self._shared.live.new_id(), route.upstream.target.login_timeout
            arrival = Arrival(stream, peer, number, door.target, door.tls, slot, door.auth, timeout)
            session = Session(arrival, route.upstream, route.dialect, self._shared)
            self.clients.add(session, self.spawn(session.run()))

        return start_session

    def _turner_away(self, door: _Door) -> Callable[[Stream, LoginError], asyncio.Future[None]]:
        async def turn_away(stream: Stream, error: LoginError) -> None:
            await door.dialect.turn_away(stream, error)

        return lambda stream, error: self.spawn(turn_away(stream, error))

    def _has_room(self) -> bool:
        return len(self.clients) < self._max_clients

    # --- fleets ---

    def _join_fleets(self) -> None:
        """Talk with the store about each shared budget; leave those that are gone."""
        wanted = {budget for budget in self._wiring.budgets.values() if budget.member is not None}
        for budget in self._talking.keys() - wanted:
            self._talking.pop(budget).cancel()
        for budget in wanted - self._talking.keys():
            if budget.member is not None:
                self._talking[budget] = self.spawn(budget.member.run(budget.limiter))

    # --- probes ---

    def _stop_probes(self) -> None:
        for task in self._probing.values():
            task.cancel()

    def _start_probes(self) -> None:
        """One for each target, and none for those that are gone."""
        wanted = {route.probe for route in self._wiring.routes.values()}
        for probe in self._probing.keys() - wanted:
            self._probing.pop(probe).cancel()
        for probe in wanted - self._probing.keys():
            self._probing[probe] = self.spawn(probe.run())


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    while tasks:
        await asyncio.wait(set(tasks))


def _room_for(config: Config) -> int:
    return room_for_clients(sum(target.max_sessions for target in config.targets.values()))


def _keyed(listeners: Iterable[Listener]) -> dict[_DoorKey, Listener]:
    seen: Counter[Bind] = Counter()
    keyed = {}
    for listener in listeners:
        keyed[listener.bind, seen[listener.bind]] = listener
        seen[listener.bind] += 1
    return keyed
