"""Puts the demo together: embedded RDS, proxy, one login through both, and the lines that say how to connect."""

import asyncio
import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql

from mysql_wire.passwords import Verifier

from ...config import Account, Config, Listener, Target
from ...config.password import random_password
from ...net.address import Address
from ..connect_lines import connect_lines
from ..serve import new_event_loop, serve
from .rds import DB_USER, EmbeddedRDS
from .token_check import Keys

USER = "demo"
FIRST_PORT = 3306

_TARGET = "demo"
_PROFILE = "rds-iam-proxy-demo"
_DRAIN_TIMEOUT = 2.0  # seconds; nothing here is worth waiting for


def run(listen: Address | None, *, once: bool) -> int:
    """As the package's `run`."""
    with (
        tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-") as folder,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        return runner.run(_run(listen or _first_free(), Path(folder), once))


async def _run(listen: Address, folder: Path, once: bool) -> int:
    password = random_password()
    async with EmbeddedRDS() as rds:
        _point_to(folder, rds.keys)
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        config = _config(rds, listen, password)
        serving = asyncio.create_task(serve(config, on_ready=lambda addresses: ready.set_result(addresses[0])))
        either: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not ready.done():
                return await serving  # raises what kept it from starting
            proxy: Address = ready.result()
            if not await _prove(rds, proxy, password):
                return 1
            if once:
                return 0
            _say(_how_to_connect(proxy, password))
            return await serving
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


async def _prove(rds: EmbeddedRDS, proxy: Address, password: str) -> bool:
    try:
        user, version, customers = await asyncio.to_thread(_log_in, proxy, password)
    except (pymysql.MySQLError, OSError) as exc:
        sys.stderr.write(f"The login through the proxy failed: {exc}\n")
        return False
    _say(f"""
The embedded RDS listens on {rds.address} and plays {rds.endpoint}.
It takes nothing but TLS and an IAM token signed with keys that were made for this run.

The proxy listens on {proxy}. A login through it as '{USER}' with a plain MySQL password gave:

  CURRENT_USER()   {user}
  VERSION()        {version}
  shop.customers   {customers} rows

Logins with an IAM token that the embedded RDS has accepted so far: {rds.accepted}; refused: {rds.refused}.
""")
    return True


def _log_in(proxy: Address, password: str) -> tuple[str, str, int]:
    """Log in as any old client would, without TLS and without a clear-text plugin: user, version, rows. It blocks."""
    connection: Any = pymysql.connect(
        host=proxy.host, port=proxy.port, user=USER, password=password, database="shop", ssl_disabled=True
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), VERSION()")
        user, version = cursor.fetchone()
        return user, version, cursor.execute("SELECT * FROM customers")


def _config(rds: EmbeddedRDS, listen: Address, password: str) -> Config:
    target = Target(
        name=_TARGET, address=rds.endpoint, dial=rds.address, region=rds.region, profile=_PROFILE, ca_file=rds.ca_file
    )
    return Config(
        targets={_TARGET: target},
        listeners=(Listener(listen, _TARGET),),
        accounts=(Account(user=USER, verifiers=(Verifier.of(password.encode()),), db_user=DB_USER),),
        drain_timeout=_DRAIN_TIMEOUT,
    )


def _point_to(folder: Path, keys: Keys) -> None:
    """Let boto3 find the throw-away keys and nothing of the user's own, and keep the demo's greeting out of the cache.

    A profile is all that a target can name, and boto3 looks for it where the environment says; the process is ours.
    """
    (folder / "config").touch()
    (folder / "credentials").write_text(
        f"[{_PROFILE}]\naws_access_key_id = {keys.access_key}\n"
        f"aws_secret_access_key = {keys.secret_key}\naws_session_token = {keys.session_token}\n"
    )
    os.environ["AWS_CONFIG_FILE"] = str(folder / "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(folder / "credentials")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")


def _first_free() -> Address:
    """127.0.0.1 and the first port from 3306 on that nobody listens on; any free port if many are taken."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as sock, suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return Address("127.0.0.1", port)
    return Address("127.0.0.1", 0)


def _how_to_connect(proxy: Address, password: str) -> str:
    lines = "".join(f"  {line}\n" for line in connect_lines(proxy, USER))
    return f"""
To connect:

{lines}
  User       {USER}
  Password   {password}   (made for this run)

The sample tables are in the database `shop`. Ctrl-C ends the demo.
"""


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
