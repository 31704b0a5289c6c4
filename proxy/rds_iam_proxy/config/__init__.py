"""The configuration: frozen values, built once from a file or from flags. Nothing else reads the environment.

What others need of it stands in `values`; reading it (`load`) is for `cli`, and loads pydantic.
"""

from .values import Account, Admin, Config, Listener, Log, LogFormat, LogLevel, Sharing, Target, TLSMode

__all__ = [
    "Account",
    "Admin",
    "Config",
    "Listener",
    "Log",
    "LogFormat",
    "LogLevel",
    "Sharing",
    "TLSMode",
    "Target",
]
