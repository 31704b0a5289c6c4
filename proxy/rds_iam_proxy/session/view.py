"""A session as others see it: what it is, and what it does now."""

from dataclasses import dataclass
from enum import StrEnum

SILENCE_SECONDS = 1.0
"""How long nothing must have been sent either way before a session counts as idle."""


class Activity(StrEnum):
    """What a session does, as far as can be guessed without parsing answers."""

    LOGIN = "logging in"
    WAITING = "waiting for a permit"
    RUNNING = "running"
    IDLE = "idle"
    IN_TRANSACTION = "in transaction"
    """Nothing runs, but it may not be ended. Not known of MySQL's."""
    ENDING = "ending"


RESTING = (Activity.IDLE, Activity.IN_TRANSACTION)


@dataclass(frozen=True, slots=True)
class SessionView:
    """One client as it is now. Its names are as they came: whoever prints them has to escape them."""

    id: int
    target: str
    peer: str
    port: int | None
    """Of the client; None on a Unix socket."""
    account: str | None
    db_user: str | None
    program: str
    activity: Activity
    quiet_seconds: float
    """How long it has been resting; 0 while it is not."""
    age_seconds: float
    bytes_from_client: int
    bytes_from_rds: int
    tls: bool
    rds_connection_id: int | None
    """What RDS's own process list calls it; None before the login there."""
