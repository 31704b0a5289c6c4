"""PostgreSQL, as `dialect.Dialect` has it."""

from functools import partial

from pg_wire.constants import ALPN_PROTOCOL

from ..dialect import Dialect
from ..rds.upstream import PROBE
from .cancel import Cancels
from .farewells import turn_away
from .front_login import PostgresFront
from .rds_login import ASKS_NOTHING, PostgresSession, order
from .server import Server

__all__ = ["ALPN_PROTOCOL", "postgres"]


def postgres() -> Dialect[PostgresSession]:
    """For one target."""
    server = Server()
    return Dialect(
        name="postgres",
        front=partial(PostgresFront, server, Cancels()),
        probe=lambda db_user: order(server, PROBE, db_user, ASKS_NOTHING),
        has_answered=lambda: server.has_answered,
        tried=_nothing_waits,
        version=lambda: server.version,
        turn_away=turn_away,
    )


def _nothing_waits() -> None:
    pass
