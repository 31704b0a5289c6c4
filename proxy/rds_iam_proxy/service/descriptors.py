"""How many clients the process's file descriptors are enough for."""

import logging

from ..logs import event

RESERVED = 64
"""Descriptors for everything but sessions: listeners, the event loop, log files, credentials, DNS."""

PER_CLIENT = 2  # its own socket and RDS's

log = logging.getLogger(__name__)


def room_for_clients(wanted: int) -> int:
    """Raise the limit as far as it goes; returns how many clients fit, and warns if those are fewer than `wanted`."""
    limit = _raised_limit()
    room = max(1, (limit - RESERVED) // PER_CLIENT)
    if room < wanted:
        event(
            log,
            logging.WARNING,
            "too few file descriptors for the sessions configured; raise the hard limit (ulimit -Hn)",
            limit=limit,
            room_for=room,
            max_sessions=wanted,
        )
    return room


def _raised_limit() -> int:
    try:
        import resource
    except ImportError:
        return 2 * 512 + RESERVED  # Windows: select() takes 512 sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, 65_536)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        except (OSError, ValueError):
            return soft
    return hard
