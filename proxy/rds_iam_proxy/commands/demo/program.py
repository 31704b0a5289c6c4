"""Puts the demo together: embedded RDS, proxy, one login through both, one refused, and how to connect."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from pg_wire.scram import salt_for

from ...config import SALT_SECRET, Account, Admin, Config, Engine, Listener, Target
from ...config.password import PasswordHash, random_password
from ...config.values import ENGINE_PORTS
from ...errors.tree import ConfigError
from ...logs import setup, takes_colours
from ...net.address import Address
from ..connect_lines import connect_lines
from ..serve import new_event_loop, serve
from ..status_client import NoAnswer, wait_until_ready
from .token_check import Keys

USER = "demo"
FIRST_ADMIN_PORT = 9090

OTHER_DEMOS = 20
"""So many may take the free port that was found before it is listened on."""

READY_SECONDS = 30.0
"""For the proxy's own first login: a slow machine may take longer to load boto3 than a client's login may wait."""

_TARGET = "demo"
_PROFILE = "rds-iam-proxy-demo"
_DRAIN_SECONDS = 2.0
"""Nothing here is worth waiting for."""


@dataclass(frozen=True, slots=True)
class _Play:
    """One kind of database: what plays it, and how a login through the proxy is proved."""

    rds: Callable[[], AbstractAsyncContextManager[Any]]
    db_user: str
    log_in: Callable[[Address, str], tuple[str, str, int]]
    """As any old client would, without TLS: user, version, rows. It blocks."""
    connect: Callable[[Address, str], Any]
    """The same, until it is closed."""
    failures: tuple[type[Exception], ...]
    who: str
    version: str
    """What was asked."""


def run(listen: Address | None, *, once: bool, engine: Engine = "mysql") -> int:
    """As the package's `run`."""
    with (
        tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-") as folder,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        setup(level="error")  # what it shows is said in words below
        for _ in range(OTHER_DEMOS):
            chosen = listen or _first_free(ENGINE_PORTS[engine]), _first_free(FIRST_ADMIN_PORT)
            try:
                return runner.run(_run(*chosen, Path(folder), once, engine))
            except ConfigError:
                if chosen[1] == _first_free(FIRST_ADMIN_PORT):
                    raise  # else another demo was quicker
        raise ConfigError(["too many demos start at once"])


async def _run(listen: Address, page: Address, folder: Path, once: bool, engine: Engine) -> int:
    password = random_password()
    play = _postgres() if engine == "postgres" else _mysql()
    async with play.rds() as rds:
        _point_to(folder, rds.keys)
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        config = _config(rds, (listen, page), password, play.db_user, engine)
        kept = ExitStack()  # for the session on the page, which the drain would wait for as for anybody's
        serving = asyncio.create_task(
            serve(config, on_ready=lambda addresses: ready.set_result(addresses[0]), on_stopping=kept.close)
        )
        either: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not ready.done():
                return await serving  # raises what kept it from starting
            proxy: Address = ready.result()
            with suppress(NoAnswer):  # why not is told by the login below
                await asyncio.to_thread(wait_until_ready, page, READY_SECONDS)
            if not await _prove(rds, proxy, password, play):
                return 1
            if once:
                return 0
            kept.enter_context(closing(await asyncio.to_thread(_on_the_page, play, proxy, password)))
            setup(in_colour=takes_colours(os.environ))  # from here on it is for what whoever tries it does
            _say(_how_to_connect(proxy, page, password, engine))
            return await serving
        finally:
            kept.close()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


async def _prove(rds: Any, proxy: Address, password: str, play: _Play) -> bool:
    try:
        user, version, customers = await asyncio.to_thread(play.log_in, proxy, password)
    except play.failures as exc:
        sys.stderr.write(f"The login through the proxy failed: {exc}\n")
        return False
    _say(f"""
The embedded RDS listens on {rds.address} and plays {rds.endpoint}.
It takes nothing but TLS and an IAM token signed with keys that were made for this run.

The proxy listens on {proxy}. A login through it as '{USER}' with a plain password gave:

  {play.who:<14}   {user}
  {play.version:<14}   {version}
  shop.customers   {customers} rows

Logins with an IAM token that the embedded RDS has accepted so far: {rds.accepted}; refused: {rds.refused}.
""")
    return True


def _mysql() -> _Play:
    from .rds import DB_USER, EmbeddedRDS

    return _Play(EmbeddedRDS, DB_USER, _log_in, _connect, (OSError, pymysql.MySQLError), "CURRENT_USER()", "VERSION()")


def _postgres() -> _Play:
    from .postgres import client
    from .postgres.rds import DB_USER, EmbeddedPostgres

    def log_in(proxy: Address, password: str) -> tuple[str, str, int]:
        return client.log_in(proxy, USER, password)

    def connect(proxy: Address, password: str) -> Any:
        return client.connect(proxy, USER, password)

    return _Play(
        EmbeddedPostgres, DB_USER, log_in, connect, (OSError, client.LoginFailed), "current_user", "server_version"
    )


def _log_in(proxy: Address, password: str) -> tuple[str, str, int]:
    connection = _connect(proxy, password)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), VERSION()")
        user, version = cursor.fetchone()
        return user, version, cursor.execute("SELECT * FROM customers")


def _on_the_page(play: _Play, proxy: Address, password: str) -> Any:
    """What is to be seen there: a session that stays, and a login that is refused. It blocks."""
    with suppress(*play.failures):
        play.connect(proxy, "not the password of it").close()
    return play.connect(proxy, password)


def _connect(proxy: Address, password: str) -> Any:
    """As any old client would, without TLS and without a clear-text plugin. Raises MySQLError, OSError."""
    return pymysql.connect(
        host=proxy.host,
        port=proxy.port,
        user=USER,
        password=password,
        database="shop",
        ssl_disabled=True,
        program_name="demo's own",
    )


def _config(rds: Any, places: tuple[Address, Address], password: str, db_user: str, engine: Engine) -> Config:
    """`places`: for clients, and for the status page."""
    listen, page = places
    target = Target(
        name=_TARGET,
        address=rds.endpoint,
        dial=rds.address,
        region=rds.region,
        engine=engine,
        profile=_PROFILE,
        ca_file=rds.ca_file,
    )
    hashes = PasswordHash.of(password.encode(), salt_for(SALT_SECRET, USER.encode()))
    verifiers = () if hashes.mysql is None else (hashes.mysql,)
    account = Account(user=USER, verifiers=verifiers, db_user=db_user, scram=hashes.scram, database="shop")
    return Config(
        targets={_TARGET: target},
        listeners=(Listener(listen, _TARGET),),
        accounts=(account,),
        drain_timeout=_DRAIN_SECONDS,
        admin=Admin(page),
    )


def _point_to(folder: Path, keys: Keys) -> None:
    """Let boto3 find the throw-away keys and nothing of the user's own, and keep the demo's own files together.

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
    os.environ["XDG_STATE_HOME"] = str(folder / "state")


def _first_free(first: int) -> Address:
    """127.0.0.1 and the first port from this one on that nobody listens on; any free port if many are taken."""
    for port in range(first, first + 100):
        with socket.socket() as sock, suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return Address("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return Address("127.0.0.1", sock.getsockname()[1])


def _how_to_connect(proxy: Address, page: Address, password: str, engine: Engine) -> str:
    lines = "".join(f"  {line.replace('=DB', '=shop')}\n" for line in connect_lines(proxy, USER, engine))
    return f"""
To connect:

{lines}
  User       {USER}
  Password   {password}   (made for this run)

The status page is http://{page}/ . It shows one session, which the demo keeps open, and one refused login
(a wrong password) with its cause and what to do.

The sample tables are in the database `shop`. Ctrl-C ends the demo.
"""


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
