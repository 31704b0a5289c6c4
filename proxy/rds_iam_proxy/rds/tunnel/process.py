"""One run of a program, in a process group that ends with this process, whatever ends that. Threads, no child watcher:
neither uvloop's nor Windows' selector loop gives what is needed."""

import asyncio
import contextlib
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

MAX_LINE_BYTES = 4096
"""A longer line counts as several."""

MAX_UNHEARD_LINES = 50
"""So many may wait for the loop; a program that says more is not read meanwhile."""

_LAST_LINES_SECONDS = 3.0
_PAUSE_SECONDS = 0.05

# The shell leads the group. Its input is a pipe from us: when that ends, because we ended it or because we are no more,
# everybody in the group gets SIGTERM and 2 s later SIGKILL. PR_SET_PDEATHSIG would end the program, but not the
# programs that it started: aws leaves a session-manager-plugin behind.
_KEEPER = """
folder=$1; shift
trap : TERM HUP INT
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
(
    trap '' TERM HUP INT
    read -r _ <&3
    kill -s TERM 0
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$child" 2>/dev/null || break
        sleep 0.1
    done
    if [ -n "$folder" ]; then rm -f -- "$folder"/*; rmdir -- "$folder"; fi
    kill -s KILL 0
) >/dev/null 2>&1 &
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || exit "$code"
done
"""


class Process:
    """A running program. Whoever made it calls `stop` and waits for `ended`."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], on_line: Callable[[bytes], None], folder: Path | None
    ) -> None:
        """`folder`: a private one, which is removed with all files in it when the program has ended."""
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        """Its exit code, or OSError when it could not be started. Nothing of its group is left then."""
        self._argv, self._environ, self._folder = argv, environ, folder
        self._on_line = on_line
        self._unheard: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        threading.Thread(target=self._run, name="rds-iam-proxy-tunnel", daemon=True).start()

    def stop(self) -> None:
        """`ended` follows within 3 s. May be called again."""
        with self._lock:
            self._is_stopped = True
            if self._popen is not None:
                _end(self._popen)

    # --- in threads ---

    def _run(self) -> None:
        try:
            popen = self._start()
            reader = threading.Thread(target=self._read, args=(popen,), name="rds-iam-proxy-tunnel-words", daemon=True)
            reader.start()
            code = popen.wait()
            with self._lock:
                _end(popen)  # the rest of its group
            reader.join(_LAST_LINES_SECONDS)
        except OSError as exc:
            self._call(self._finish, exc)
        else:
            self._call(self._finish, code)

    def _start(self) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(
            list(self._argv) if os.name == "nt" else _kept(self._argv, self._folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._environ),
            start_new_session=True,  # no terminal: nothing may ask there, and Ctrl-C is for the proxy
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        with self._lock:
            self._popen = popen
            if self._is_stopped:
                _end(popen)
        return popen

    def _read(self, popen: subprocess.Popen[bytes]) -> None:
        words: IO[bytes] | None = popen.stdout
        if words is None:
            raise AssertionError("a pipe was asked for")
        with words:
            while line := words.readline(MAX_LINE_BYTES):
                while len(self._unheard) >= MAX_UNHEARD_LINES:
                    time.sleep(_PAUSE_SECONDS)
                self._unheard.append(line)
                if len(self._unheard) == 1 and not self._call(self._hear):
                    return

    def _call(self, function: Callable[..., None], *args: object) -> bool:
        """False: the loop has been closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)
            return True
        return False

    # --- in the loop ---

    def _hear(self) -> None:
        while self._unheard:
            self._on_line(self._unheard.popleft())

    def _finish(self, outcome: int | OSError) -> None:
        self._hear()
        if isinstance(outcome, OSError):
            self.ended.set_exception(outcome)
        else:
            self.ended.set_result(outcome)


def _kept(argv: Sequence[str], folder: Path | None) -> list[str]:
    return ["/bin/sh", "-c", _KEEPER, "rds-iam-proxy-tunnel", str(folder or ""), *argv]


def _end(popen: subprocess.Popen[bytes]) -> None:
    if popen.stdin is not None:
        with contextlib.suppress(OSError):
            popen.stdin.close()
    if os.name == "nt" and popen.poll() is None:
        subprocess.Popen(["taskkill", "/T", "/F", "/PID", str(popen.pid)])
