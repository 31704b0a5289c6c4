"""What all sessions of the process use together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .accounts import Accounts
from .guard import LoginGuard
from .ids import LiveSessions


@dataclass(slots=True)
class Shared:
    """Not frozen for one reason: a reload replaces `accounts`, also for the sessions that are open."""

    accounts: Accounts
    guard: LoginGuard
    live: LiveSessions
    buffer: memoryview = field(repr=False)
    now: Callable[[], float] = field(default=time.monotonic)
