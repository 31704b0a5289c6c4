"""Takes from Python what it lacks on another system: named by SIMULATED_SYSTEM, run by every Python that has this
folder in its PYTHONPATH. Libraries are loaded first: they know those systems, and it is our code that is asked.
"""

import asyncio
import builtins
import os
import signal
import socket
import time
from typing import Any, NoReturn

import aiohttp  # noqa: F401
import boto3  # noqa: F401
import click  # noqa: F401
import cryptography.x509  # noqa: F401
import mysql_mimic  # noqa: F401
import platformdirs  # noqa: F401
import pydantic  # noqa: F401
import pymysql  # noqa: F401

MAC_SOFT_LIMIT = 256
MAC_MOST_FILES = 61_440
"""kern.maxfilesperproc of many Macs; the hard limit says that there is none."""


def take(module: Any, *names: str) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def hide(*modules: str) -> None:
    known = builtins.__import__

    def guarded(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] in modules:
            raise ImportError(f"there is no {name} on this system")
        return known(name, *arguments, **options)

    builtins.__import__ = guarded


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError


def socketpair(*_: Any) -> tuple[socket.socket, socket.socket]:
    """Two TCP sockets, as Python makes it on Windows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


class SelectorLoop(asyncio.SelectorEventLoop):
    """Windows': it waits for sockets, and that is all."""


class ProactorLoop(SelectorLoop):
    """Windows' usual one: it waits for no socket that is not its own."""


for _name in ("add_signal_handler", "remove_signal_handler", "subprocess_exec", "connect_read_pipe"):
    setattr(SelectorLoop, _name, refuse)
for _name in ("add_reader", "add_writer", "remove_reader", "remove_writer"):
    setattr(ProactorLoop, _name, refuse)


def windows() -> None:
    take(socket, "AF_UNIX", "SO_PEERCRED", "TCP_USER_TIMEOUT")
    take(os, "getpgrp", "tcgetpgrp", "fchmod", "memfd_create", "killpg", "setsid")  # geteuid stays: os.name is posix
    take(time, "CLOCK_BOOTTIME", "clock_gettime")
    take(signal, "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "pthread_sigmask")
    hide("uvloop", "resource", "fcntl", "pwd", "grp", "termios", "pty")
    socket.socketpair = socketpair  # type: ignore[assignment]
    asyncio.SelectorEventLoop = SelectorLoop
    asyncio.new_event_loop = ProactorLoop


def macos() -> None:
    import resource

    socket.TCP_KEEPALIVE = socket.TCP_KEEPIDLE  # type: ignore[attr-defined, unused-ignore]
    take(socket, "SO_PEERCRED", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE")
    take(os, "memfd_create")
    take(time, "CLOCK_BOOTTIME")
    limits = [MAC_SOFT_LIMIT, resource.RLIM_INFINITY]

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > MAC_MOST_FILES:
            raise ValueError("current limit exceeds maximum limit")
        limits[0] = wanted[0]

    resource.getrlimit = lambda _: (limits[0], limits[1])
    resource.setrlimit = setrlimit


{"windows": windows, "macos": macos}[os.environ["SIMULATED_SYSTEM"]]()
