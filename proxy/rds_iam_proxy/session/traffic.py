"""How many bytes one session has moved, and for how long none, across all its relays."""

from collections.abc import Callable

from ..stats.target import TargetStats
from .relay import Relay
from .view import SILENCE_SECONDS, Activity


class Meter:
    """Reads the relay's own counters when it is asked: a chunk costs nothing, and no look at the clock either."""

    def __init__(self, stats: TargetStats, now: Callable[[], float]) -> None:
        self.relay: Relay | None = None
        """The one that runs."""
        self._stats = stats
        self._now = now
        self._up = self._down = 0  # of relays that are over
        self._told = (0, 0)  # what the target's stats knows of
        self._byte_count = -1  # at the last look
        self._quiet_since = 0.0

    def start(self, relay: Relay) -> None:
        """It runs from now on, until `stop`."""
        self.relay = relay
        self._byte_count = -1

    def stop(self) -> None:
        self._up, self._down = self.bytes
        self.relay = None

    @property
    def bytes(self) -> tuple[int, int]:
        """From the client, and from RDS."""
        relay = self.relay
        if relay is None:
            return self._up, self._down
        return self._up + relay.upward.byte_count, self._down + relay.downward.byte_count

    @property
    def quiet_seconds(self) -> float:
        """How long nothing was sent either way, to be asked again and again; 0 while nothing runs.

        Counts from the first look that finds the counters unchanged.
        """
        relay, now = self.relay, self._now()
        if relay is None:
            return 0.0
        if relay.byte_count != self._byte_count:
            self._byte_count, self._quiet_since = relay.byte_count, now
        return now - self._quiet_since

    @property
    def idle_seconds(self) -> float | None:
        """The same of an idle session, else None. An open transaction, where it is known of, is not idle."""
        quiet, relay = self.quiet_seconds, self.relay
        return quiet if relay is not None and relay.seems_idle and not relay.in_transaction else None

    @property
    def activity(self) -> Activity:
        """What the relay that runs is doing."""
        if self.relay is not None and self.relay.in_transaction and self.relay.seems_idle:
            return Activity.IN_TRANSACTION
        return Activity.IDLE if (self.idle_seconds or 0.0) >= SILENCE_SECONDS else Activity.RUNNING

    def tell(self) -> None:
        """Let the target's stats know of the bytes since the last time."""
        up, down = self.bytes
        self._stats.bytes_from_client += up - self._told[0]
        self._stats.bytes_from_rds += down - self._told[1]
        self._told = up, down
