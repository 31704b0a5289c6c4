"""What all sessions of the process use together."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mysql_wire.constants import NONCE_LENGTH

from .accounts import Accounts
from .guard import LoginGuard
from .ids import LiveSessions

_LETTERS_ONLY = str.maketrans("-_", "xy")


def make_nonce() -> bytes:
    """20 letters and digits: Connector/J reads them as ASCII, and a NUL would end them."""
    return secrets.token_urlsafe(NONCE_LENGTH * 3 // 4).translate(_LETTERS_ONLY).encode()


@dataclass(slots=True)
class Shared:
    """Not frozen for one reason: a reload replaces `accounts`, also for the sessions that are open."""

    accounts: Accounts
    guard: LoginGuard
    live: LiveSessions
    buffer: memoryview = field(repr=False)
    nonce: Callable[[], bytes] = field(default=make_nonce)
    now: Callable[[], float] = field(default=time.monotonic)
