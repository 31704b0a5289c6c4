"""The running proxy: builds the parts from the configuration, starts them, and ends them in order."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path

import platformdirs

from .accounts import Accounts
from .config import Config, Target
from .descriptors import room_for_clients
from .endpoint import Address
from .errors import ConfigError
from .greetings import Greetings
from .guard import LoginGuard
from .limiter import Limiter
from .listener import MAX_LOGINS, Listener
from .listening import Peer, address_of, listen, stop_listening
from .live import LiveSessions
from .local_tls import LocalTLS, local_tls
from .logs import event
from .probe import Probe
from .relay import make_buffer
from .session import Session, Shared
from .stream import Stream
from .tokens import Identity, TokenSource
from .trust import Trust
from .upstream import Upstream

log = logging.getLogger(__name__)

OnReady = Callable[[tuple[Address | Path, ...]], None]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it exists, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(config: Config, *, on_ready: OnReady | None = None) -> int:
    """Serve until a signal ends it; returns the exit code. Raises ConfigError."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(serve(config, on_ready=on_ready))


async def serve(config: Config, *, on_ready: OnReady | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then drain; a second signal ends at once. Raises ConfigError."""
    stop, stop_now = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    server = Server(config)
    addresses = server.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, on_signal)
    try:
        if on_ready is not None:
            on_ready(addresses)
        await stop.wait()
        await server.drain(stop_now)
    finally:
        await server.close()
    return 0


class Server:
    """`start`, then `drain` and `close`, or `close` alone."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError."""
        self._config = config
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Task[None]] = []
        self._max_clients = room_for_clients(sum(target.max_sessions for target in config.targets.values()))
        self._shared = Shared(Accounts(config.accounts), LoginGuard(), LiveSessions(), make_buffer())
        self._tokens = {identity: TokenSource(identity) for identity in map(_identity, config.targets.values())}
        self._limiters = _limiters(config)
        state_folder = platformdirs.user_state_path("rds-iam-proxy")
        self._local_tls = [local_tls(listener, state_folder) for listener in config.listeners]
        greetings = Greetings(platformdirs.user_cache_path("rds-iam-proxy") / "greetings")
        self._upstreams: dict[str, Upstream] = {}
        self._probes: dict[str, Probe] = {}
        for name, target in config.targets.items():
            upstream = Upstream(
                target,
                limiter=self._limiters[target.address],
                tokens=self._tokens[_identity(target)],
                trust=Trust(target.address.host, target.ca_file),
            )
            self._upstreams[name] = upstream
            self._probes[name] = Probe(upstream, _probe_user(config, name), greetings, self._spawn)

    def start(self) -> tuple[Address | Path, ...]:
        """Listen; returns the addresses, with the real port where 0 was asked for. Raises ConfigError."""
        sockets = _listen_all([listener.bind for listener in self._config.listeners])
        slots = asyncio.Semaphore(MAX_LOGINS)
        addresses: list[Address | Path] = []
        for configured, tls, sock in zip(self._config.listeners, self._local_tls, sockets, strict=True):
            listener = Listener(sock, self._starter(configured.target, tls), slots, self._has_room)
            self._listeners.append(self._spawn(listener.run()))
            addresses.append(address_of(sock))
            event(
                log,
                logging.INFO,
                "listening",
                address=str(addresses[-1]),
                target=configured.target,
                tls=configured.tls,
            )
        for probe in self._probes.values():
            self._spawn(probe.run())
        return tuple(addresses)

    async def drain(self, stop_now: asyncio.Event) -> None:
        """Accept nobody, and give the sessions `drain_timeout` seconds, or until `stop_now`, to end."""
        self._stop_listening()
        if not self._sessions:
            return
        seconds = self._config.drain_timeout
        event(log, logging.INFO, "stopping; a second signal ends at once", sessions=len(self._sessions), within=seconds)
        ended = asyncio.create_task(_all_done(self._sessions))
        forced = asyncio.create_task(stop_now.wait())
        try:
            await asyncio.wait({ended, forced}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            forced.cancel()

    async def close(self) -> None:
        """End everything that still runs."""
        self._stop_listening()
        cut = len(self._sessions)
        for task in self._tasks:
            task.cancel()
        await _all_done(self._tasks)
        for tokens in self._tokens.values():
            tokens.close()
        event(log, logging.INFO, "stopped", sessions_cut=cut)

    def _stop_listening(self) -> None:
        for task in self._listeners:
            task.cancel()

    def _starter(self, target: str, tls: LocalTLS | None) -> Callable[[Stream, Peer, Callable[[], None]], None]:
        def start_session(stream: Stream, peer: Peer, release_slot: Callable[[], None]) -> None:
            task = self._spawn(self._serve_client(target, tls, stream, peer, release_slot))
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)

        return start_session

    async def _serve_client(
        self, target: str, tls: LocalTLS | None, stream: Stream, peer: Peer, release_slot: Callable[[], None]
    ) -> None:
        try:
            greet_as = await self._probes[target].greet_as()
            upstream = self._upstreams[target]
            await Session(stream, peer, upstream, greet_as, tls, self._shared, release_slot).run()
        finally:
            release_slot()
            stream.close()

    def _has_room(self) -> bool:
        return len(self._sessions) < self._max_clients

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """The one place where tasks are made: the loop itself would forget them."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        exception = None if task.cancelled() else task.exception()
        if exception is not None:
            event(log, logging.ERROR, "internal error", exception=exception)


def _identity(target: Target) -> Identity:
    return Identity(
        profile=target.profile,
        role_arn=target.role_arn,
        external_id=target.external_id,
        role_session_name=target.role_session_name,
    )


def _limiters(config: Config) -> dict[Address, Limiter]:
    """One per signed endpoint: RDS counts logins, not our targets. The most careful target sets the pace."""
    limiters = {}
    for address in {target.address for target in config.targets.values()}:
        sharing = [target for target in config.targets.values() if target.address == address]
        limiters[address] = Limiter(
            address,
            rate=min(target.logins_per_second for target in sharing),
            burst=min(target.login_burst for target in sharing),
            on_grant=partial(_log_grant, address),
        )
    return limiters


def _log_grant(address: Address, at: float) -> None:
    event(log, logging.DEBUG, "login permitted", endpoint=str(address), monotonic=at)


def _probe_user(config: Config, target: str) -> str | None:
    """The DB user whose login learns the greeting: the first account that may use the target."""
    return next((a.db_user for a in config.accounts if a.targets is None or target in a.targets), None)


def _listen_all(binds: list[Address | Path]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    faults = []
    for bind in binds:
        try:
            sockets.append(listen(bind))
        except OSError as exc:
            faults.append(f"cannot listen on {bind}: {exc.strerror}; choose another --listen or bind address")
    if faults:
        for sock in sockets:
            stop_listening(sock)
        raise ConfigError(faults)
    return sockets


async def _all_done(tasks: set[asyncio.Task[None]]) -> None:
    while tasks:
        await asyncio.wait(set(tasks))
