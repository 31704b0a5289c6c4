"""The store of a fleet's login budgets: one connection to Valkey or Redis, and the one script that runs there.

No answer is asked for twice: a call that is repeated would take slots twice. redis-py is loaded with the first
connection, it is an extra of this package.
"""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..logs import repeats
from ..net.address import Address
from ..threads import in_thread
from .shared_budget import CALL_SECONDS
from .store_place import StorePlace, acl_rule

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection

CONNECT_SECONDS = 2.0
"""TCP, TLS and AUTH together, without the time that signing takes."""

CONNECTION_LIFE_SECONDS = 11 * 3600.0
"""ElastiCache cuts a connection that came by IAM after 12 hours: rather between two calls than in one."""

_LEFT_OUT = "its answer repeats the password and is left out; is it a Redis or Valkey that takes AUTH?"
"""As Redis does with a command that it does not know, or that was renamed."""

_SHOWN, _LOOKED_AT = 200, 1000
"""Characters of a store's own words that are told, and that are searched for the password: it may say any number."""

_REFUSED_IN_SCRIPT = ("can't run this command", "has no permissions to run")
"""How Redis 7.0 and Valkey 8.1 say of a command inside the script what they call NOPERM elsewhere."""

Credentials = Callable[[], Awaitable[tuple[str, str]]]
"""User and password for the next connection. Raises LoginError."""


class StoreError(Exception):
    """The store did not do what it was asked; the text says what to do, and holds no password."""


def keys_of(budget: str) -> tuple[str, str]:
    """The keys of one budget, in one hash slot of a cluster."""
    return f"rds-iam-proxy:{{{budget}}}:slots", f"rds-iam-proxy:{{{budget}}}:members"


@cache
def script() -> str:
    """The text of slots.lua."""
    return resources.files(__package__).joinpath("slots.lua").read_text()


class Store:
    """`connect`, then `call`; after an error `connect` again. For one task."""

    def __init__(
        self, place: StorePlace, credentials: Credentials | None = None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.place = place
        self._credentials = credentials
        self._now = now
        self._address = place.address
        self._context: ssl.SSLContext | None = None
        self._connection: AbstractConnection | None = None
        self._connected_at = 0.0
        self._password = ""  # that was sent last
        self._script = script()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def connect(self) -> bool:
        """Makes one where there is none, or only an old one; True if it is new. Raises StoreError, LoginError."""
        if self._connection is not None:
            if self._now() - self._connected_at < CONNECTION_LIFE_SECONDS:
                return False
            await self.close()
        user, password = self.place.user, self.place.password
        if self._credentials is not None:
            user, password = await self._credentials()
        self._password = password
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._connection = await self._open(user, password)
        except Exception as exc:
            self._address = self.place.address
            raise self._store_error(exc, "connect to") from None
        self._connected_at = self._now()
        return True

    async def call(self, budget: str, arguments: Sequence[str]) -> Sequence[object]:
        """Runs the script. Raises StoreError, and then there is no connection any more."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self._run(budget, arguments)
        except Exception as exc:
            await self.close()
            if not self._follow(exc):
                self._address = self.place.address
            raise self._store_error(exc, "use") from None
        except asyncio.CancelledError:
            await self.close()  # its answer would be taken for that of the next call
            raise

    async def close(self) -> None:
        """Ends the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _open(self, user: str, password: str) -> "AbstractConnection":
        plain, over_tls = await in_thread(_connections, CONNECT_SECONDS, "store-client")
        settings: dict[str, Any] = {
            "host": self._address.host,
            "port": self._address.port,
            "username": user or None,
            "password": password or None,
            # Ours stand around it: with a limit of its own it sends through wait_for, which in Python 3.11 loses a
            # cancellation that comes in the moment of success, and this task would never end.
            "socket_connect_timeout": None,
            "socket_timeout": None,
            "protocol": 2,
            "driver_info": None,  # else CLIENT SETINFO, for which its user would need rights over other connections
        }
        connection: AbstractConnection
        if self.place.tls:
            if self._context is None:
                self._context = await in_thread(partial(_context, self.place.ca_file), CONNECT_SECONDS, "store-ca")
            connection = over_tls(**settings)
            connection.ssl_context.context = self._context  # its own would add a CA file to the system's roots
        else:
            connection = plain(**settings)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _run(self, budget: str, arguments: Sequence[str]) -> Sequence[object]:
        from redis.exceptions import NoScriptError

        rest = ("2", *keys_of(budget), *arguments)
        try:
            return await self._ask("EVALSHA", self._sha, *rest)
        except NoScriptError:  # restarted, failed over, or never seen
            return await self._ask("EVAL", self._script, *rest)

    async def _ask(self, *words: str) -> Sequence[object]:
        if self._connection is None:
            raise StoreError(f"there is no connection to {self.place}")
        await self._connection.send_command(*words)
        answer = await self._connection.read_response()
        if not isinstance(answer, list):
            raise StoreError(f"{self.place} answered {type(answer).__name__} to the script")
        return answer

    def _follow(self, exc: Exception) -> bool:
        """A node of a cluster says which other has the budget's slot: the next connection goes there."""
        from redis.exceptions import MovedError

        if not isinstance(exc, MovedError):
            return False
        there = Address(exc.host or self._address.host, exc.port)
        if not self.place.may_be_at(there):
            return False
        self._address = there
        return True

    def _store_error(self, exc: Exception, doing: str) -> StoreError:
        if isinstance(exc, StoreError):
            return exc
        at = "" if self._address == self.place.address else f" (at {self._address})"
        quotes = repeats(str(exc)[:_LOOKED_AT].encode("utf-8", "replace"), self._password.encode())
        why = _LEFT_OUT if quotes else _reason(exc, self.place)
        return StoreError(f"cannot {doing} the fleet's store {self.place}{at}: {why}")


def _connections() -> "tuple[type[Connection], type[SSLConnection]]":
    """redis-py's, whose import takes a moment the first time."""
    from redis.asyncio.connection import Connection, SSLConnection

    return Connection, SSLConnection


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Not `create_default_context`, which writes the connection's keys to SSLKEYLOGFILE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


def _reason(exc: BaseException, place: StorePlace) -> str:
    """One line for the user; redis-py wraps what happened in its own errors."""
    from redis import exceptions

    inner: BaseException | None = exc
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate is not to be trusted ({inner.verify_message}); see store_ca_file"
        if isinstance(inner, ssl.SSLError):
            return f"no TLS ({inner.reason}); is it a rediss:// port?"
        inner = inner.__cause__ or inner.__context__
    if isinstance(exc, (TimeoutError, exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(exc, exceptions.NoPermissionError) or any(words in str(exc) for words in _REFUSED_IN_SCRIPT):
        return f"its user may not do that; `{acl_rule(place.user)}` suffices"
    if isinstance(exc, exceptions.AuthenticationError):
        return "it refuses user and password; see store_user, store_password_env, store_password_file, store_iam"
    text = "".join(character if character.isprintable() else "?" for character in str(exc)[:_SHOWN])
    return text or type(exc).__name__
