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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..certificates import make_ca, make_server_certificate
from ..endpoint import Address, parse_rds_name
from ..logs import event
from .catalog import check_schema
from .connection import Credentials, LoginEnded, RDSConnection
from .data_types import SQLError
from .functions import Facts
from .login import MAX_LOGIN_PAYLOAD
from .profile import MYSQL_8_4, ServerProfile
from .session import DemoSession
from .token_check import Keys, Reason, TokenCheck, TokenRefused
from .variables import Variables
from .wire import ConnectionClosed, PacketStream

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
    user: str
    accepted: bool
    reason: str  # empty if accepted, else as RDS's log names it
    detail: str
    connection_id: int
    collation: int
    capabilities: int
    mariadb_capabilities: int
    database: bytes | None
    attributes: dict[bytes, bytes] = field(repr=False)


class EmbeddedRDS:
    """Start it, log in at `address` with tokens for `endpoint` signed with `keys`, close it."""

    def __init__(
        self,
        *,
        endpoint: Address = ENDPOINT,
        users: frozenset[str] = frozenset({DB_USER}),
        profile: ServerProfile = MYSQL_8_4,
        keys: Keys | None = None,
        certificate_names: tuple[str, ...] | None = None,
        refuse: Callable[[str], Refusal | None] | None = None,
        max_connections: int = 1000,
        login_timeout: float = 10.0,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = parse_rds_name(endpoint.host)
        if name is None or name.region is None:
            raise ValueError(f"endpoint: {endpoint.host} is no RDS name with a region")
        self.endpoint = endpoint
        self.region = name.region
        self.users = users
        self.profile = profile  # may be replaced at any time: the next greeting shows it, as after an upgrade
        self.keys = keys or Keys.throw_away()  # may be replaced at any time
        self.refuse = refuse
        self.logins: list[LoginRecord] = []
        self.connections = 0  # accepted so far
        self.interrupted = 0  # connections that ended before a decision: what counts towards max_connect_errors
        self._certificate_names = certificate_names or (endpoint.host,)
        self._max_connections = max_connections
        self._login_timeout = login_timeout
        self._now = now
        self._clock = clock
        self._ids = itertools.count(8)
        self._live: dict[int, tuple[PacketStream, DemoSession]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._address: Address | None = None
        self._tls: ssl.SSLContext
        self.ca_pem = b""

    @property
    def address(self) -> Address:
        """Where it listens."""
        if self._address is None:
            raise RuntimeError("the embedded RDS is not started")
        return self._address

    @property
    def ca_file(self) -> Path:
        """The CA certificate as a file, until `close`."""
        if self._folder is None:
            raise RuntimeError("the embedded RDS is not started")
        return Path(self._folder.name) / "ca.pem"

    @property
    def accepted(self) -> int:
        return sum(record.accepted for record in self.logins)

    @property
    def refused(self) -> int:
        return sum(not record.accepted for record in self.logins)

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(record.reason for record in self.logins if not record.accepted)

    @property
    def grant_times(self) -> list[float]:
        """When logins were accepted, on the `clock`."""
        return [record.at for record in self.logins if record.accepted]

    @property
    def open_sessions(self) -> int:
        return len(self._live)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError."""
        self._folder = tempfile.TemporaryDirectory(prefix="rds-iam-proxy-demo-")
        try:
            self._make_certificates(Path(self._folder.name))
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=1024)
        except BaseException:
            self._folder.cleanup()
            raise
        self._listener.setblocking(False)
        self._address = Address(host, self._listener.getsockname()[1])
        self._accepting = asyncio.create_task(self._accept(self._listener))

    async def close(self) -> None:
        """Stop listening, cut all sessions off, remove the files."""
        tasks = [*self._tasks, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        if self._folder is not None:
            self._folder.cleanup()

    async def __aenter__(self) -> "EmbeddedRDS":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def kill_all(self) -> None:
        """Cut every session off, as a failover does; new ones are served."""
        for stream, _ in list(self._live.values()):
            stream.abort()

    def _make_certificates(self, folder: Path) -> None:
        ca = make_ca("rds-iam-proxy demo CA", days=7)
        server = make_server_certificate(self._certificate_names, issuer=ca, days=7)
        self.ca_pem = ca.certificate_pem
        (folder / "ca.pem").write_bytes(self.ca_pem)
        pair = folder / "server.pem"  # the ssl module reads from files only; the folder is 0700
        pair.write_bytes(server.private_key_pem + server.certificate_pem)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(pair)
        pair.unlink()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, or the client has gone already
                await asyncio.sleep(0.1)
                continue
            sock.setblocking(False)
            self.connections += 1
            task = asyncio.create_task(self._serve(sock, peer[0]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, peer: str) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = PacketStream(sock, MAX_LOGIN_PAYLOAD)
        decided = len(self._tasks) > self._max_connections
        connection_id = next(self._ids)

        def admit(credentials: Credentials) -> DemoSession:
            nonlocal decided
            decided = True
            return self._admit(credentials, stream, peer, connection_id)

        connection = RDSConnection(stream, self.profile, self._tls, connection_id, admit)
        linger = 0.5
        try:
            if decided:
                await stream.write(b"\xff\x10\x04Too many connections")  # before a greeting: no sqlstate
            else:
                await connection.serve(self._login_timeout)
        except (ConnectionClosed, LoginEnded, TimeoutError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            linger = 0.0
            raise
        except Exception as exc:
            event(log, logging.ERROR, "internal error in the embedded RDS", exception=exc, connection=connection_id)
        finally:
            self.interrupted += not decided
            self._live.pop(connection_id, None)
            await stream.close(linger)

    def _admit(self, credentials: Credentials, stream: PacketStream, peer: str, connection_id: int) -> DemoSession:
        """Decide over a login, and record it; raises SQLError."""
        client = credentials.login
        user = client.user.decode("utf-8", "replace")
        reason = detail = ""
        using = "YES" if credentials.token else "NO"
        refusal = SQLError(1045, "28000", f"Access denied for user '{user}'@'{peer}' (using password: {using})")
        database = client.database.decode("utf-8", "replace") if client.database else None
        try:
            self._check(user, credentials.token)
            hooked = self.refuse(user) if self.refuse else None
            if hooked is not None:
                reason, refusal = hooked.reason, SQLError(hooked.code, hooked.sqlstate, hooked.text)
            elif database is not None:
                database = check_schema(database)
        except TokenRefused as exc:
            reason, detail = exc.reason.value, exc.detail
        except SQLError as exc:
            reason, refusal = "UnknownDatabase", exc
        self.logins.append(
            LoginRecord(
                at=self._clock(),
                user=user,
                accepted=not reason,
                reason=reason,
                detail=detail,
                connection_id=connection_id,
                collation=client.collation,
                capabilities=client.capabilities,
                mariadb_capabilities=client.mariadb_capabilities,
                database=client.database,
                attributes=client.attributes,
            )
        )
        if reason:
            raise refusal
        facts = Facts(connection_id, user, peer, self.profile, Variables(self.profile), database)
        session = DemoSession(facts, self._kill, cipher=stream.cipher, tls_version=stream.tls_version)
        self._live[connection_id] = (stream, session)
        return session

    def _check(self, user: str, token: bytes) -> None:
        if user not in self.users:
            raise TokenRefused(Reason.NOT_AUTHORIZED, "no such DB user")
        TokenCheck(str(self.endpoint), self.region, self.keys, self._now).check(token, user)

    def _kill(self, connection_id: int, user: str, query_only: bool) -> None:
        found = self._live.get(connection_id)
        if found is None:
            raise SQLError(1094, "HY000", f"Unknown thread id: {connection_id}")
        stream, session = found
        if session.user != user:
            raise SQLError(1095, "HY000", f"You are not owner of thread {connection_id}")
        if not query_only:
            session.closing = True
        if not session.interrupt() and not query_only:
            stream.abort()
