"""Whether this runs in a container, whose loopback is not that of its host."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..net.address import Address
from .values import Listener

_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Docker's and Podman's."""

_SHARED = ("KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4")
"""Where they are set, the containers of a pod or task have one loopback, so that it is the right place to listen."""

ONLY_LOOPBACK = (
    "in a container, loopback is reached from this container, and from those that share its network, only. For `-p`"
    " give --listen 0.0.0.0:3306 --allow-remote --tls required"
)


def loopback_reaches_nobody(
    listeners: Iterable[Listener], environ: Mapping[str, str], marks: Iterable[str] = _MARKS
) -> bool:
    """Perhaps nobody: a container may share the network of another one, or of the host."""
    only_loopback = all(isinstance(one.bind, Address) and one.bind.is_loopback for one in listeners)
    is_container = "container" in environ or any(Path(mark).exists() for mark in marks)
    return only_loopback and is_container and not any(name in environ for name in _SHARED)
