"""How long the phases of a login at RDS took."""

from collections.abc import Callable
from enum import Enum, StrEnum

from .histogram import Histogram


class Phase(StrEnum):
    """What a login at RDS spends its time on."""

    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "tls"
    TOKEN_REQUEST = "token_request"  # noqa: S105 - says what RDS asks for
    CREDENTIALS = "credentials"
    VERDICT = "verdict"


class PhaseTimer:
    """Call it with each step as it begins; steps have the names of phases, and the last one has none."""

    def __init__(self, phases: dict[Phase, Histogram], now: Callable[[], float]) -> None:
        self._phases = phases
        self._now = now
        self._phase: Phase | None = Phase.CONNECT
        self._since = now()

    def __call__(self, step: Enum) -> None:
        now = self._now()
        if self._phase is not None:
            self._phases[self._phase].observe(now - self._since)
        self._phase = Phase.__members__.get(step.name)
        self._since = now
