"""What this system lacks of what the configuration asks for, said once."""

import logging
import signal

from ..config import Config
from ..logs import event
from ..net.sockets import knows_peers

log = logging.getLogger(__name__)


def say_what_is_missing(config: Config) -> None:
    """To be called when the proxy starts."""
    if not hasattr(signal, "SIGHUP"):
        _say(logging.INFO, "SIGHUP", "it reloads its configuration only with --watch")
    if not knows_peers() and any(account.peer_uid is not None for account in config.accounts):
        _say(logging.WARNING, "users at Unix sockets", "accounts with peer_user log in with a password or not at all")


def _say(level: int, what: str, so: str) -> None:
    event(log, level, "this system lacks", what=what, so=so)
