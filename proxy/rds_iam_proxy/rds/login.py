"""What a login at RDS is, whatever the database: its steps, its way there, who asks for it, and what it gives."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from ..aws.clock import TokenClock
from ..aws.tokens import TokenSource
from ..aws.trust import Trust
from ..config import Target
from ..net.dial import Dialler
from ..net.stream import Stream


class Step(StrEnum):
    """What a login waits for, as it reads after "while"."""

    PERMIT = "waiting for its turn"
    CONNECT = "connecting"
    GREETING = "reading the greeting"
    TLS = "starting TLS"
    TOKEN_REQUEST = "waiting for the token request"  # noqa: S105 - says what RDS asks for
    CREDENTIALS = "waiting for AWS credentials"
    VERDICT = "checking the token"
    DONE = "logged in"


OnStep = Callable[[Step], None]
"""Hears when a login begins to wait for something else."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one login gets to RDS: where, whom to trust there, and who signs."""

    target: Target
    trust: Trust
    tokens: TokenSource
    clock: TokenClock
    dialler: Dialler


class RDSSession(Protocol):
    """A session at RDS. Whoever asked for it closes it, any number of times."""

    @property
    def stream(self) -> Stream: ...

    @property
    def server(self) -> tuple[str, int]:
        """The IP address and port that it runs on."""

    @property
    def connection_id(self) -> int:
        """As RDS counts them."""

    async def quit(self) -> None:
        """Take leave as a client does, then close."""

    def leave(self) -> None:
        """The same of a session at rest, at once."""

    def close(self) -> None: ...


SessionT = TypeVar("SessionT", bound=RDSSession)
"""A dialect's own sessions at RDS."""

SessionT_co = TypeVar("SessionT_co", bound=RDSSession, covariant=True)


SessionT_contra = TypeVar("SessionT_contra", bound=RDSSession, contravariant=True)


class Login(Protocol[SessionT_co]):
    """One dial and login at RDS. `run` it once."""

    @property
    def step(self) -> Step:
        """What is being waited for."""

    @property
    def certificate_expires(self) -> float | None:
        """Seconds since 1970; None: no certificate was shown this time."""

    async def run(self, on_close: Callable[[], None]) -> SessionT_co:
        """A session at RDS, which calls `on_close` when it is closed. Raises LoginError."""


@dataclass(frozen=True, slots=True)
class Order(Generic[SessionT]):
    """A login that somebody wants: for which account, as which DB user, and how it is made."""

    account: str
    """In whose turn, and in whose place among the target's sessions."""
    db_user: str
    make: Callable[[Way, OnStep], Login[SessionT]]
    """One try. There may be several."""
    kind: Hashable | None = None
    """What else a login fixes once and for all: a used session of the same kind would do. None: none would."""
    token_first: bool = True
    """Without a token do not even dial: RDS may count handshakes that break off."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to log in once. Times on the monotonic clock."""

    at: float
    """When it was given."""
    deadline: float
    """When the login must be over."""
    waited: float = 0.0
    """Seconds, for this permit."""
