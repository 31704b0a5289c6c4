"""A new configuration for a running service: on SIGHUP, and when a file changes. A bad one changes nothing."""

import asyncio
import logging
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .. import logs
from ..config import Config
from ..errors.tree import ConfigError
from ..logs import event
from .lifecycle import Lifecycle
from .service import Service

log = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int] | None, ...]


class Reloader:
    """`run` until it is cancelled or stopped."""

    def __init__(self, service: Service, lifecycle: Lifecycle) -> None:
        self._service = service
        self._load = lifecycle.load
        self._notifier = lifecycle.notifier
        self._wanted = asyncio.Event()
        self._stopped = False
        self._files = FileWatch(service.config.files) if lifecycle.watch else None

    def watch_signal(self) -> None:
        if self._load is not None:
            with suppress(NotImplementedError, AttributeError):  # Windows
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._wanted.set)

    def look_at_files(self) -> None:
        """To be called from time to time."""
        if self._files is not None and self._files.has_changed():
            self._wanted.set()

    def stop(self) -> None:
        """The service stops: nothing is opened any more."""
        self._stopped = True

    async def run(self) -> None:
        while self._load is not None:
            await self._wanted.wait()
            self._wanted.clear()
            self._notifier.reloading()
            try:
                config = await asyncio.to_thread(self._load)
                if self._stopped:
                    return
                self._put_in_force(config)
            except ConfigError as exc:
                for fault in exc.faults:
                    event(log, logging.ERROR, "not reloaded, all stays as it was", fault=fault)
            self._notifier.ready(self._service.status)

    def _put_in_force(self, config: Config) -> None:
        before = self._service.config.admin
        self._service.reload(config)
        logs.setup(config.log.format, config.log.level)
        if self._files is not None:
            self._files = FileWatch(config.files)
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
    """Compares what the system says of some files. A file that is being written has not changed until it is at rest."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = tuple(files)
        self._known = self._last = self._signature()

    def has_changed(self) -> bool:
        """Once for each change: at the second call that finds the files as the one before did."""
        now = self._signature()
        at_rest, self._last = now == self._last, now
        if not at_rest or now == self._known:
            return False
        self._known = now
        return True

    def _signature(self) -> _Signature:
        return tuple(map(_identity, self._files))


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()  # follows links: a mounted ConfigMap changes by a new link
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
