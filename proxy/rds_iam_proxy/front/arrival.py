"""A client that has come in by a listener: where, from where, and under which number."""

from dataclasses import dataclass, field

from ..config.values import LOGIN_TIMEOUT, AuthMode
from ..net.sockets import Peer
from ..net.stream import Stream
from .slots import LoginSlot
from .tls import LocalTLS


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a client before it has said anything."""

    stream: Stream = field(repr=False)
    peer: Peer
    id: int
    """The connection id that it is given, also in logs."""
    target: str
    """The name of the listener's target."""
    tls: LocalTLS | None
    """None: the listener offers none."""
    slot: LoginSlot = field(repr=False)
    auth: AuthMode = "auto"
    """By which method the listener asks for passwords."""
    login_timeout: float = LOGIN_TIMEOUT
    """The target's; seconds."""
