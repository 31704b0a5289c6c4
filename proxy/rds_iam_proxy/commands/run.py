"""Runs one command with a proxy of its own, which nobody else can use and which ends with it.

Clients find the proxy through the environment: a Unix socket in a folder that only this user can enter, and a loopback
port. Stock clients send the system user's name, which no variable changes, so any name will do: the identity is the
password, made for this run.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..config import Account, Config, Engine, Listener
from ..errors.tree import ConfigError
from ..logs import escaped, event
from ..net.address import Address
from ..net.sockets import folder_for, has_unix_sockets
from ..service.hangup import is_in_foreground
from ..service.service import Service
from ..session.clients import SWEEP_SECONDS
from ..threads import future_in_thread
from .serve import new_event_loop, on_signal

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes, as shells have them."""

FIRST_TRY_SECONDS = 10.0

_PASSED_ON = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2")
_FROM_THE_KEYBOARD = ("SIGINT", "SIGQUIT")
_POSTGRES_PORT = 5432
_SOCKETS: Mapping[Engine, str] = {"mysql": "mysql.sock", "postgres": f".s.PGSQL.{_POSTGRES_PORT}"}
"""libpq finds a socket by its folder and a port."""

_OVERRIDING = frozenset(
    {
        *("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGSSLNEGOTIATION"),
        *("PGSSLCERTMODE", "PGTARGETSESSIONATTRS", "PGGSSENCMODE", "PGREQUIRESSL", "PGREQUIREPEER", "PGPASSFILE"),
    }
)
"""What would lead libpq elsewhere, or refuse a login through a socket of ours."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. `prefix`: of the variables that tell the command where to connect."""

    command: tuple[str, ...]
    prefix: str
    environ: Mapping[str, str]


def run_job(job: Job, config: Config, password: str) -> int:
    """Returns the command's exit code, 128 + n if signal n ended it. `config`: one target, one account.

    Raises ConfigError.
    """
    (target,) = config.targets.values()
    socket_name = _SOCKETS[target.engine]
    where = folder_for(f"rds-iam-proxy-12345678/{socket_name}", job.environ) or tempfile.gettempdir()
    try:
        private_folder = tempfile.TemporaryDirectory(prefix="rds-iam-proxy-", dir=where)
    except OSError as exc:
        raise ConfigError([f"no folder for the socket in {where}: {exc.strerror}; set XDG_RUNTIME_DIR"]) from exc
    with private_folder as folder:
        binds: list[Path | Address] = [Address("127.0.0.1", 0)]
        if has_unix_sockets():
            binds.insert(0, Path(folder) / socket_name)
        private = replace(
            config,
            listeners=tuple(Listener(bind, target.name) for bind in binds),
            accounts=tuple(replace(account, any_user=True) for account in config.accounts),
        )
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_run(job, private, password))


async def _run(job: Job, config: Config, password: str) -> int:
    service = Service(config)
    service.start()
    command = _Command()
    command.watch_signals()
    try:
        service.spawn(_sweep(service))
        with suppress(TimeoutError):  # a job logs in once: it is to be greeted right at once
            async with asyncio.timeout(FIRST_TRY_SECONDS):
                await service.first_tries()
        environ = variables(service.addresses, config, password, job)
        try:
            code = await command.run(job.command, environ)
        except OSError as exc:
            sys.stderr.write(f"rds-iam-proxy: cannot run {escaped(job.command[0])}: {exc.strerror}\n")
            return NOT_EXECUTABLE if isinstance(exc, PermissionError) else NOT_FOUND
        await service.drain(command.stop_now)
    finally:
        await service.close()
    return code


def variables(addresses: Sequence[Address | Path], config: Config, password: str, job: Job) -> dict[str, str]:
    """The command's environment, with names of our own, and those that the stock clients read."""
    (target,), (account,) = config.targets.values(), config.accounts
    address = next(address for address in addresses if isinstance(address, Address))
    path = next((address for address in addresses if isinstance(address, Path)), None)  # none on Windows
    ours = {"HOST": address.host, "PORT": str(address.port), "USER": account.db_user, "PASSWORD": password}
    if path is not None:
        ours["SOCKET"] = str(path)
    named = {f"{job.prefix}{name}": value for name, value in ours.items()}
    if target.engine == "postgres":
        kept = {name: value for name, value in job.environ.items() if name not in _OVERRIDING}
        return kept | named | _of_libpq(address, path, account, password)
    stock = {"MYSQL_TCP_PORT": str(address.port), "MYSQL_PWD": password}
    return {**job.environ, **named, **stock} | ({} if path is None else {"MYSQL_UNIX_PORT": str(path)})


def _of_libpq(address: Address, path: Path | None, account: Account, password: str) -> dict[str, str]:
    """It finds a socket by its folder and a port."""
    host, port = (address.host, address.port) if path is None else (path.parent, _POSTGRES_PORT)
    database = {} if account.database is None else {"PGDATABASE": account.database}
    return database | {
        "PGHOST": str(host),
        "PGPORT": str(port),
        "PGUSER": account.db_user,
        "PGPASSWORD": password,
        "PGSSLMODE": "disable",
    }


class _Command:
    """The command, and the signals that it gets. `stop_now`: one that came when it was over already."""

    def __init__(self) -> None:
        self.stop_now = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[signal.Signals] = []  # those that came while the command was being started

    def watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in _PASSED_ON:
            number = getattr(signal, name, None)
            if number is not None:
                on_signal(loop, number, partial(self._on_signal, number))

    async def run(self, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Its exit code, 128 + n if signal n ended it. Raises OSError when it cannot be run."""
        process = self._start(command, environ)
        code = await future_in_thread(process.wait, "command")
        event(log, logging.INFO, "command ended", code=code)
        return code if code >= 0 else 128 - code

    def _start(self, command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Not by asyncio: on Windows a loop that waits for sockets starts no process."""
        process = self._process = subprocess.Popen(command, env=environ)
        for number in self._early:
            self._on_signal(number)
        return process

    def _on_signal(self, number: signal.Signals) -> None:
        if self._process is None:
            self._early.append(number)
        elif self._process.returncode is not None:
            self.stop_now.set()
        elif number.name not in _FROM_THE_KEYBOARD or not _hears_the_keyboard():
            # What was typed at the terminal the command got itself; twice would be once too often.
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _hears_the_keyboard() -> bool:
    """What is typed goes to us and to the command, which is of the same process group."""
    return not hasattr(os, "tcgetpgrp") or is_in_foreground()  # Windows: everybody in the console gets it


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        service.sweep()
