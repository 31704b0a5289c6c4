"""Puts the demo together: embedded RDS, proxy, one login through both, and the lines that say how to connect."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from mysql_wire.passwords import Verifier

from ..config import Account, Config, Listener, Target
from ..connect_help import connect_lines
from ..endpoint import Address
from ..local_password import random_password
from ..server import new_event_loop, serve
from .rds import DB_USER, EmbeddedRDS
from .token_check import Keys

USER = "demo"
FIRST_PORT = 3306

_TARGET = "demo"
_PROFILE = "rds-iam-proxy-demo"
_DRAIN_TIMEOUT = 2.0  # seconds; nothing here is worth waiting for
_LOGIN_TIMEOUT = 15  # seconds; above the proxy's own, so that its ERR is what is seen


@dataclass(frozen=True, slots=True)
class Proof:
    """What a login through the proxy has shown."""

    current_user: str
    version: str
    customers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Running:
    rds: EmbeddedRDS
    proxy: Address
    password: str = field(repr=False)


def run(listen: Address | None, *, once: bool) -> int:
    """As the package's `run`."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_run(listen, once))


async def _run(listen: Address | None, once: bool) -> int:
    async with EmbeddedRDS() as rds:
        with _aws_files(rds.keys):
            password = random_password()
            return await _run_proxy(_config(rds, listen or _first_free(), password), rds, password, once)


async def _run_proxy(config: Config, rds: EmbeddedRDS, password: str, once: bool) -> int:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[tuple[Address, ...]] = loop.create_future()
    serving = asyncio.create_task(serve(config, on_ready=ready.set_result))
    either: set[asyncio.Future[Any]] = {serving, ready}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        return await serving  # raises what kept it from starting
    running = _Running(rds, ready.result()[0], password)
    try:
        proven = await _prove(running)
        if proven and not once:
            _say(_how_to_connect(running))
            return await serving
        return 0 if proven else 1
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def _prove(running: _Running) -> bool:
    try:
        proof = await asyncio.to_thread(log_in, running.proxy, running.password)
    except (pymysql.MySQLError, OSError) as exc:
        sys.stderr.write(f"The login through the proxy failed: {exc}\n")
        return False
    _say(_what_was_proven(running, proof))
    return True


def log_in(proxy: Address, password: str) -> Proof:
    """Log in with PyMySQL as any old client would, without TLS and without a clear-text plugin. It blocks."""
    connection: Any = pymysql.connect(
        host=proxy.host,
        port=proxy.port,
        user=USER,
        password=password,
        database="shop",
        ssl_disabled=True,
        connect_timeout=_LOGIN_TIMEOUT,
        read_timeout=_LOGIN_TIMEOUT,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER(), VERSION()")
            current_user, version = cursor.fetchone()
            cursor.execute("SELECT name FROM customers ORDER BY id")
            return Proof(current_user, version, tuple(name for (name,) in cursor.fetchall()))
    finally:
        connection.close()


def _config(rds: EmbeddedRDS, listen: Address, password: str) -> Config:
    target = Target(
        name=_TARGET,
        address=rds.endpoint,
        dial=rds.address,
        region=rds.region,
        profile=_PROFILE,
        ca_file=rds.ca_file,
    )
    account = Account(user=USER, verifiers=(Verifier.of(password.encode()),), db_user=DB_USER)
    return Config(
        targets={_TARGET: target},
        listeners=(Listener(listen, _TARGET),),
        accounts=(account,),
        drain_timeout=_DRAIN_TIMEOUT,
    )


@contextmanager
def _aws_files(keys: Keys) -> Iterator[None]:
    """Let boto3 find the throw-away keys, and nothing of the user's own.

    A profile is all that a target can name, and boto3 looks for its files where the environment says; this process
    is the demo's own.
    """
    names = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-") as folder:
        credentials = Path(folder) / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(
            f"[{_PROFILE}]\naws_access_key_id = {keys.access_key}\n"
            f"aws_secret_access_key = {keys.secret_key}\naws_session_token = {keys.session_token}\n"
        )
        config = Path(folder) / "config"
        config.touch()
        os.environ.update(AWS_SHARED_CREDENTIALS_FILE=str(credentials), AWS_CONFIG_FILE=str(config))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _first_free() -> Address:
    """127.0.0.1 and the first port from 3306 on that nobody listens on; any free port if many are taken."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as sock, suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return Address("127.0.0.1", port)
    return Address("127.0.0.1", 0)


def _what_was_proven(running: _Running, proof: Proof) -> str:
    rds = running.rds
    return f"""
The embedded RDS listens on {rds.address} and plays {rds.endpoint}.
It takes nothing but TLS and an IAM token signed with keys that were made for this run.

The proxy listens on {running.proxy}. A login through it as '{USER}' with a plain MySQL password gave:

  CURRENT_USER()   {proof.current_user}
  VERSION()        {proof.version}
  shop.customers   {len(proof.customers)} rows: {", ".join(proof.customers)}

Logins with an IAM token that the embedded RDS has accepted so far: {rds.accepted}; refused: {rds.refused}.
"""


def _how_to_connect(running: _Running) -> str:
    lines = "".join(f"  {line}\n" for line in connect_lines(running.proxy, USER))
    return f"""
To connect:

{lines}
  User       {USER}
  Password   {running.password}   (made for this run)

The mariadb CLI from 11.4 on needs --skip-ssl as well. The sample tables are in the database `shop`.
Ctrl-C ends the demo.
"""


def _say(text: str) -> None:
    encoding = sys.stdout.encoding  # may be one that has not all the letters of the sample data
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
