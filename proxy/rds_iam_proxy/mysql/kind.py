"""Which logins lead to the same session: only between those a used one may change hands."""

from dataclasses import dataclass

from mysql_wire.constants import Capability, MariaDBCapability
from mysql_wire.handshake import LoginRequest, ServerIdentity

from .program_name import attributes_of

MAX_ATTRIBUTES_BYTES = 4096
"""Of connection attributes in a kind: sessions with more are not lent."""

_OF_ONE_CONNECTION = (b"_pid", b"_thread")
"""Attributes that say which process it is: a cron job has another one each time."""


@dataclass(frozen=True, slots=True)
class Kind:
    """All of a login that stays as it is while the session lasts."""

    database: bytes | None
    collation: int
    capabilities: Capability
    mariadb_capabilities: MariaDBCapability
    attributes: tuple[tuple[bytes, bytes], ...]
    identity: ServerIdentity | None
    """How RDS greeted last: where that changes it is another server, and no session of the old one is lent."""


def kind_of(request: LoginRequest, identity: ServerIdentity | None) -> Kind | None:
    """None: such sessions are not lent. `max_packet_size` is not looked at, as servers ignore it."""
    if len(request.attributes or b"") > MAX_ATTRIBUTES_BYTES:
        return None
    attributes = attributes_of(request.attributes)
    return Kind(
        request.database or None,
        request.collation,
        request.capabilities,
        request.mariadb_capabilities,
        tuple((name, value) for name, value in attributes.items() if name not in _OF_ONE_CONNECTION),
        identity,
    )
