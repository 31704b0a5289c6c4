"""The embedded RDS for PostgreSQL: an accept loop, TLS with a CA of its own, and logins with IAM tokens only.

For `demo`. Runs on the loop that starts it; it is no database, and its keys, CA and data are gone when it closes.
"""

import asyncio
import itertools
import logging
import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from pg_wire.errors import RemoteProtocolError
from pg_wire.messages import BackendKeyData, CancelRequest, ErrorResponse, ParameterStatus
from pg_wire.scram import Verifier
from pg_wire.server_login import (
    TLS_ACCEPTED,
    Answered,
    Method,
    Offer,
    Requested,
    Send,
    ServerLogin,
    StartTLS,
)

from ....aws.names import parse_rds_name
from ....logs import event
from ....net.address import Address
from ....net.stream import Stream
from ....postgres.events import next_event
from ..entrance import accept_all, make_tls
from ..token_check import Keys, TokenCheck, TokenRefused
from .session import DemoSession
from .statements import VERSION, Facts

ENDPOINT = Address("demo.cdemo0000000.us-east-1.rds.amazonaws.com", 5432)
DB_USER = "demo_user"
DATABASES = ("shop", "postgres")
LOGIN_SECONDS = 10.0

_PARAMETERS = {
    "server_version": VERSION,
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "session_authorization": DB_USER,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _TokenVerifier(Verifier):
    """A password in clear is right if it is a token that is."""

    is_right: Callable[[bytes], bool] = field(kw_only=True, repr=False)

    def fits(self, password: bytes) -> bool:
        return self.is_right(password)


class _NotLetIn(Exception):
    """With the SQLSTATE, after AuthenticationOk or before."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@dataclass(kw_only=True, eq=False)
class EmbeddedPostgres:
    """Start it, log in at `address` with tokens for `endpoint` signed with `keys`, close it."""

    endpoint: Address = ENDPOINT
    keys: Keys = field(default_factory=Keys.throw_away)
    accepted: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        name = parse_rds_name(self.endpoint.host)
        if name is None or name.region is None:
            raise ValueError(f"endpoint: {self.endpoint.host} is no RDS name with a region")
        self.region: str = name.region
        self.address: Address  # where it listens, once it is started
        self.ca_file: Path  # until it is closed
        self._ids = itertools.count(100)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: dict[tuple[int, bytes], DemoSession] = {}
        self._folder: tempfile.TemporaryDirectory[str]

    async def __aenter__(self) -> "EmbeddedPostgres":
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        listener.setblocking(False)
        self.address = Address("127.0.0.1", listener.getsockname()[1])
        self._folder = tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        tls = make_tls(self.endpoint.host, self.ca_file)
        self._spawn(accept_all(listener, lambda stream, _: self._spawn(self._serve(stream, tls))))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: Stream, tls: ssl.SSLContext) -> None:
        login = ServerLogin(
            self._verifier, Offer(tls=True, tls_required=True, method=Method.PASSWORD), nonce=lambda: b"unused"
        )
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                if not await self._authenticate(stream, login, tls):
                    return
                facts = self._admit(login)
                key = BackendKeyData(facts.process_id, secrets.token_bytes(4))
                parameters = b"".join(ParameterStatus(n.encode(), v.encode()).encode() for n, v in _PARAMETERS.items())
                await stream.write(login.welcome(parameters, key))
            session = self._sessions[key.process_id, key.secret_key] = DemoSession(stream, facts)
            try:
                await session.run()
            finally:
                del self._sessions[key.process_id, key.secret_key]
        except _NotLetIn as exc:
            self.refused += 1
            await _hang_up(stream, login, exc.sqlstate, str(exc))
        except RemoteProtocolError as exc:
            await _hang_up(stream, login, exc.sqlstate, str(exc))
        except OSError:  # TimeoutError is one
            pass
        except Exception as exc:
            event(log, logging.ERROR, "internal error in the embedded RDS", exception=exc)
        finally:
            stream.close()

    async def _authenticate(self, stream: Stream, login: ServerLogin, tls: ssl.SSLContext) -> bool:
        """False: it was a request to cancel. Raises _NotLetIn."""
        while True:
            match await next_event(stream, login):
                case CancelRequest(process_id, key):
                    if session := self._sessions.get((process_id, key)):
                        session.cancel()
                    return False
                case StartTLS():
                    await stream.write(TLS_ACCEPTED)
                    await stream.start_tls(tls, server_side=True)
                    login.tls_established()
                case Send(data):
                    await stream.write(data)
                case Requested():
                    await stream.write(login.challenge())
                case Answered():
                    break
        if not login.verify():
            user = "" if login.request is None else login.request.user.decode("utf-8", "replace")
            raise _NotLetIn("28000", f'PAM authentication failed for user "{user}"')
        await stream.write(login.authenticated())
        return True

    def _admit(self, login: ServerLogin) -> Facts:
        """Raises _NotLetIn."""
        database = "" if login.request is None else login.request.database.decode("utf-8", "replace")
        if database not in DATABASES:
            raise _NotLetIn("3D000", f'database "{database}" does not exist')
        self.accepted += 1
        return Facts(DB_USER, database, next(self._ids))

    def _verifier(self, user: bytes) -> Verifier:
        def is_right(token: bytes) -> bool:
            name = user.decode("utf-8", "replace")
            try:
                TokenCheck(str(self.endpoint), self.region, self.keys).check(token, name)
            except TokenRefused:
                return False
            return name == DB_USER

        return _TokenVerifier(b"", 0, (), is_right=is_right)


async def _hang_up(stream: Stream, login: ServerLogin, sqlstate: str, text: str) -> None:
    try:
        async with asyncio.timeout(1.0):
            await stream.write(login.failure(ErrorResponse.fatal(sqlstate, text.encode())))
            await stream.finish()
    except OSError:
        pass
