"""Why a tunnel is not open, or leads nowhere, as an error of the right row with its values. No I/O."""

from ...config import CommandTunnel, SSHTunnel, SSMTunnel, Target
from ...errors.tree import Unreachable
from .command import argv
from .place import ANY
from .words import Words

_ENDED = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "tunnel-host-changed",
    "Host key verification failed": "tunnel-host-key",
    "Permission denied": "tunnel-key",
    "Too many authentication failures": "tunnel-key",
    "SessionManagerPlugin is not found": "tunnel-plugin",
    "TargetNotConnected": "tunnel-not-connected",
    "AccessDenied": "tunnel-denied",
    "not authorized to perform": "tunnel-denied",
    "SSO session associated with this profile": "tunnel-credentials",
    "Error loading SSO Token": "tunnel-credentials",
    "Token has expired": "tunnel-credentials",
    "ExpiredToken": "tunnel-credentials",
    "Unable to locate credentials": "tunnel-credentials",
    "could not be found": "tunnel-credentials",  # The config profile (NAME) …
    "security token included in the request": "tunnel-credentials",
}
"""What ssh and aws say, in the order in which to look for it."""

_NOT_FORWARDED = {
    "open failed: administratively prohibited": "tunnel-forbidden",
    "open failed: ": "tunnel-far-end",
    "Connection to destination port failed": "tunnel-far-end",  # session-manager-plugin's
    "error forwarding port": "tunnel-far-end",  # kubectl's
}
"""What they say when a connection through an open tunnel gets nowhere."""

FINAL = frozenset({"tunnel-program", *_ENDED.values()})
"""Rows that somebody has to do something about: trying again alone changes nothing."""

FORWARD_SECONDS = 12.0
"""So long what was said of a connection may be the reason of a login that failed."""


def no_program(target: Target) -> Unreachable:
    return tunnel_fault("tunnel-program", target, "nothing")


def not_open_in_time(target: Target, words: Words, seconds: float) -> Unreachable:
    return tunnel_fault("tunnel-late", target, words.last, seconds=seconds)


def not_started(target: Target, error: OSError | TimeoutError) -> Unreachable:
    return tunnel_fault("tunnel-ended", target, error.strerror or type(error).__name__, code=126)


def ended(target: Target, words: Words, code: int) -> Unreachable:
    """`code`: its exit code."""
    found = words.find(_ENDED)
    if found is None:
        return tunnel_fault("tunnel-ended", target, words.last, code=code)
    return tunnel_fault(_ENDED[found.marker], target, found.line)


def not_forwarded(target: Target, words: Words) -> Unreachable | None:
    """None: it has said nothing of that lately."""
    found = words.find(_NOT_FORWARDED, FORWARD_SECONDS)
    return None if found is None else tunnel_fault(_NOT_FORWARDED[found.marker], target, found.line)


def tunnel_fault(row: str, target: Target, said: str, **values: float) -> Unreachable:
    """With all that any row of a tunnel tells."""
    tunnel = target.tunnel
    told: dict[str, str | float] = {
        "tunnel": str(tunnel),
        "where": str(target.address),
        "host": tunnel.destination if isinstance(tunnel, SSHTunnel) else target.address.host,
        "port": f" -p {tunnel.port}" if isinstance(tunnel, SSHTunnel) and tunnel.port else "",
        "instance": tunnel.instance if isinstance(tunnel, SSMTunnel) else "the far end",
        "profile": f" --profile {target.profile}" if target.profile else "",
        "program": tunnel.words[0] if isinstance(tunnel, CommandTunnel) else argv(target, ANY)[0],
        "said": said or "nothing",
    }
    return Unreachable(row, **told, **values)
