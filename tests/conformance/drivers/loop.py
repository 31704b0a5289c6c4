"""What every Python driver does: read the checks, carry out their actions, print the results."""

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any, ClassVar

from conformance.drivers.values import arguments, shown

LET_IT_START = 0.4  # seconds from sending a statement to cancelling it
GIVE_UP = 20.0

Result = dict[str, Any]
Login = dict[str, Any]  # host, port, user, password, database, tls, charset


class Unsupported(Exception):
    """The client has no such thing; the text says so."""


@dataclass
class Input:
    """What the runner sends."""

    login: Login
    other: Login  # for changing the user
    checks: list[dict[str, Any]]
    infile: str  # a file to load, as the client sees it


class Driver:
    """The actions. A driver overrides what its client has; what it does not override is unsupported."""

    name: ClassVar[str] = ""

    def __init__(self, given: Input) -> None:
        self.given = given
        self.login = dict(given.login)

    def open(self, login: Login) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def query(self, sql: str, args: list[Any]) -> list[Result]:
        raise NotImplementedError

    def prepared(self, sql: str, args: list[Any]) -> list[Result]:
        raise Unsupported("has no server-side prepared statements")

    def multi(self, sql: str) -> list[Result]:
        raise Unsupported("sends one statement at a time")

    def call(self, procedure: str, args: list[Any]) -> list[Result]:
        return self.query(f"CALL {procedure}({', '.join('?' for _ in args)})", args)

    def begin(self) -> None:
        self.query("START TRANSACTION", [])

    def commit(self) -> None:
        self.query("COMMIT", [])

    def rollback(self) -> None:
        self.query("ROLLBACK", [])

    def stream(self, sql: str) -> list[Result]:
        """Row by row, not as a whole."""
        raise Unsupported("reads whole results only")

    def canceller(self) -> Callable[[], None]:
        """A function that cancels the running statement as the client's users do; called in another thread."""
        raise Unsupported("cannot cancel")

    def change_user(self, login: Login) -> None:
        raise Unsupported("cannot change the user")

    def reset(self) -> None:
        raise Unsupported("cannot reset the connection")

    def info(self) -> Any:
        return None

    def warnings(self) -> Any:
        return [row for found in self.query("SHOW WARNINGS", []) for row in found["rows"]]

    def mapper(self) -> Any:
        raise Unsupported("is no object mapper")

    def error(self, exc: Exception) -> Result:
        """Code and text of what the client raised."""
        code = exc.args[0] if exc.args and isinstance(exc.args[0], int) else None
        return {"type": type(exc).__name__, "code": code, "text": str(exc)}

    # --- what the checks' actions come to ---

    def perform(self, action: dict[str, Any]) -> Result:
        what = action["do"]
        if what in _SETS:
            return {"sets": _SETS[what](self, action)}
        if what in _VALUES:
            return {"value": _VALUES[what](self, action)}
        if what == "cancel":
            return self._cancel(action["sql"])
        _DEEDS[what](self, action)
        return {}

    def infile(self, action: dict[str, Any]) -> list[Result]:
        path = self.given.infile + (".missing" if action.get("missing") else "")
        return self.query(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {action['table']}", [])

    def reopen(self, login: Login) -> None:
        self.close()
        self.login = login
        self.open(login)

    def logins(self, count: int) -> int:
        for _ in range(count):
            self.reopen(self.login)
            self.query("SELECT 1", [])
        return count

    def _cancel(self, sql: str) -> Result:
        cancel = self.canceller()
        cancelled_at: list[float] = []
        faults: list[str] = []

        def soon() -> None:
            time.sleep(LET_IT_START)
            cancelled_at.append(time.monotonic())
            try:
                cancel()
            except Exception as exc:
                faults.append(f"{type(exc).__name__}: {exc}")

        thread = Thread(target=soon, daemon=True)
        thread.start()
        try:
            result = self.attempt(lambda: {"sets": self.query(sql, [])})
        finally:
            seconds = time.monotonic() - cancelled_at[0] if cancelled_at else -1.0
            thread.join(GIVE_UP)
        return {**result, "faults": faults, "cancelled after": seconds}

    def attempt(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except Unsupported as exc:
            return {"unsupported": str(exc)}
        except Exception as exc:
            return {"error": self.error(exc)}

    def check(self, actions: list[dict[str, Any]]) -> list[Result]:
        """One check, over a connection of its own; a result for each action that was tried."""
        results: list[Result] = []
        self.login = dict(self.given.login)
        opened = self.attempt(lambda: self.open(self.login) or {})  # type: ignore[func-returns-value]
        if opened:
            return [{"login": opened}]
        for action in actions:
            results.append(self.attempt(lambda action=action: self.perform(action)))  # type: ignore[misc]
            if "unsupported" in results[-1] or ("error" in results[-1] and not action["may fail"]):
                break
        self.attempt(lambda: self.close() or {})  # type: ignore[func-returns-value]
        return results


_SETS: dict[str, Callable[[Driver, dict[str, Any]], list[Result]]] = {
    "query": lambda driver, action: driver.query(action["sql"], action["args"]),
    "prepared": lambda driver, action: driver.prepared(action["sql"], action["args"]),
    "multi": lambda driver, action: driver.multi(action["sql"]),
    "call": lambda driver, action: driver.call(action["procedure"], action["args"]),
    "stream": lambda driver, action: driver.stream(action["sql"]),
    "infile": lambda driver, action: driver.infile(action),
}
_VALUES: dict[str, Callable[[Driver, dict[str, Any]], Any]] = {
    "logins": lambda driver, action: driver.logins(action["count"]),
    "info": lambda driver, _: driver.info(),
    "warnings": lambda driver, _: driver.warnings(),
    "mapper": lambda driver, _: driver.mapper(),
}
_DEEDS: dict[str, Callable[[Driver, dict[str, Any]], None]] = {
    "connect": lambda driver, action: driver.reopen({**driver.given.login, **action["changes"]}),
    "reconnect": lambda driver, _: driver.reopen(driver.login),
    "change user": lambda driver, action: driver.change_user(
        {**driver.given.other, **({"password": action["password"]} if "password" in action else {})}
    ),
    "begin": lambda driver, _: driver.begin(),
    "commit": lambda driver, _: driver.commit(),
    "rollback": lambda driver, _: driver.rollback(),
    "reset": lambda driver, _: driver.reset(),
    "sleep": lambda _, action: time.sleep(action["seconds"]),
}


def main(drivers: dict[str, type[Driver]]) -> None:
    """The program: the driver's name is the argument."""
    warnings.simplefilter("ignore")
    driver = drivers[sys.argv[1]](Input(**json.load(sys.stdin)))
    for check in driver.given.checks:
        started = time.monotonic()
        results = driver.check(check["actions"])
        line = {"check": check["name"], "results": results, "seconds": round(time.monotonic() - started, 3)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


__all__ = ["Driver", "Input", "Login", "Result", "Unsupported", "arguments", "main", "shown"]
