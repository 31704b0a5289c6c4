"""The proxy as users run it: a process of its own, its log, and clients that know nothing of IAM."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pymysql
from pymysql.connections import Connection

from servers.settings import AccessKey

PASSWORD = "correct horse battery staple"
USER = "legacy_app"
START_SECONDS = 60.0
"""It takes half a second; on a machine with fifty times the work that it can do, half a minute was seen."""

STOP_SECONDS = 60.0
"""A session that is busy at a stop may go on for half a minute."""
ROOT = Path(__file__).resolve().parents[2]
MODULE = ("-m", "rds_iam_proxy")


class Target(Protocol):
    """What a configuration needs to know of a server; a RealServer is one."""

    @property
    def endpoint(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def ca_file(self) -> Path: ...


@dataclass
class RunningProxy:
    """A started `rds-iam-proxy serve`."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    log_path: Path
    host: str
    port: int
    password: str = PASSWORD

    def connect(self, **options: Any) -> "Connection[Any]":
        """A plain login: no TLS, no cleartext plugin, a fixed password."""
        settings: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": USER,
            "password": self.password,
            "ssl_disabled": True,
            "connect_timeout": 20,
        }
        return pymysql.connect(**{**settings, **options})

    def log_text(self) -> str:
        return self.log_path.read_text()

    def log_position(self) -> int:
        """How long the log is now."""
        return self.log_path.stat().st_size

    def events(self, name: str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
        """The log's lines so far, from a `log_position` on."""
        text = self.log_path.read_bytes()[since:].decode()
        whole = text[: text.rfind("\n") + 1]  # a line may be half written
        events = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [entry for entry in events if name is None or entry["event"] == name]

    def wait_for(self, name: str, *, count: int = 1, seconds: float = START_SECONDS, since: int = 0) -> dict[str, Any]:
        """The log line of this name, once there are `count`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(found := self.events(name, since=since)) >= count:
                return found[count - 1]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {name!r} in the log:\n{self.log_text()}")

    def wait_for_session_end(self, connection_id: int, *, since: int = 0) -> dict[str, Any]:
        """The line of the session with this id of ours."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self.events("session ended", since=since):
                if line["id"] == connection_id:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"session {connection_id} has not ended:\n{self.log_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def clean_environment(home: Path, key: AccessKey | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the machine's own AWS configuration gets in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RDS_IAM_"))}
    environment |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "AWS_CONFIG_FILE": str(home / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "proxy"), str(ROOT / "protocol")]),
        "PYTHONWARNINGS": "default",
        "LEGACY_APP_PASSWORD": PASSWORD,
    }
    return environment | (key.environment() if key else {}) | dict(extra or {})


def config_text(server: Target, *, target: str = "", extra: str = "") -> str:
    """A configuration with one target, one listener on a free port, one account."""
    return f"""
[targets.shop]
endpoint = "{server.endpoint}"
dial = "{server.host}:{server.port}"
ca_file = "{server.ca_file}"
{target}
[[listeners]]
bind = "127.0.0.1:0"
target = "shop"
[[accounts]]
user = "{USER}"
password_env = "LEGACY_APP_PASSWORD"
db_user = "user_batch"
{extra}
[log]
format = "json"
level = "debug"
"""


def serve_command(*, dev_mode: bool = True) -> list[str]:
    """The beginning of the command line; the development mode shows what was not closed or awaited, and is slow."""
    return [sys.executable, *(("-X", "dev") if dev_mode else ()), *MODULE, "serve"]


@contextlib.contextmanager
def start_proxy(
    config: str,
    *,
    key: AccessKey | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    home: Path | None = None,
    on_asyncio: bool = False,
    dev_mode: bool = True,
    wrapper: Sequence[str] = (),
) -> Iterator[RunningProxy]:
    """Run `serve --config` until the context ends; the process must have ended by then or is ended.

    `wrapper`: the beginning of a command that becomes the proxy.
    """
    with tempfile.TemporaryDirectory(prefix="rip-") as folder:
        config_path = Path(folder) / "proxy.toml"
        config_path.write_text(config)
        with start_serve(
            ["--config", str(config_path)],
            key=key,
            environment=environment,
            descriptors=descriptors,
            home=home,
            on_asyncio=on_asyncio,
            dev_mode=dev_mode,
            wrapper=wrapper,
        ) as proxy:
            yield proxy


@contextlib.contextmanager
def start_serve(
    arguments: Sequence[str],
    *,
    key: AccessKey | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    home: Path | None = None,
    on_asyncio: bool = False,
    dev_mode: bool = True,
    wrapper: Sequence[str] = (),
) -> Iterator[RunningProxy]:
    """Run `serve` with these arguments, with a log of JSON lines and one listener on a free port."""
    with tempfile.TemporaryDirectory(prefix="rip-") as folder:
        log_path = Path(folder) / "proxy.log"
        command = [*wrapper, *serve_command(dev_mode=dev_mode), *arguments]
        if descriptors is not None:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", *command]
        variables = clean_environment(home or Path(folder), key, environment)
        if on_asyncio:
            hidden = without_uvloop(Path(folder))
            variables["PYTHONPATH"] = os.pathsep.join([str(hidden), variables["PYTHONPATH"]])
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        proxy = RunningProxy(process, log_path, "127.0.0.1", 0)
        try:
            proxy.port = int(proxy.wait_for("listening")["address"].rpartition(":")[2])
            yield proxy
        finally:
            process.kill()
            process.wait()


def without_uvloop(folder: Path) -> Path:
    """A folder that hides uvloop, as on a machine that does not have it."""
    hidden = folder / "without-uvloop"
    hidden.mkdir()
    (hidden / "uvloop.py").write_text("raise ImportError('hidden by a test')\n")
    return hidden
