"""How soon a TCP connection notices that nobody is at its other end. Knows the names that each system has for it."""

import socket

IDLE_SECONDS = 60
"""Silence before the first question whether the peer is there. NAT gateways and NLBs forget a flow after 350 s."""

APART_SECONDS = 10
TRIES = 6

UNACKNOWLEDGED_SECONDS = IDLE_SECONDS + APART_SECONDS * TRIES
"""What was sent and is not acknowledged for so long is lost, and the peer with it. By itself Linux tries for 15 min."""

_OPTIONS = (
    (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), IDLE_SECONDS),  # the second is macOS's name
    (("TCP_KEEPINTVL",), APART_SECONDS),
    (("TCP_KEEPCNT",), TRIES),
)


def keep_alive(sock: socket.socket) -> None:
    """Ask a silent peer from time to time; what the system has no option for stays as the system has it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for names, value in _OPTIONS:
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def limit_unacknowledged(sock: socket.socket, seconds: int) -> None:
    """Give up a peer that has not acknowledged what was sent for `seconds`; 0: when the system does. Linux only."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, seconds * 1000)
