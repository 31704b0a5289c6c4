"""Which logins lead to the same session: only between those a used one may change hands."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mysql_wire.constants import Capability, MariaDBCapability
from mysql_wire.handshake import LoginRequest, ServerIdentity

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

    _hash: int = field(init=False, repr=False, compare=False)
    """Of all that, taken together once: a session is looked up a dozen times in its life."""

    def __post_init__(self) -> None:
        everything = (
            self.database,
            self.collation,
            int(self.capabilities),
            int(self.mariadb_capabilities),
            self.attributes,
        )
        object.__setattr__(self, "_hash", hash(everything))

    def __hash__(self) -> int:
        return self._hash


def kind_of(request: LoginRequest, attributes: Mapping[bytes, bytes], identity: ServerIdentity | None) -> Kind | None:
    """`attributes`: the request's, by name. None: such sessions are not lent.

    `max_packet_size` is not looked at, as servers ignore it.
    """
    if len(request.attributes or b"") > MAX_ATTRIBUTES_BYTES:
        return None
    return Kind(
        request.database or None,
        request.collation,
        request.capabilities,
        request.mariadb_capabilities,
        tuple((name, value) for name, value in attributes.items() if name not in _OF_ONE_CONNECTION),
        identity,
    )
