"""What kind of machine this is: a container, an EC2 instance, or any other. Asks nobody."""

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from pathlib import Path

_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Docker's and Podman's."""

_VENDOR = Path("/sys/class/dmi/id/sys_vendor")
"""Of the machine, containers on it see it as well."""


class Machine(Enum):
    """Where credentials are to be expected."""

    CONTAINER = auto()
    """Also one on EC2."""
    INSTANCE = auto()
    """Of EC2."""
    OTHER = auto()


def this_machine(environ: Mapping[str, str]) -> Machine:
    if in_container(environ):
        return Machine.CONTAINER
    return Machine.INSTANCE if on_ec2() else Machine.OTHER


def in_container(environ: Mapping[str, str], marks: Iterable[str] = _MARKS) -> bool:
    """Also in a pod or task: Kubernetes and ECS say so by variables."""
    return has_shared_loopback(environ) or "container" in environ or any(Path(mark).exists() for mark in marks)


def has_shared_loopback(environ: Mapping[str, str]) -> bool:
    """In a pod of Kubernetes or a task of ECS, whose containers have one loopback."""
    return "KUBERNETES_SERVICE_HOST" in environ or "ECS_CONTAINER_METADATA_URI_V4" in environ


def on_ec2(vendor: Path = _VENDOR) -> bool:
    """Whether the machine says that it is Amazon's."""
    try:
        return vendor.read_text("ascii", "replace").strip() == "Amazon EC2"
    except OSError:
        return False
