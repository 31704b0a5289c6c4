"""The configuration: frozen values, built once from a file or from flags. Nothing else reads the environment."""

from .load import PROCESS_FLAGS, Flag, from_file, from_flags
from .tables import loopback_bind
from .values import Account, Config, Listener, Log, LogFormat, LogLevel, Target, TLSMode

__all__ = [
    "PROCESS_FLAGS",
    "Account",
    "Config",
    "Flag",
    "Listener",
    "Log",
    "LogFormat",
    "LogLevel",
    "TLSMode",
    "Target",
    "from_file",
    "from_flags",
    "loopback_bind",
]
