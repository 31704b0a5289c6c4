"""The embedded RDS: an accept loop, TLS with a CA of its own, and logins with IAM tokens only.

For `demo` and for tests that need no real server. Runs on the loop that starts it; it is no database, and its keys,
CA and data are made when it starts and gone when it closes.
"""

import asyncio
import itertools
import logging
import socket
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mysql_wire.errors import RemoteProtocolError
from mysql_wire.handshake import LoginRequest
from mysql_wire.packet import Sequence
from mysql_wire.reply import OKPacket

from ...aws.names import parse_rds_name
from ...logs import event
from ...net.address import Address
from ...net.stream import Stream
from . import variables
from .catalog import Facts, check_schema
from .connection import RDSConnection, receive_login, refusal
from .entrance import accept_all, make_tls
from .profile import MYSQL_8_4, ServerProfile
from .session import DemoSession
from .tables import SQLError
from .token_check import Keys, Reason, TokenCheck, TokenRefused

ENDPOINT = Address("demo.cdemo0000000.us-east-1.rds.amazonaws.com", 3306)
DB_USER = "demo_user"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the `refuse` hook answers to turn a login with a good token down."""

    code: int
    sqlstate: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """One login that came as far as a decision. `at` is on the `clock` of the server, in seconds."""

    at: float
    connection_id: int
    request: LoginRequest
    reason: str = ""  # empty if accepted, else as RDS's log names it
    detail: str = ""

    @property
    def accepted(self) -> bool:
        return not self.reason


@dataclass(kw_only=True, eq=False)
class EmbeddedRDS:
    """Start it, log in at `address` with tokens for `endpoint` signed with `keys`, close it.

    `profile`, `keys` and `refuse` may be replaced at any time: the next login sees it.
    """

    endpoint: Address = ENDPOINT
    users: frozenset[str] = frozenset({DB_USER})
    profile: ServerProfile = MYSQL_8_4
    keys: Keys = field(default_factory=Keys.throw_away)
    refuse: Callable[[str], Refusal | None] = lambda _user: None
    login_timeout: float = 10.0  # seconds
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    logins: list[LoginRecord] = field(default_factory=list, init=False)
    interrupted: int = field(default=0, init=False)  # ended before a decision: what counts towards max_connect_errors

    def __post_init__(self) -> None:
        name = parse_rds_name(self.endpoint.host)
        if name is None or name.region is None:
            raise ValueError(f"endpoint: {self.endpoint.host} is no RDS name with a region")
        self.region: str = name.region
        self.address: Address  # where it listens, once it is started
        self.ca_file: Path  # until `close`
        self._ids = itertools.count(8)
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by connection id; 0 is the accept loop
        self._sessions: dict[int, DemoSession] = {}
        self._folder: tempfile.TemporaryDirectory[str]

    @property
    def accepted(self) -> int:
        return sum(record.accepted for record in self.logins)

    @property
    def refused(self) -> int:
        return len(self.logins) - self.accepted

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(record.reason for record in self.logins if not record.accepted)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError."""
        listener = socket.create_server((host, port), backlog=1024)
        listener.setblocking(False)
        self.address = Address(host, listener.getsockname()[1])
        self._folder = tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        tls = make_tls(self.endpoint.host, self.ca_file)

        def serve(stream: Stream, peer: tuple[str, int]) -> None:
            connection_id = next(self._ids)
            self._spawn(connection_id, self._serve(stream, peer[0], tls, connection_id))

        self._spawn(0, accept_all(listener, serve))

    async def close(self) -> None:
        """Stop listening, cut all sessions off, remove the files."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._folder.cleanup()

    async def __aenter__(self) -> "EmbeddedRDS":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _spawn(self, number: int, coroutine: Coroutine[None, None, None]) -> None:
        task = self._tasks[number] = asyncio.create_task(coroutine)
        task.add_done_callback(lambda _: self._tasks.pop(number))

    async def _serve(self, stream: Stream, peer: str, tls: ssl.SSLContext, connection_id: int) -> None:
        sequence = Sequence()
        try:
            async with asyncio.timeout(self.login_timeout):
                try:
                    request, token = await receive_login(stream, sequence, self.profile, tls, connection_id)
                except BaseException:
                    self.interrupted += 1
                    raise
                facts = self._admit(request, token, peer, connection_id)
                facts.cipher = str((stream.tls.cipher() or [""])[0]) if stream.tls else ""
                session = self._sessions[connection_id] = DemoSession(facts, self._kill)
                await stream.write(sequence.frame(OKPacket(session.status).encode(request.capabilities)))
            # Reached after a successful login only: every other way leads to an exception.
            await RDSConnection(stream, session, request).command_phase()
            await stream.finish()
        except SQLError as exc:
            await _hang_up(stream, sequence, exc)
        except RemoteProtocolError as exc:
            await _hang_up(stream, sequence, refusal(exc))
        except OSError:  # TimeoutError is one
            pass
        except Exception as exc:
            event(log, logging.ERROR, "internal error in the embedded RDS", exception=exc, connection=connection_id)
        finally:
            self._sessions.pop(connection_id, None)
            stream.close()

    def _admit(self, request: LoginRequest, token: bytes, peer: str, connection_id: int) -> Facts:
        """Decide over a login, and record it; raises SQLError."""
        user = request.user.decode("utf-8", "replace")
        database = request.database.decode("utf-8", "replace") if request.database else None
        refused, reason, detail = None, "", ""
        try:
            if user not in self.users:
                raise TokenRefused(Reason.NOT_AUTHORIZED, "no such DB user")
            TokenCheck(str(self.endpoint), self.region, self.keys, self.now).check(token, user)
            if hooked := self.refuse(user):
                reason, refused = hooked.reason, SQLError(hooked.code, hooked.sqlstate, hooked.text)
            elif database is not None:
                check_schema(database)
        except TokenRefused as exc:
            reason, detail = exc.reason.value, exc.detail
            using = "YES" if token else "NO"
            refused = SQLError(1045, "28000", f"Access denied for user '{user}'@'{peer}' (using password: {using})")
        except SQLError as exc:
            reason, refused = "UnknownDatabase", exc
        self.logins.append(LoginRecord(self.clock(), connection_id, request, reason, detail))
        if refused is not None:
            raise refused
        return Facts(connection_id, user, peer, variables.defaults(self.profile.version), database)

    def _kill(self, connection_id: int, user: str, query_only: bool) -> None:
        session = self._sessions.get(connection_id)
        if session is None:
            raise SQLError(1094, "HY000", f"Unknown thread id: {connection_id}")
        if session.facts.user != user:
            raise SQLError(1095, "HY000", f"You are not owner of thread {connection_id}")
        if query_only:
            session.interrupt()
        else:
            self._tasks[connection_id].cancel()


async def _hang_up(stream: Stream, sequence: Sequence, why: SQLError) -> None:
    with suppress(OSError):
        await stream.write(sequence.frame(why.packet.encode()))
        await stream.finish()
