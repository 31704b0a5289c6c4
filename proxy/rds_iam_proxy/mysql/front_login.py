"""A MySQL client's conversation: greeting, TLS, password, and all but the greeting again at COM_CHANGE_USER."""

import logging
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial

from mysql_wire.commands import CommandScanner
from mysql_wire.constants import NONCE_LENGTH, Command
from mysql_wire.errors import RemoteProtocolError
from mysql_wire.server_login import Answered, Send, ServerLogin, StartTLS

from ..config import Account
from ..dialect import Check, Refusal
from ..errors.tree import Denied, LoginError
from ..front.arrival import Arrival
from ..front.ids import LiveSession
from ..front.shared import Shared
from ..front.tls import CLIENT_TLS, handshake_failure
from ..logs import event, printable
from ..net.sockets import Peer
from ..rds.login import Order
from . import farewells, refusals
from .greeter import Greeter
from .greetings import DEFAULT_IDENTITY
from .kind import kind_of
from .packets import read_packet
from .program_name import attributes_of, client_program
from .rds_login import ASKS_NOTHING, UpstreamSession, order_for

_LETTERS_ONLY = str.maketrans("-_", "xy")

_NOBODY = Account("", (), "")

log = logging.getLogger(__name__)


class MySQLFront:
    """`dialect.Front` for MySQL and MariaDB."""

    def __init__(self, greeter: Greeter, arrival: Arrival, shared: Shared) -> None:
        self.program = ""
        self._greeter = greeter
        self._arrival = arrival
        self._stream = arrival.stream
        self._shared = shared
        self._account = self._ordered = _NOBODY  # who is in, and who is to be
        self._request = ASKS_NOTHING
        self._attributes: Mapping[bytes, bytes] = {}  # the request's, until the client is in
        self._greet_as = DEFAULT_IDENTITY

    @property
    def user(self) -> bytes:
        return self._request.user

    async def greet(self, check: Check) -> None:
        self._greet_as = await self._greeter.greet_as(self._arrival.login_timeout)
        if self._arrival.auth == "native" or self._shared.accounts.native_only(self._arrival.target):
            self._greet_as = self._greet_as.for_old_clients()
        check()
        await self._stream.write(self._login.greeting())

    async def read_answer(self, check: Check) -> None:
        login = self._login
        try:
            while True:
                answer = login.receive(await read_packet(self._stream, login.sequence))
                if not isinstance(answer, StartTLS):
                    check()
                match answer:
                    case Send(packet):
                        await self._stream.write(packet)
                    case StartTLS():
                        await self._start_tls()
                    case Answered():
                        break
        except RemoteProtocolError as exc:
            raise refusals.broken_login(exc) from exc
        self._request = login.request or ASKS_NOTHING
        self._attributes = attributes_of(self._request.attributes)
        self.program = client_program(self._attributes)

    def verify(self) -> bool:
        return self._login.verify()

    def vouch(self) -> None:
        self._login.accept_peer()

    def denied(self, *, is_known: bool) -> LoginError:
        host, using = _host_of(self._arrival.peer), self._login.using_password
        return refusals.access_denied(self.user, host, using_password=using, is_known=is_known)

    async def accept(self) -> None:
        """MySQL has one OK for all of it, which waits for RDS's."""

    def order(self, account: Account) -> Order[UpstreamSession]:
        self._ordered = account
        greeter, request = self._greeter, self._request
        kind = None if greeter.is_rds_proxy else kind_of(request, self._attributes, greeter.identity)
        return order_for(greeter, account.user, account.db_user, request, kind)

    async def welcome(self, rds: UpstreamSession) -> None:
        """With RDS's own OK, unless its kind of server is no longer the one that the client was greeted as."""
        self._greeter.check(rds.identity, self._request, self._greet_as)
        self._account, self._attributes = self._ordered, {}
        tls = self._arrival.tls
        await self._stream.write(self._login.success(rds.ok, fingerprint=None if tls is None else tls.fingerprint))

    @contextmanager
    def watch(self, rds: UpstreamSession, *, keep_quit: bool) -> Iterator[CommandScanner]:
        live, mine = self._shared.live, self._arrival.id
        session = LiveSession(
            self._account.user, self._arrival.target, rds.server, rds.connection_id, on_kill=partial(_killed, rds)
        )
        kill_target = _unchanged if self._greeter.is_rds_proxy else partial(live.kill_target, session)
        scanner = CommandScanner(
            rds.capabilities,
            kill_target,
            self._account.allow_replication,
            keep_quit and not rds.unfit,
            on_refused=self._replication_refused,
        )
        try:
            with live.known(mine, session):
                yield scanner
        finally:
            if scanner.pinned_by is not None:  # also for a client that logs in once more, or is refused that
                rds.unfit = "pinned"

    def _replication_refused(self, command: Command) -> None:
        account, target = self._account.user, self._arrival.target
        text = Denied("replication-refused", command=command.name, account=printable(account), target=target).text
        event(
            log,
            logging.WARNING,
            "replication command refused",
            id=self._arrival.id,
            account=account,
            target=target,
            command=command.name,
            text=text,
        )

    async def again(self, payload: bytes) -> None:
        """COM_CHANGE_USER."""
        last_nonce = self._login.nonce
        self._login = self._new_login()
        try:
            await self._stream.write(self._login.change_user(payload, self._request, last_nonce))
        except RemoteProtocolError as exc:
            raise refusals.broken_login(exc) from exc

    def refusal(self, error: LoginError) -> Refusal:
        err = refusals.err_packet(error)
        packet = self._login.failure(err)
        return Refusal(b"" if error.reason == CLIENT_TLS else packet, err.code)

    async def stay(self, rds: UpstreamSession) -> bool:
        """MariaDB keeps the session when COM_CHANGE_USER is refused, with its state gone, and MySQL ends it."""
        return self._greet_as.is_mariadb and await rds.reset()

    def farewell(self, error: LoginError) -> bytes:
        """MariaDB closes without a word."""
        return b"" if self._greet_as.is_mariadb else farewells.between_commands(error)

    @cached_property
    def _login(self) -> ServerLogin:
        """The one under way: the first is made when it is known as whom to greet, or when that fails."""
        return self._new_login()

    def _new_login(self) -> ServerLogin:
        target, tls = self._arrival.target, self._arrival.tls
        return ServerLogin(
            self._greet_as,
            self._arrival.id,
            lambda user: self._shared.accounts.verifiers(user, target),
            nonce=make_nonce,
            tls=tls is not None,
            tls_required=tls is not None and tls.required,
        )

    async def _start_tls(self) -> None:
        """It is asked for only where it was offered."""
        tls = self._arrival.tls
        if tls is not None:
            try:
                await self._stream.start_tls(tls.context, server_side=True)
            except ssl.SSLError as exc:
                raise handshake_failure(exc) from exc
            self._login.tls_established()


def make_nonce() -> bytes:
    """20 letters and digits: Connector/J reads them as ASCII, and a NUL would end them."""
    return secrets.token_urlsafe(NONCE_LENGTH * 3 // 4).translate(_LETTERS_ONLY).encode()


def _host_of(peer: Peer) -> str:
    return "localhost" if peer.host in ("127.0.0.1", "::1") else peer.host


def _killed(rds: UpstreamSession) -> None:
    rds.unfit = "killed"


def _unchanged(connection_id: int) -> None:
    """KILL passes as it came."""
