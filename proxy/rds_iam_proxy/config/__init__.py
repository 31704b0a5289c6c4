"""The configuration: frozen values, built once from a file or from flags. Nothing else reads the environment."""

from .load import PROCESS_FLAGS, Flag, from_file, from_flags
from .tables import ADMIN_PORT, is_loopback, loopback_bind
from .values import Account, Admin, Config, Listener, Log, LogFormat, LogLevel, Target, TLSMode

__all__ = [
    "ADMIN_PORT",
    "PROCESS_FLAGS",
    "Account",
    "Admin",
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
    "is_loopback",
    "loopback_bind",
]
