"""The configuration: frozen values, built once from a file or from flags. Nothing else reads the environment.

What others need of it stands in `values`; reading it (`load`) is for `cli`, and loads pydantic.
"""

from .password import SALT_SECRET
from .values import (
    Account,
    Admin,
    AuthMode,
    CommandTunnel,
    Config,
    Engine,
    Listener,
    Log,
    LogFormat,
    LogLevel,
    Sharing,
    SSHTunnel,
    SSMTunnel,
    Target,
    TLSMode,
    Tunnel,
)

__all__ = [
    "SALT_SECRET",
    "Account",
    "Admin",
    "AuthMode",
    "CommandTunnel",
    "Config",
    "Engine",
    "Listener",
    "Log",
    "LogFormat",
    "LogLevel",
    "SSHTunnel",
    "SSMTunnel",
    "Sharing",
    "TLSMode",
    "Target",
    "Tunnel",
]
