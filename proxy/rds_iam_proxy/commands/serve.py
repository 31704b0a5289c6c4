"""The process around the service: event loop, signals, reload, exit code."""

import asyncio
import logging
import os
import platform
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..config import Config
from ..logs import event
from ..net.address import Address
from ..service.lifecycle import Lifecycle
from ..service.outages import Outages
from ..service.reload import Reloader
from ..service.service import Service
from ..session.clients import SWEEP_SECONDS

if TYPE_CHECKING:
    from ..admin.server import AdminServer

log = logging.getLogger(__name__)

_STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if hasattr(signal, name)  # the last: Windows
)

OnReady = Callable[[tuple[Address | Path, ...]], None]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it exists, else asyncio's that waits for sockets: Windows' usual one cannot."""
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()


def on_signal(loop: asyncio.AbstractEventLoop, number: int, callback: Callable[[], None]) -> None:
    """Call back in the loop. On Windows when it next wakes, which a sweep makes it do twice a second."""
    try:
        loop.add_signal_handler(number, callback)
    except NotImplementedError:
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(callback))


def run(config: Config, *, on_ready: OnReady | None = None, lifecycle: Lifecycle | None = None) -> int:
    """Serve until a signal ends it; returns the exit code. Raises ConfigError."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(serve(config, on_ready=on_ready, lifecycle=lifecycle))


async def serve(
    config: Config,
    *,
    on_ready: OnReady | None = None,
    on_stopping: Callable[[], None] | None = None,
    lifecycle: Lifecycle | None = None,
) -> int:
    """Serve until SIGINT, SIGTERM or the end of its terminal, then drain; a second signal ends at once.

    `on_stopping` is called before the drain, by which a caller's own session would be waited for. The exit code is 0
    unless a busy session was cut: then it is 129, 130 or 143, as the signal has it. Raises ConfigError.
    """
    lifecycle = lifecycle or Lifecycle()
    service = Service(config, lifecycle.sockets, lifecycle.new_stats)
    admin = _admin(config, service)  # before it listens: loading an HTTP server takes long
    stopping, reloader = _Stopping(lifecycle), Reloader(service, lifecycle)
    stopping.watch_signals()
    if lifecycle.hangup is not None:
        lifecycle.hangup.watch(reloader.reload, stopping.terminal_is_gone)
    service.start()
    if lifecycle.configuration:
        _tell_start(config, lifecycle.configuration)
    try:
        if admin is not None:
            await admin.start()
        service.spawn(_tick(service, reloader, stopping, lifecycle))
        service.spawn(reloader.run())
        if on_ready is not None:
            on_ready(service.addresses)
        lifecycle.notifier.ready(service.status)
        await stopping.asked.wait()
        if on_stopping is not None:
            on_stopping()
        lifecycle.notifier.stopping(len(service.clients))
        reloader.stop()
        cut = await service.drain(stopping.at_once)
    finally:
        await service.close()
    event(log, logging.INFO, "stopped", sessions_cut=cut)
    return stopping.exit_code(cut)


def _admin(config: Config, service: Service) -> "AdminServer | None":
    """The status page and its kin, if they are wanted. Raises ConfigError."""
    if config.admin is None:
        return None
    from ..admin.server import AdminServer

    return AdminServer(config.admin, service)


def _tell_start(config: Config, source: str) -> None:
    """What is asked first of whoever sends in a log."""
    event(
        log,
        logging.INFO,
        "started",
        version=__version__,
        python=platform.python_version(),
        loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        pid=os.getpid(),
        configuration=source,
        targets=", ".join(f"{target.name} ({target.address})" for target in config.targets.values()),
    )


class _Stopping:
    """Who asked for the end, and how often."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        self._signal: int | None = None
        self._exit_zero_on_sigterm = lifecycle.exit_zero_on_sigterm

    def watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            on_signal(loop, number, partial(self._on_signal, number))

    def terminal_is_gone(self) -> None:
        """The terminal that it was started in: SIGHUP, as it ends other programs."""
        self._on_signal(signal.SIGHUP)

    def _on_signal(self, number: int) -> None:
        if self.asked.is_set():
            self.at_once.set()
        else:
            self._signal = number
            self.asked.set()

    def exit_code(self, cut: int) -> int:
        if not cut or self._signal is None or (self._signal == signal.SIGTERM and self._exit_zero_on_sigterm):
            return 0
        return 128 + self._signal


async def _tick(service: Service, reloader: Reloader, stopping: _Stopping, lifecycle: Lifecycle) -> None:
    """Everything that is looked at from time to time."""
    outages = Outages()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        lifecycle.notifier.alive()
        service.sweep()
        outages.look(service.wiring.routes)
        reloader.look_at_files()
        most = lifecycle.quit_after_idle
        if most is not None and service.clients.empty_seconds >= most and not stopping.asked.is_set():
            event(log, logging.INFO, "nobody is connected", seconds=most)
            stopping.asked.set()
