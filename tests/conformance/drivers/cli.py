"""`python -m conformance.drivers.cli NAME`: the command line clients, fed through a pipe as scripts feed them.

A statement's output ends where that of a marker does. Ctrl-C is pressed on a terminal of its own.
"""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from conformance.drivers.loop import LET_IT_START, Driver, Login, Result, Unsupported, main
from conformance.drivers.values import BIG_UNIT, result_set
from servers.trees import cli_command

MARKER = "end-of-answer"
PATIENCE = 90.0  # seconds
PASSING = re.compile(rb"Connection id|Uptime|Threads|Queries|TCP port|SSL|Cipher|timezone")
SEEN = re.compile(r"ERROR.*|.*query aborted|.*query killed|.*[Cc]ancel+ed query|\| [^|]+ \||\d+ row.* in set")
NUMBERS = frozenset({"int", "float", "decimal"})


class Shell(Driver):
    """A client process that lives as long as its connection; it starts again after an error that ended it."""

    encoding = "utf-8"
    # The client's own commands to print what it would send next, and to forget it: no statement, so nothing is changed.
    mark: ClassVar[str] = f"{MARKER} \\p\\c"
    marked: ClassVar[bytes] = re.sub("M", MARKER, "{0}\nM \n{0}\n\n").format("-" * 14).encode()

    def __init__(self, given: Any) -> None:
        super().__init__(given)
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""

    def command(self, login: Login) -> list[str]:
        raise NotImplementedError

    def text_encoding(self, login: Login) -> str:
        """How text goes through the pipe."""
        return "latin-1" if login["charset"] == "latin1" else "utf-8"

    def environment(self, login: Login) -> dict[str, str]:
        return {**os.environ, "MYSQL_PWD": login["password"], "TERM": "dumb"}

    def open(self, login: Login) -> None:
        self.encoding = self.text_encoding(login)
        self.process = subprocess.Popen(
            self.command(login),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment(login),
            cwd="/",
        )
        self.rest = b""
        self.ask("")

    def close(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(OSError):
            self.process.communicate(timeout=10)
        self.process = None

    def ask(self, text: str) -> list[str]:
        """The lines that the statements print. Raises RuntimeError with what came of them if that was an error."""
        if self.process is None:
            self.open(self.login)
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise AssertionError("a process without pipes")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{text}\n{self.mark}\n".encode(self.encoding))
            process.stdin.flush()
        found = self._until_marker(process)
        lines = found.decode(self.encoding, "surrogateescape").splitlines()
        ended = process.poll() if self.process is None else None
        if ended or any(line.startswith("ERROR ") for line in lines):
            raise RuntimeError("\n".join(lines))
        return lines

    def _until_marker(self, process: "subprocess.Popen[bytes]") -> bytes:
        if process.stdout is None:
            raise AssertionError("a process without pipes")
        found, end = bytearray(), self.marked
        deadline = time.monotonic() + PATIENCE
        while not found.endswith(end):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                process.kill()
                raise RuntimeError(f"no answer within {PATIENCE:.0f} s: {bytes(found[-500:])!r}")
            part = os.read(process.stdout.fileno(), 1 << 20)
            if not part:
                self.close()
                return bytes(found)
            found += part
        return bytes(found[: -len(end)])

    def error(self, exc: Exception) -> Result:
        text = str(exc)
        code = re.search(r"ERROR (\d+) \((\w+)\)|^\((\d+), ", text)
        number, state = (code[1] or code[3], code[2]) if code else (None, None)
        return {"code": number, "sqlstate": state, "text": text}

    # --- statements ---

    def literal(self, kind: str, text: str | None) -> str:
        if text is None:
            return "NULL"
        if kind in NUMBERS:
            return text
        if kind == "bytes":
            return f"x'{text}'"
        if kind == "big":
            text = BIG_UNIT * (int(text) // len(BIG_UNIT))
        return "'{}'".format(text.replace("\\", "\\\\").replace("'", "''"))

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        parts = sql.split("?") if args else [sql]
        for i, (kind, text) in enumerate(args):
            parts[i] += self.literal(kind, text)
        return self.sets(self.ask("".join(parts) + ";"))

    def sets(self, lines: Sequence[str]) -> list[Result]:
        return [result_set(None, [line.split("\t") for line in lines])]

    def prepared(self, sql: str, args: list[Any]) -> list[Result]:
        """The clients have the statements PREPARE and EXECUTE only."""
        setting = "".join(f"SET @a{i} = {self.literal(*arg)};\n" for i, arg in enumerate(args))
        using = ", ".join(f"@a{i}" for i in range(len(args)))
        quoted = sql.replace("'", "''")
        return self.sets(
            self.ask(f"PREPARE s FROM '{quoted}';\n{setting}EXECUTE s USING {using};\nDEALLOCATE PREPARE s;")
        )

    def multi(self, sql: str) -> list[Result]:
        return self.sets(self.ask(f"DELIMITER //\n{sql}//\nDELIMITER ;"))

    # --- Ctrl-C ---

    def interactive(self, login: Login) -> list[str]:
        """The command for somebody at a terminal."""
        raise NotImplementedError

    def interesting(self, text: str) -> list[str]:
        """What a person sees of a cancelled statement, without prompts and frames."""
        return SEEN.findall(text.replace("\r", ""))

    def _cancel(self, sql: str) -> Result:
        terminal, other = pty.openpty()
        process = subprocess.Popen(
            self.interactive(self.login),
            stdin=other,
            stdout=other,
            stderr=other,
            env=self.environment(self.login),
            cwd="/",
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(other)
        try:
            self._press(terminal, b"", self.prompt)
            self._press(terminal, b"SELECT 'ready' AS a;\n", b"1 row in set")
            os.write(terminal, f"{sql};\n".encode())
            time.sleep(LET_IT_START)
            self._drain(terminal)
            pressed = time.monotonic()
            seen = self._press(terminal, b"\x03", self.prompt)
            seconds = time.monotonic() - pressed
            again = self._press(terminal, b"SELECT 'still ' AS b, 'there' AS c;\n", b"1 row in set")
            faults = [] if b"there" in again else [repr(again)]
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
        return {"value": self.interesting(seen.decode(errors="replace")), "faults": faults, "cancelled after": seconds}

    @staticmethod
    def _drain(terminal: int) -> None:
        while select.select([terminal], [], [], 0)[0]:
            os.read(terminal, 65536)

    prompt: ClassVar[bytes] = b"> "

    def _press(self, terminal: int, keys: bytes, until: bytes) -> bytes:
        os.write(terminal, keys)
        seen = b""
        deadline = time.monotonic() + 15
        while until not in seen.removeprefix(keys):
            ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise RuntimeError(f"no {until!r} on the terminal: {seen[-1500:]!r}")
            seen += os.read(terminal, 65536)
        return seen


def _take_terminal() -> None:
    """Ctrl-C on the terminal reaches the process: it is the terminal's foreground."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class CommandLine(Shell):
    """`mysql` and `mariadb`."""

    release: ClassVar[str]
    no_tls: ClassVar[str] = "--skip-ssl"
    tls: ClassVar[tuple[str, ...]] = ("--ssl", "--skip-ssl-verify-server-cert")
    latin1: ClassVar[str] = "latin1"

    def _common(self, login: Login) -> list[str]:
        *before, program = cli_command(self.release)
        return [
            *before,
            "stdbuf",
            "-oL",  # a line goes out when it is complete
            program,
            "--no-defaults",
            f"--host={login['host']}",
            f"--port={login['port']}",
            f"--user={login['user']}",
            "--protocol=tcp",
            "--local-infile=1",
            "--max-allowed-packet=64M",
            f"--default-character-set={login['charset']}",
            *(self.tls if login["tls"] else (self.no_tls,)),
            *([login["database"]] if login["database"] else []),
        ]

    def command(self, login: Login) -> list[str]:
        return [*self._common(login), "--batch", "--raw", "--skip-column-names", "--force"]

    def interactive(self, login: Login) -> list[str]:
        return self._common(login)

    def info(self) -> Any:
        command = [*self._common(self.login), "--table", "--execute", "SELECT VERSION() AS v, 1 AS one; status"]
        done = subprocess.run(command, capture_output=True, env=self.environment(self.login), timeout=30, check=False)
        return [line.decode() for line in done.stdout.splitlines() if not PASSING.search(line)]

    def stream(self, sql: str) -> list[Result]:
        command = [*self._common(self.login), "--quick", "--batch", "--raw", "--execute", sql]
        done = subprocess.run(command, capture_output=True, env=self.environment(self.login), timeout=30, check=False)
        return [result_set(["all", "stderr"], [(len(done.stdout), done.stderr.decode())])]

    def logins(self, count: int) -> int:
        """In one process: its command `connect`."""
        lines = self.ask("connect\nSELECT 'in';\n" * count)
        return lines.count("in")


class MySQL97(CommandLine):
    name = "mysql-9.7"
    release = "mysql-9.7"
    no_tls = "--ssl-mode=DISABLED"
    tls = ("--ssl-mode=REQUIRED",)

    def _common(self, login: Login) -> list[str]:
        common = super()._common(login)
        # Since 9.x the client's own commands must be allowed by name.
        return [*common, "--commands=ON"]

    def reset(self) -> None:
        self.ask("resetconnection")


class MariaDB1011(CommandLine):
    name = "mariadb-10.11"
    release = "mariadb-10.11"


class MariaDB118(CommandLine):
    name = "mariadb-11.8"
    release = "mariadb-11.8"
    tls = ("--ssl", "--disable-ssl-verify-server-cert")


class MyCLI(Shell):
    """mycli reads statements from a pipe too, and ends at the first error."""

    name = "mycli"
    prompt = b"ready> "
    mark = f"SELECT '{MARKER}' AS mark;"
    marked = f"{MARKER}\n".encode()

    def text_encoding(self, login: Login) -> str:
        return "utf-8"  # whatever the connection's

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        if sql == "SHOW WARNINGS":  # the mark would have cleared them
            return [result_set(None, found["rows"][1:]) for found in super().query(f"{self.previous};\n{sql}", [])]
        self.previous = sql
        return super().query(sql, args)

    previous: str = ""

    def command(self, login: Login) -> list[str]:
        return [*self._common(login), "--format=tsv"]

    def interactive(self, login: Login) -> list[str]:
        return [*self._common(login), "--prompt=ready> "]

    def _common(self, login: Login) -> list[str]:
        return [
            str(Path(sys.executable).with_name("mycli")),
            f"--host={login['host']}",
            f"--port={login['port']}",
            f"--user={login['user']}",
            f"--password={login['password']}",
            f"--ssl-mode={'on' if login['tls'] else 'off'}",
            f"--charset={login['charset']}",
            "--local-infile=true",
            *([f"--database={login['database']}"] if login["database"] else []),
        ]

    def info(self) -> Any:
        return [line for line in self.ask("status;") if not PASSING.search(line.encode())]

    def stream(self, sql: str) -> list[Result]:
        command = [*self._common(self.login), "--unbuffered", "--format=tsv", "--execute", sql]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self.environment(self.login),
            timeout=30,
            check=False,
        )
        return [result_set(["all", "stderr"], [(len(done.stdout), done.stderr.decode())])]

    def logins(self, count: int) -> int:
        raise Unsupported(f"takes a second to start: {count} of them say nothing about the proxy")


if __name__ == "__main__":
    main({driver.name: driver for driver in (MySQL97, MariaDB1011, MariaDB118, MyCLI)})
