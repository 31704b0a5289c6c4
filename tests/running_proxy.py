"""The proxy as users run it: a process of its own, its log, and clients that know nothing of IAM."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from servers.real_server import RealServer
from servers.settings import AccessKey

PASSWORD = "correct horse battery staple"
USER = "legacy_app"
START_SECONDS = 20.0
STOP_SECONDS = 15.0
ROOT = Path(__file__).resolve().parent.parent


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

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log's lines so far."""
        events = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [entry for entry in events if name is None or entry["event"] == name]

    def wait_for(self, name: str, *, count: int = 1, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The log line of this name, once there are `count`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(found := self.events(name)) >= count:
                return found[count - 1]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {name!r} in the log:\n{self.log_text()}")

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


def config_text(server: RealServer, *, target: str = "", extra: str = "") -> str:
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


@contextlib.contextmanager
def start_proxy(
    config: str,
    *,
    key: AccessKey | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    home: Path | None = None,
    on_asyncio: bool = False,
) -> Iterator[RunningProxy]:
    """Run `serve --config` until the context ends; the process must have ended by then or is ended."""
    with tempfile.TemporaryDirectory(prefix="rip-") as folder:
        home = home or Path(folder)
        config_path, log_path = Path(folder) / "proxy.toml", Path(folder) / "proxy.log"
        config_path.write_text(config)
        command = [sys.executable, "-X", "dev", "-m", "rds_iam_proxy", "serve", "--config", str(config_path)]
        if descriptors is not None:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", *command]
        variables = clean_environment(home, key, environment)
        if on_asyncio:
            variables["PYTHONPATH"] += os.pathsep + str(_without_uvloop(Path(folder)))
            variables["PYTHONPATH"] = os.pathsep.join(reversed(variables["PYTHONPATH"].split(os.pathsep)))
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        proxy = RunningProxy(process, log_path, "127.0.0.1", 0)
        try:
            proxy.port = int(proxy.wait_for("listening")["address"].rpartition(":")[2])
            yield proxy
        finally:
            process.kill()
            process.wait()


def _without_uvloop(folder: Path) -> Path:
    """A folder that hides uvloop, as on a machine that does not have it."""
    hidden = folder / "without-uvloop"
    hidden.mkdir()
    (hidden / "uvloop.py").write_text("raise ImportError('hidden by a test')\n")
    return hidden
