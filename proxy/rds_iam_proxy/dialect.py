"""What the proxy asks of a database's protocol: Protocols, and a frozen value that holds what makes them.

`Front` is a client's conversation, `rds.login.Login` ours with RDS, `Watch` follows a client's commands. mysql/ has one
of each; whatever lies above, and does not choose between them, knows only these. One Dialect hangs on each target.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from .config import Account
from .errors.tree import LoginError
from .front.arrival import Arrival
from .front.shared import Shared
from .net.stream import Stream
from .rds.login import Order, SessionT, SessionT_contra
from .rds.upstream import Upstream

Check = Callable[[], None]
"""To be called when it is our turn to speak: raises LoginError if the login must not go on."""

Bytes = memoryview | bytes | bytearray


@dataclass(frozen=True, slots=True)
class Aside:
    """What a client came for instead of a login, such as to cancel what another session runs."""

    run: Callable[[Upstream], Awaitable[None]]
    """Then the connection is closed, without an answer. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a client is told that it may not come in."""

    packet: bytes
    """Empty: there is nothing that it would understand now."""
    code: int | str
    """The protocol's own, for the log."""


class Front(Protocol[SessionT]):
    """One client's conversation, from its arrival until its commands begin, and again where it logs in once more.

    In this order: `greet`, `read_answer`, then `verify` or `vouch`, `accept`, `order`, `welcome`, and `watch` while
    commands run; after an interruption `again`, and on from `read_answer`. Of RDS nothing is asked here. Coroutines
    raise OSError when the client has left.
    """

    @property
    def user(self) -> bytes:
        """As the client names it; empty before it has."""

    @property
    def program(self) -> str:
        """What the client says it is, fit to be shown; empty if it does not say."""

    async def greet(self, check: Check) -> None:
        """What is said before the client says anything, if the protocol has that. Raises LoginError."""

    async def read_answer(self, check: Check) -> Aside | None:
        """Until the client has sent all that there is to check. Raises LoginError."""

    def verify(self) -> bool:
        """Whether the client has proved that it knows the password of `user`."""

    def vouch(self) -> None:
        """The kernel says who the client is: whatever it answered is right."""

    def denied(self, *, is_known: bool) -> LoginError:
        """Why a client is refused that proved nothing. `is_known`: there is such a user, which it must not learn."""

    async def accept(self) -> None:
        """Tell the client that its password was right, if the protocol does so before RDS is asked."""

    def order(self, account: Account) -> Order[SessionT]:
        """The login at RDS that this client asked for."""

    async def welcome(self, rds: SessionT) -> None:
        """Let the client in: from now on it sends commands. Raises LoginError."""

    def watch(self, rds: SessionT, *, keep_quit: bool) -> AbstractContextManager["Watch"]:
        """Around one relay: follows the commands, and lets clients name the session meanwhile. `keep_quit`: the
        client's farewell is not for RDS, if its session may serve others.
        """

    async def again(self, payload: bytes) -> None:
        """The client logs in once more, by what interrupted the relay. Raises LoginError."""

    def refusal(self, error: LoginError) -> Refusal:
        """For the state that the conversation is in; it is over then."""

    async def stay(self, rds: SessionT) -> bool:
        """Whether a client whose next login is refused stays in the session that it had, which is then as servers
        leave it."""

    def farewell(self, error: LoginError) -> bytes:
        """What a client reads at its next command; empty where the server closes without a word."""


class Watch(Protocol):
    """Follows what a client sends, and what RDS answers where it must."""

    @property
    def broken(self) -> type[Exception]:
        """What `feed` and `more` raise where a client breaks the protocol: the session must end."""

    @property
    def commands(self) -> int:
        """How many began so far."""

    @property
    def watches_answers(self) -> bool:
        """`answered` must be told of what RDS sends."""

    @property
    def awaits_answer(self) -> bool:
        """The last command is one that is answered."""

    @property
    def at_boundary(self) -> bool:
        """No command is half sent, and none is known to run."""

    @property
    def in_transaction(self) -> bool:
        """A transaction is known to be open."""

    @property
    def has_quit(self) -> bool:
        """The last command was the client's farewell."""

    @property
    def kept_quit(self) -> bool:
        """The client's farewell came, and RDS does not hear of it. Nothing may be fed then."""

    @property
    def behind_quit(self) -> int:
        """Bytes that came behind it, which no client sends."""

    @property
    def interrupted(self) -> bytes | None:
        """A command that RDS must not see: the client logs in once more. Nothing may be fed then."""

    @property
    def has_more(self) -> bool:
        """Part of what was fed waits for `more`, which is called once others had their turn; nothing is fed before."""

    def feed(self, data: memoryview) -> Bytes:
        """Bytes from the client → bytes for RDS. What one call does has a bound."""

    def more(self) -> Bytes:
        """The next part of what was fed → bytes for RDS."""

    def answered(self, data: memoryview) -> None:
        """Bytes from RDS."""

    def flush(self) -> bytes:
        """What is held of a command that will not be completed."""


class Taker(Protocol):
    """A client that has taken leave, and may still read what RDS answers it."""

    @property
    def has_left(self) -> bool:
        """It sends no more, and may not read either."""

    async def take(self, data: bytes) -> bool:
        """False: it takes nothing more."""


class Cleaner(Protocol[SessionT_contra]):
    """Makes of a used session one that its next client cannot tell from a new one. `kind`: its order's."""

    async def learn(self, rds: SessionT_contra, kind: Any) -> None:
        """What a session says of itself right after its login; asked once for each kind. Raises Unfit, OSError: it is
        of no use even for its first client.
        """

    async def clean(self, rds: SessionT_contra, kind: Any, client: Taker | None = None) -> None:
        """Or raise Unfit, OSError. What RDS still answered `client` is handed to it."""


@dataclass(frozen=True, slots=True)
class Dialect(Generic[SessionT]):
    """How clients of one target speak, and how its RDS does."""

    name: str
    front: Callable[[Arrival, Shared], Front[SessionT]]
    probe: Callable[[str], Order[SessionT]]
    """A login as this DB user that asks for nothing, to see whether the target answers."""
    has_answered: Callable[[], bool]
    """RDS was heard, over verified TLS: clients can be greeted rightly."""
    tried: Callable[[], None]
    """To be called when a probe failed: nobody need wait for what it would have learnt."""
    version: Callable[[], str]
    """RDS's, fit to be shown; empty if it is not known yet."""
    turn_away: Callable[[Stream, LoginError], Awaitable[None]]
    """Tell a client that it cannot even log in, as far as that goes, and close."""
    cleaner: Cleaner[SessionT] | None = None
    """None: used sessions are not lent."""
