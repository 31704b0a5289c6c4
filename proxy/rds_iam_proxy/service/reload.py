"""A new configuration for a running service: on SIGHUP, and when a file changes. A bad one changes nothing."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .. import logs
from ..config import Config
from ..errors.tree import ConfigError
from ..files import FileStamp, file_stamp
from ..logs import event
from ..threads import future_in_thread, in_thread
from .lifecycle import Lifecycle
from .service import LastReload, Service
from .wiring import Wiring

READ_SECONDS = 20.0
"""How long the configuration's files are waited for: those of a network mount may not answer."""

log = logging.getLogger(__name__)

Stamps = Mapping[Path, FileStamp]


class Reloader:
    """`run` until it is cancelled or stopped."""

    def __init__(
        self,
        service: Service,
        lifecycle: Lifecycle,
        *,
        read_seconds: float = READ_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._load = lifecycle.load
        self._notifier = lifecycle.notifier
        self._read_seconds = read_seconds
        self._wall = wall
        self._wanted = asyncio.Event()
        self._stopped = False
        self._files = FileWatch(service.config.files) if lifecycle.watch else None
        self._looking: asyncio.Future[Stamps] | None = None

    def reload(self) -> None:
        """As soon as the one that runs is over."""
        self._wanted.set()

    def look_at_files(self) -> None:
        """To be called from time to time. A folder that does not answer holds up nothing but this."""
        if self._files is None or self._load is None:
            return
        if self._looking is None:
            names = self._files.names
            self._looking = future_in_thread(lambda: _stamps(names), "watch")
        elif self._looking.done():
            found, self._looking = self._looking.result(), None
            if self._files.has_changed(found):
                self.reload()

    def stop(self) -> None:
        """The service stops: nothing is opened any more."""
        self._stopped = True

    async def run(self) -> None:
        while self._load is not None:
            await self._wanted.wait()
            self._wanted.clear()
            self._notifier.reloading()
            faults = await self._faults_of_reload(self._load)
            if self._stopped:
                return
            for fault in faults:
                event(log, logging.ERROR, "not reloaded, all stays as it was", fault=fault)
            self._service.last_reload = LastReload(self._wall(), faults)
            self._notifier.ready(self._service.status)

    async def _faults_of_reload(self, load: Callable[[], Config]) -> tuple[str, ...]:
        """None if it is in force now."""

        def prepare() -> tuple[Config, Wiring]:
            config = load()
            return config, self._service.prepare(config)

        try:
            config, wiring = await in_thread(prepare, self._read_seconds, "reload")
            if not self._stopped:
                self._put_in_force(config, wiring)
        except ConfigError as exc:
            return exc.faults
        except TimeoutError:
            return (
                f"the configuration's files could not be read within {self._read_seconds:g} s; check the folders that"
                " they are in (a network mount that hangs?)",
            )
        except Exception as exc:
            event(log, logging.DEBUG, "unexpected error at a reload", exception=exc)
            return (f"unexpected error: {type(exc).__name__}: {exc}",)
        return ()

    def _put_in_force(self, config: Config, wiring: Wiring) -> None:
        before = self._service.config.admin
        self._service.reload(config, wiring)
        logs.setup(config.log.format, config.log.level, in_colour=config.log.in_colour)
        if self._files is not None:
            self._files, self._looking = FileWatch(config.files), None
        event(
            log,
            logging.INFO,
            "reloaded",
            targets=len(config.targets),
            listeners=len(config.listeners),
            accounts=len(config.accounts),
        )
        for warning in config.warnings:
            event(log, logging.WARNING, "unwise configuration", why=warning)
        if config.admin != before:
            event(log, logging.WARNING, "the admin address is that of the start; restart to change it")
        if config.fixed_passwords:
            event(
                log,
                logging.WARNING,
                "passwords from the environment are those of the start; restart to change them",
                users=", ".join(config.fixed_passwords),
            )


class FileWatch:
    """Compares what marks some files. A file that is being written has not changed until it is at rest."""

    def __init__(self, known: Stamps) -> None:
        """`known`: as they were before the configuration in force was read."""
        self._known = self._last = dict(known)

    @property
    def names(self) -> tuple[Path, ...]:
        return tuple(self._known)

    def has_changed(self, now: Stamps) -> bool:
        """Once for each change: at the second call that finds the files as the one before did."""
        at_rest, self._last = now == self._last, dict(now)
        if not at_rest or now == self._known:
            return False
        self._known = dict(now)
        return True


def _stamps(names: Iterable[Path]) -> Stamps:
    return {path: file_stamp(path) for path in names}
