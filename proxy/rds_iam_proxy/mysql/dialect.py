"""MySQL and MariaDB, as `dialect.Dialect` has it."""

from functools import partial

from ..dialect import Dialect
from ..net.address import Address
from ..rds.upstream import PROBE
from .cleaner import Cleaner
from .farewells import turn_away
from .front_login import MySQLFront
from .greeter import Greeter, Spawn
from .greetings import Greetings
from .rds_login import ASKS_NOTHING, UpstreamSession, order_for


def mysql(endpoint: Address, greetings: Greetings, spawn: Spawn) -> Dialect[UpstreamSession]:
    """For one target whose RDS is at `endpoint`."""
    greeter = Greeter(endpoint, greetings, spawn)
    return Dialect(
        name="mysql",
        front=partial(MySQLFront, greeter),
        probe=lambda db_user: order_for(greeter, PROBE, db_user, ASKS_NOTHING),
        has_answered=lambda: greeter.has_answered,
        tried=greeter.tried,
        version=lambda: greeter.version,
        turn_away=turn_away,
        cleaner=Cleaner(),
    )
