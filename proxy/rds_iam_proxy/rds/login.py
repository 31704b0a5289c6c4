"""What `Upstream` asks of a login at RDS, whatever the database: its steps, its way there, and how to run it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from ..aws.clock import ClockWatch
from ..aws.tokens import TokenSource
from ..aws.trust import Trust
from ..config import Target
from ..net.dial import Dialler

SessionT_co = TypeVar("SessionT_co", covariant=True)


class Step(StrEnum):
    """What a login waits for, as it reads after "while"."""

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
    clock: ClockWatch
    dialler: Dialler


class Login(Protocol[SessionT_co]):
    """One dial and login at RDS. `run` it once."""

    step: Step
    certificate_expires: float | None
    """Seconds since 1970; None: no certificate was shown this time."""

    async def run(self, on_close: Callable[[], None]) -> SessionT_co:
        """A session at RDS, which calls `on_close` when it is closed. Raises LoginError."""
