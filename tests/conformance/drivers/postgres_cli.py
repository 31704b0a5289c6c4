"""`python -m conformance.drivers.postgres_cli NAME`: psql, pgcli and pgbench, as scripts run them.

A check is one session: its actions go in together, each with a marker behind it, and what is printed up to the marker
is the action's. A program that ends before the last action is started again for the rest.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from conformance.drivers.loop import LET_IT_START, Driver, Login, Result, Unsupported, main
from conformance.drivers.values import result_set, shown
from servers.trees import cli_command

MARKER = "end-of-answer"
PATIENCE = 120.0  # seconds
NULL = "(null)"
FAULT = re.compile(
    r"^(?:psql:.*)?(?:ERROR|FATAL|PANIC):|^psql: error:|^connection failed:|^\\copy: |server closed the connection",
    re.MULTILINE,
)
STATE = re.compile(r"(?:ERROR|FATAL):\s+([0-9A-Z]{5}):")
PASSING = (
    (re.compile(r"(server process with PID|\(PID) \d+"), r"\1 <pid>"),
    (re.compile(r"(?m)^LOCATION:.*:\d+$"), ""),
)


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else "'{}'".format(text.replace("'", "''"))


class CommandLine(Driver):
    """What psql and pgcli share: a text for each action, and what it printed."""

    def environment(self, login: Login) -> dict[str, str]:
        host, port = (login["socket_folder"], 5432) if login.get("socket") else (login["host"], login["port"])
        mode = {"PGSSLMODE": "require" if login["tls"] else "disable"}
        if login["tls"] == "direct":
            mode["PGSSLNEGOTIATION"] = "direct"
        place = {"PGHOST": host, "PGPORT": str(port), "PGUSER": login["user"], "PGDATABASE": login["database"]}
        return {**os.environ, **place, **mode, "PGPASSWORD": login["password"], "PAGER": "cat"}

    def texts(self, action: dict[str, Any]) -> str:
        """The action in the program's own words; raises Unsupported."""
        sql = action.get("sql", "")
        match action["do"]:
            case "query":
                return self.with_arguments(sql, action["args"]) if action["args"] else f"{sql};"
            case "multi":
                return self.several(sql)
            case "prepared":
                runs = (", ".join(_quoted(text) for _, text in args) for args in action["args"])
                return "\n".join([f"PREPARE p AS {sql};", *(f"EXECUTE p({values});" for values in runs)])
            case "begin" | "commit" | "rollback":
                return f"{action['do'].upper()};"
            case "notices":
                return f"{sql};"
            case "notify":
                return f"LISTEN {action['channel']};\nNOTIFY {action['channel']}, '{action['payload']}';"
            case "pipeline":
                raise Unsupported("has no pipelines in scripts")
        return self.own_words(action)

    def with_arguments(self, sql: str, args: list[Any]) -> str:
        return f"PREPARE one AS {sql};\nEXECUTE one({', '.join(_quoted(text) for _, text in args)});"

    def several(self, sql: str) -> str:
        raise Unsupported("sends one statement at a time")

    def own_words(self, action: dict[str, Any]) -> str:
        raise Unsupported(f"has no {action['do']}")

    def run(self, texts: list[str], login: Login) -> str:
        """Everything that one process printed."""
        raise NotImplementedError

    def check(self, actions: list[dict[str, Any]]) -> list[Result]:
        login, results = dict(self.given.login), list[Result]()
        for number, action in enumerate(actions):
            if action["do"] == "connect":
                login |= action["changes"]
                results.append(self._logged_in(login) if number + 1 == len(actions) else {})
            elif action["do"] == "cancel":
                results.append(self.attempt(lambda action=action, login=login: self.cancel(action["sql"], login)))  # type: ignore[misc]
        rest = actions[len(results) :]
        try:
            texts = [self.texts(action) for action in rest]
        except Unsupported as exc:
            return [*results, {"unsupported": str(exc)}]
        while texts:
            printed = self.run(texts, login).split(MARKER)
            found = printed[: len(texts)] if len(printed) > len(texts) else printed
            results += [self.result(text) for text in found]
            texts = texts[len(found) :]
        return results

    def _logged_in(self, login: Login) -> Result:
        return self.result(self.run(["SELECT 1;"], login).replace(MARKER, ""))

    def result(self, printed: str) -> Result:
        for pattern, replacement in PASSING:
            printed = pattern.sub(replacement, printed)
        if FAULT.search(printed):
            state = STATE.search(printed)
            return {"error": {"sqlstate": state[1] if state else None, "text": shown(printed.strip())}}
        lines = printed.strip("\n").splitlines()
        rows = [[None if cell == NULL else cell for cell in line.split("\t")] for line in lines]
        return {"sets": [result_set(None, rows)]}

    def process(self, command: list[str], text: str, login: Login) -> str:
        done = subprocess.run(
            command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
            env=self.environment(login), cwd="/", check=False,
        )  # fmt: skip
        return done.stdout.decode(errors="replace")

    def cancel(self, sql: str, login: Login) -> Result:
        """SIGINT to the program, as Ctrl-C sends it."""
        command, text = self.waiting(sql)
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment(login), cwd="/",
        )  # fmt: skip
        if process.stdin is None:
            raise AssertionError("a process without pipes")
        process.stdin.write(text.encode())
        process.stdin.flush()
        time.sleep(self.start_seconds + LET_IT_START)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - pressed
        seen = printed.decode(errors="replace")
        faults = [] if re.search("cancel", seen, re.IGNORECASE) else [f"it was not cancelled: {seen[-300:]!r}"]
        return {**self.result(seen), "faults": faults, "cancelled after": seconds}

    start_seconds: ClassVar[float] = 0.5

    def waiting(self, sql: str) -> tuple[list[str], str]:
        raise Unsupported("cannot cancel in scripts")


class Psql(CommandLine):
    """Debian's, from the release's folder."""

    release: ClassVar[str]

    def command(self) -> list[str]:
        options = [
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--field-separator=\t",
            f"--pset=null={NULL}",
        ]
        return [*cli_command(self.release), *options, "--set=VERBOSITY=verbose"]

    def several(self, sql: str) -> str:
        return sql.replace(";", "\\;") + ";"

    def own_words(self, action: dict[str, Any]) -> str:
        match action["do"]:
            case "copy in":
                return f"\\copy {action['table']} FROM '{self.given.infile}'"
            case "copy out":
                return f"\\copy ({action['sql']}) TO PROGRAM 'sha256sum'"
            case "stream":
                return f"\\set FETCH_COUNT 500\nSELECT sum(length(repeat))::text FROM ({action['sql']}) AS sub;"
            case "reconnect":
                return "\\connect"
            case "logins":
                return "\\connect\nSELECT 1;\n" * int(action["count"])
        return super().own_words(action)

    def run(self, texts: list[str], login: Login) -> str:
        return self.process(self.command(), "".join(f"{text}\n\\echo {MARKER}\n" for text in texts), login)

    def waiting(self, sql: str) -> tuple[list[str], str]:
        return self.command(), f"{sql};\n"


class Psql15(Psql):
    name = "psql-15"
    release = "postgres-15"

    def environment(self, login: Login) -> dict[str, str]:
        if login["tls"] == "direct":
            raise Unsupported("psql 15 has no TLS at once")
        return super().environment(login)

    def check(self, actions: list[dict[str, Any]]) -> list[Result]:
        try:
            return super().check(actions)
        except Unsupported as exc:
            return [{"unsupported": str(exc)}]


class Psql18(Psql):
    name = "psql-18"
    release = "postgres-18"

    def check(self, actions: list[dict[str, Any]]) -> list[Result]:
        if any(action.get("changes", {}).get("socket") for action in actions):
            return [{"unsupported": "psql 18 runs in a folder of its own here, from where the socket cannot be seen"}]
        return super().check(actions)


class PgCLI(CommandLine):
    """Its `--command`s, which are one session; it prints in a table, whose columns are two spaces apart."""

    name = "pgcli"

    def run(self, texts: list[str], login: Login) -> str:
        settings = Path(self.given.infile).with_name("pgclirc")
        settings.write_text("[main]\nuse_local_timezone = False\n")
        program = str(Path(sys.executable).with_name("pgcli"))
        options = [f"--pgclirc={settings}", "--tuples-only", "--no-password", "--less-chatty", "--yes"]
        words = [word for text in texts for word in ("--command", text, "--command", f"SELECT '{MARKER}';")]
        return self.process([program, *options, *words], "", login)

    def result(self, printed: str) -> Result:
        return super().result(re.sub(r" {2,}", "\t", printed).replace("<null>", NULL))


class PgBench(CommandLine):
    """Each run must do all of its transactions; times apart, it must say the same."""

    name = "pgbench"

    def check(self, actions: list[dict[str, Any]]) -> list[Result]:
        return [self._run(action) for action in actions]

    def _run(self, action: dict[str, Any]) -> Result:
        options = action["options"]
        initialises = "-i" in options
        command = ["pgbench", *options, *([] if initialises else ["-n", "-M", action["protocol"]])]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=self.environment(dict(self.given.login)),
            check=False,
        )  # fmt: skip
        if done.returncode:
            return {"error": {"sqlstate": None, "text": done.stderr[-500:]}}
        told = [line for line in done.stdout.splitlines() if not re.search("latency|tps|time =|initial", line)]
        return {"value": told, "status": done.returncode}


if __name__ == "__main__":
    main({driver.name: driver for driver in (Psql15, Psql18, PgCLI, PgBench)})
