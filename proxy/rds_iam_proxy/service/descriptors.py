"""How many clients the process's file descriptors are enough for."""

import logging

from ..front.slots import MAX_WAITING
from ..logs import event

RESERVED = 64
"""Descriptors for everything but sessions: listeners, the event loop, log files, credentials, DNS."""

PER_CLIENT = 2  # its own socket and RDS's

MOST_DESCRIPTORS = 65_536
"""What is asked for where the system sets no limit."""

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


def room_for_waiting(room: int) -> int:
    """How many of so many clients may wait for their turn to log in: those who are in have the rest."""
    return min(MAX_WAITING, room // 4)


def _raised_limit() -> int:
    try:
        import resource
    except ImportError:
        return 2 * 512 + RESERVED  # Windows: select() takes 512 sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    while wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS: less than the hard limit says (kern.maxfilesperproc)
            wanted //= 2
        else:
            return wanted
    return soft
