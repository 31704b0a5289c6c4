"""Whether listening on loopback only is what somebody means: in a container it may reach nobody."""

from collections.abc import Iterable, Mapping

from ..machine import has_shared_loopback, in_container
from ..net.address import Address
from .values import Listener

ONLY_LOOPBACK = (
    "in a container, loopback is reached from this container, and from those that share its network, only. For `-p`"
    " give --listen 0.0.0.0:3306 --allow-remote --tls required"
)


def loopback_reaches_nobody(listeners: Iterable[Listener], environ: Mapping[str, str]) -> bool:
    """Perhaps nobody: a container may share the network of another one, or of the host."""
    only_loopback = all(isinstance(one.bind, Address) and one.bind.is_loopback for one in listeners)
    return only_loopback and in_container(environ) and not has_shared_loopback(environ)
