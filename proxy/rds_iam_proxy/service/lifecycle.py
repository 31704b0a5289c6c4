"""How the process is to start, reload and end: what `serve` is told beside the configuration."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..config import Config
from ..stats.target import TargetStats
from .hangup import Hangup
from .systemd import LentSockets, Notifier


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Defaults: no reload, until a signal ends it."""

    load: Callable[[], Config] | None = None
    """Reads the configuration again. Raises ConfigError."""
    watch: bool = False
    """Reload when one of the configuration's files changes, not only on SIGHUP."""
    quit_after_idle: float | None = None
    """End when nobody has been connected for so many seconds."""
    exit_zero_on_sigterm: bool = False
    """Exit code 0 after a SIGTERM even if a busy session was cut."""
    notifier: Notifier = field(default_factory=Notifier)
    hangup: Hangup | None = None
    """None: SIGHUP is left as it is."""
    sockets: LentSockets = field(default_factory=LentSockets)
    new_stats: Callable[[], TargetStats] = TargetStats
    """Makes what counts for one target."""
    configuration: str = ""
    """Where it is from, for the log's first line; empty: there is none."""
