"""A client that has come in by a listener: where, from where, and under which number."""

from dataclasses import dataclass, field

from ..config import AuthMode
from ..net.sockets import Peer
from ..net.stream import Stream
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
    auth: AuthMode = "auto"
    """How the listener wants passwords proved."""
