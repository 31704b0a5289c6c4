"""This proxy as it is measured: configured as users would, without limits that would be measured instead."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.running_proxy import PASSWORD, ROOT, USER, clean_environment, without_uvloop
from rds_iam_proxy.net.make_certificate import make_server_certificate
from servers.real_server import RealServer

from .process import free_port, started, wait_until_listening

DB_USER = "user_batch"
SERVE = ("-m", "rds_iam_proxy", "serve")
SERVE_PROBED = ("-m", "bench.probed_proxy", "serve")


@dataclass(frozen=True, slots=True)
class ProxyProcess:
    """A proxy that listens on `port`; `folder` holds its files."""

    pid: int
    port: int
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "proxy.log").read_text()


@contextlib.contextmanager
def running_proxy(
    server: RealServer,
    folder: Path,
    *,
    probed: bool = False,
    lends: bool = False,
    on_asyncio: bool = False,
    tables: str = "",
    output: int | None = None,
    level: str = "info",
) -> Iterator[ProxyProcess]:
    """One target, one listener. `probed`: it writes its lags and the phases of its logins to `folder`/probe.

    `lends`: used sessions, to as many clients as there are at once. `on_asyncio`: without uvloop. `tables`: more of the
    configuration. `output`: where its log goes instead; `level`: of that log.
    """
    folder.mkdir(exist_ok=True)
    port = free_port()
    command, environment = prepare(server, folder, port, probed=probed, lends=lends)
    command += ["--log-level", level]
    with (folder / "proxy.toml").open("a") as config:
        config.write(tables)
    if on_asyncio:
        environment["PYTHONPATH"] = f"{without_uvloop(folder)}:{environment['PYTHONPATH']}"
    with started(command, folder / "proxy.log", environment, output=output) as process:
        wait_until_listening(process, port, folder / "proxy.log")
        yield ProxyProcess(process.pid, port, folder)


def prepare(
    server: RealServer, folder: Path, port: int, *, probed: bool = False, lends: bool = False
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a proxy on this port."""
    config = folder / "proxy.toml"
    config.write_text(_config(server, folder, port, lends=lends))
    command = [sys.executable, *(SERVE_PROBED if probed else SERVE), "--config", str(config)]
    environment = clean_environment(folder, server.key, {"BENCH_PROBE": str(folder / "probe")})
    environment["PYTHONPATH"] += f":{ROOT / 'tests'}:{Path(__file__).parent.parent}"
    del environment["PYTHONWARNINGS"]
    return command, environment


def _config(server: RealServer, folder: Path, port: int, *, lends: bool) -> str:
    certificate = make_server_certificate(("127.0.0.1", "localhost"), issuer=server.ca)
    (folder / "cert.pem").write_bytes(certificate.certificate_pem)
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(certificate.private_key_pem)
    return f"""
[targets.shop]
endpoint = "{server.endpoint}"
dial = "{server.host}:{server.port}"
ca_file = "{server.ca_file}"
logins_per_second = 100000
login_burst = 1000
max_sessions = 10000
reuse = {str(lends).lower()}
reuse_max = 16
[[listeners]]
bind = "127.0.0.1:{port}"
target = "shop"
tls_cert = "{folder}/cert.pem"
tls_key = "{folder}/key.pem"
[[accounts]]
user = "{USER}"
password_env = "LEGACY_APP_PASSWORD"
db_user = "{DB_USER}"
[log]
format = "json"
"""


def credentials() -> tuple[str, str]:
    """The user and the password that clients of this proxy use."""
    return USER, PASSWORD
