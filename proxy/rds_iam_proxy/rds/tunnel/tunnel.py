"""A tunnel's life: opened when a login needs it, opened again when it ends, closed with the proxy."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from ...config import SSMTunnel, Target
from ...errors.tree import LoginError, Unreachable
from ...logs import event
from ...threads import in_thread
from . import faults, place
from .backoff import Backoff
from .command import NearEnd, argv
from .process import Process
from .words import Words

OPENING_SECONDS = 30.0
"""A program that has not opened the tunnel by then is ended."""

LOOK_SECONDS = 0.05
"""Between two looks whether it is open."""

SSM_SAYS = ("Waiting for connections", " opened for session")
"""session-manager-plugin listens. Asking the port instead would cost a connection to RDS."""

SSM_SILENCE_SECONDS = 5.0
"""Then the port is asked."""

WORDS_SECONDS = 0.3
"""What the program says of a connection may come later than the connection's end."""

UNANSWERED = 2
"""So many logins in a row without a single byte from RDS: the tunnel is open in name only."""

MAX_TOLD_LINES = 20
"""Lines of one run that are logged while it opens; the others only at debug level."""

_THREAD = "tunnel-place"
_THREAD_SECONDS = 10.0

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[None, None, None]], object]


class State(StrEnum):
    """What a tunnel does."""

    CLOSED = "closed"
    """Nobody needs it."""
    OPENING = "opening"
    OPEN = "open"
    WAITING = "waiting"
    """It failed, or ended, and is opened again after a pause."""


class End(StrEnum):
    """Why we end a program that runs."""

    IDLE = "no session needs it"
    RETIRED = "the configuration has another"
    SILENT = "nothing comes through it"


class Tunnel:
    """One per target, and for all targets with the same way to the same endpoint."""

    def __init__(
        self, target: Target, environ: Mapping[str, str], spawn: Spawn, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`environ`: the program's. `spawn` keeps the task; when that is cancelled, the program is ended."""
        self.state = State.CLOSED
        self.starts = 0
        """How often the program was started."""
        self.failure: Unreachable | None = None
        """The last one, until it is open again."""
        if target.tunnel is None:
            raise ValueError("a target without a tunnel")
        self._target, self._way = target, target.tunnel
        self._environ = environ
        self._spawn = spawn
        self._now = now
        self._words = Words(environ, now)
        self._backoff = Backoff()
        self._near: NearEnd | None = None
        self._changed = asyncio.Event()  # replaced when set
        self._end: asyncio.Future[End] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._runs = False
        self._retired = False
        self._is_kept = False  # it was open once, so it is to be open again
        self._waiting = 0
        self._users = 0
        self._unanswered = 0
        self._told = 0
        self._ready_by_words = False

    def __str__(self) -> str:
        return str(self._way)

    @property
    def said(self) -> str:
        """The last line of the program, fit to be shown."""
        return self._words.last

    # --- for logins and sessions ---

    async def near_end(self, seconds: float) -> NearEnd:
        """Where it is entered, once it is open. Raises Unreachable, after so many seconds at most."""
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while self.state is not State.OPEN or self._near is None:
                    if self.state is State.WAITING and self.failure is not None and self._is_final:
                        raise self.failure.again()
                    self._start()
                    await self._changed.wait()
                return self._near
        except TimeoutError:
            if self.failure is not None:
                raise self.failure.again() from None
            raise faults.not_open_in_time(self._target, self._words, seconds) from None
        finally:
            self._waiting -= 1

    @property
    def opens_again(self) -> bool:
        """It has ended, as they do when a network goes, and will be there again."""
        return self.state is not State.OPEN and not self._is_final and not self._retired

    def enter(self) -> None:
        """A login or a session needs it, until `leave`."""
        self._users += 1
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def leave(self) -> None:
        self._users -= 1
        if self._users:
            return
        if self._retired:
            self._end_run(End.RETIRED)
        elif self._target.tunnel_idle is not None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._target.tunnel_idle, self._end_run, End.IDLE)

    def retire(self) -> None:
        """No new logins come. It ends with the last session that it carries."""
        self._retired = True
        if not self._users:
            self._end_run(End.RETIRED)

    def answered(self) -> None:
        """A login got through."""
        self._unanswered = 0

    def unanswered(self) -> None:
        """A login got not even RDS's first byte in time. A machine that slept, or one that lost its network, may have
        a tunnel that does not know it."""
        self._unanswered += 1
        if self._unanswered >= UNANSWERED:
            self._end_run(End.SILENT)

    async def explained(self, error: Unreachable) -> LoginError:
        """What went wrong with a connection through the tunnel, if the tunnel knows."""
        await asyncio.sleep(WORDS_SECONDS)
        told = faults.not_forwarded(self._target, self._words)
        if told is None and self.failure is not None:
            told = self.failure.again()
        return told or error

    # --- the program ---

    @property
    def _is_final(self) -> bool:
        return self.failure is not None and self.failure.row.key in faults.FINAL

    def _start(self) -> None:
        if not self._runs:
            self._runs = True
            self._set(State.OPENING)
            self._spawn(self._live())

    def _set(self, state: State) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    def _end_run(self, why: End) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(why)

    async def _live(self) -> None:
        try:
            while await self._lives_on():
                pass
        finally:
            self._runs, self._near = False, None
            self._set(State.CLOSED)

    async def _lives_on(self) -> bool:
        """One run, and the pause after it. False: nobody needs another."""
        open_seconds, why = await self._run()
        if why in (End.IDLE, End.RETIRED):
            self._tell(logging.INFO, "tunnel closed", why=str(why))
            return self._waiting > 0
        self._is_kept = (self._is_kept or open_seconds > 0) and not self._is_final
        pause = self._backoff.after(open_seconds)
        level, message = (
            (logging.WARNING, "tunnel ended")
            if open_seconds
            else (logging.INFO, "tunnel does not open")  # who waits for it says so, too
        )
        self._tell(
            level,
            message,
            why=str(why) if why else self.failure and self.failure.text,
            open_seconds=open_seconds or None,
            next_try_seconds=pause,
        )
        self._set(State.WAITING)
        await asyncio.sleep(pause)
        is_kept = self._is_kept and self._target.tunnel_idle is None and not self._retired
        return self._waiting > 0 or self._users > 0 or is_kept

    async def _run(self) -> tuple[float, End | None]:
        """Seconds that it was open, and why we ended it; None where it failed or ended by itself."""
        self._set(State.OPENING)
        self._end = end = asyncio.get_running_loop().create_future()
        self._words = Words(self._environ, self._now)
        self._ready_by_words, self._unanswered, self._told = False, 0, 0
        self.starts += 1
        try:
            near, program = await in_thread(self._prepared, _THREAD_SECONDS, _THREAD)
        except (OSError, TimeoutError) as exc:
            self.failure = faults.not_started(self._target, exc)
            return 0.0, None
        if program is None:
            self.failure = faults.no_program(self._target)
            return 0.0, None
        folder = near.parent if isinstance(near, Path) else None
        process = Process((program, *argv(self._target, near)[1:]), self._environ, self._hear, folder)
        self._tell(logging.INFO, "tunnel opens")
        try:
            if not await self._opens(process, near, end):
                return 0.0, None
            opened_at = self._now()
            self.failure, self._near = None, near
            self._set(State.OPEN)
            self._tell(logging.INFO, "tunnel open", near=str(near))
            await _first(process.ended, end)
            why = end.result() if end.done() else None
            if why is None:
                self.failure = self._ended(process)
            return max(self._now() - opened_at, 0.001), why
        finally:
            self._near = None
            process.stop()
            await asyncio.wait({process.ended})
            process.ended.exception()  # it has been told, or does not matter any more

    def _prepared(self) -> tuple[NearEnd, str | None]:
        """In a thread. The near end, and where the program is; None: it is nowhere."""
        name = argv(self._target, place.ANY)[0]
        program = shutil.which(name, path=self._environ.get("PATH"))
        return (place.near_end(self._way, self._environ) if program else place.ANY), program

    async def _opens(self, process: Process, near: NearEnd, end: "asyncio.Future[End]") -> bool:
        began = self._now()
        while not await self._is_open(near, self._now() - began):
            if self._now() - began > OPENING_SECONDS:
                self.failure = faults.not_open_in_time(self._target, self._words, OPENING_SECONDS)
                return False
            await _first(process.ended, end, LOOK_SECONDS)
            if process.ended.done():
                self.failure = self._ended(process)
                return False
            if end.done():
                return False
        return True

    async def _is_open(self, near: NearEnd, seconds: float) -> bool:
        if isinstance(self._way, SSMTunnel) and seconds < SSM_SILENCE_SECONDS:
            return self._ready_by_words
        look = near.exists if isinstance(near, Path) else partial(place.accepts, near)
        return await in_thread(look, _THREAD_SECONDS, _THREAD)

    def _hear(self, raw: bytes) -> None:
        line = self._words.hear(raw)
        if not line:
            return
        self._ready_by_words = self._ready_by_words or any(words in line for words in SSM_SAYS)
        self._told += 1
        is_told = self.state is State.OPENING and self._told <= MAX_TOLD_LINES
        self._tell(logging.INFO if is_told else logging.DEBUG, "tunnel says", said=line)

    def _ended(self, process: Process) -> Unreachable:
        error = process.ended.exception()
        if isinstance(error, OSError):
            return faults.not_started(self._target, error)
        return faults.ended(self._target, self._words, process.ended.result())

    def _tell(self, level: int, message: str, **fields: Any) -> None:
        event(log, level, message, tunnel=str(self), endpoint=str(self._target.address), **fields)


async def _first(ended: "asyncio.Future[int]", end: "asyncio.Future[End]", seconds: float | None = None) -> None:
    """Until one of them is done, and so long at most."""
    futures: set[asyncio.Future[Any]] = {ended, end}
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
