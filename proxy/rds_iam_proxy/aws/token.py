"""A login token and how long it serves. Signs nothing."""

import math
from dataclasses import dataclass, field

TOKEN_MARGIN_SECONDS = 60.0
"""Seconds before its end when a token is no longer used."""


@dataclass(frozen=True, slots=True)
class Token:
    """A login token and when it was signed, on both clocks: one may be set back, the other may not know it."""

    value: bytes = field(repr=False)
    signed_wall: float
    signed_boot: float
    life: float
    """Seconds from signing: 900, or less where the credentials end sooner."""

    def age(self, wall: float, boot: float) -> float:
        """Seconds since signing, by the clock that says more; infinite if it was signed in the future."""
        if wall < self.signed_wall:
            return math.inf
        return max(wall - self.signed_wall, boot - self.signed_boot)

    def usable(self, wall: float, boot: float) -> bool:
        """Whether RDS will still take it, with a margin for the login and for clocks that differ."""
        return self.age(wall, boot) < self.life - TOKEN_MARGIN_SECONDS
