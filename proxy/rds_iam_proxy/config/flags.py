"""The flags that stand for keys of the configuration: one table, of which parser, variables and documents are made.

Imports nothing heavy: `--help` is made of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = "RDS_IAM_PROXY_"


@dataclass(frozen=True, slots=True)
class FlagRow:
    """A flag, its environment variable, and what it stands for."""

    name: str
    """`--dial`; an argument is written without dashes."""
    key: str
    """`targets.dial`: table and key of the configuration. `drain_timeout` is in no table."""
    metavar: str
    """Empty for a switch, which has no value."""
    help: str

    @property
    def variable(self) -> str:
        return variable(self.name)

    @property
    def table(self) -> str:
        return self.key.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Flag:
    """A value from the command line or its variable, and the name it was given by: `--dial`, RDS_IAM_PROXY_DIAL."""

    name: str
    value: str


Flags = Mapping[str, Flag]
"""What was given, by `FlagRow.key`."""


def variable(name: str) -> str:
    """The environment variable that stands for a flag."""
    return _VARIABLE + name.lstrip("-").replace("-", "_").upper()


CONFIG_FLAGS = (
    FlagRow("ENDPOINT", "targets.endpoint", "ENDPOINT[:PORT]", "The database, as RDS names it."),
    FlagRow(
        "--engine",
        "targets.engine",
        "ENGINE",
        "What it speaks: mysql or postgres; default: postgres for port 5432, else mysql.",
    ),
    FlagRow(
        "--listen",
        "listeners.bind",
        "HOST:PORT",
        "Where clients connect, also unix:/PATH; default 127.0.0.1:3306 or :5432.",
    ),
    FlagRow("--allow-remote", "listeners.allow_remote", "", "Other machines may connect, with --tls required."),
    FlagRow("--tls", "listeners.tls", "MODE", "Towards clients: auto (default), required or off."),
    FlagRow("--tls-cert", "listeners.tls_cert", "FILE", "The certificate for clients; default: one of its own."),
    FlagRow("--tls-key", "listeners.tls_key", "FILE", "Its key."),
    FlagRow(
        "--auth",
        "listeners.auth",
        "MODE",
        "auto (default), native for old clients of MySQL, password for old ones of PostgreSQL.",
    ),
    FlagRow("--db-user", "accounts.db_user", "NAME", "The database user to log in as with IAM."),
    FlagRow("--user", "accounts.user", "NAME", "What clients log in as; default: as --db-user."),
    FlagRow(
        "--password-env",
        "accounts.password_env",
        "VARIABLE",
        "The environment variable that holds the clients' password.",
    ),
    FlagRow("--password-file", "accounts.password_file", "FILE", "The file that holds it, readable by its owner only."),
    FlagRow("--database", "accounts.database", "NAME", "PostgreSQL: the database of clients that name none."),
    FlagRow("--dial", "targets.dial", "HOST:PORT", "Where to connect instead of ENDPOINT: the near end of a tunnel."),
    FlagRow(
        "--tunnel", "targets.tunnel", "TUNNEL", "Open a tunnel to ENDPOINT: ssh:[USER@]HOST[:PORT] or ssm:i-INSTANCE."
    ),
    FlagRow("--region", "targets.region", "REGION", "Only for a global endpoint; others name theirs."),
    FlagRow("--profile", "targets.profile", "NAME", "The AWS profile whose credentials sign."),
    FlagRow("--ca-file", "targets.ca_file", "FILE", "CA certificates to trust instead of the bundled roots of RDS."),
    FlagRow(
        "--logins-per-second", "targets.logins_per_second", "N", "New logins to the database at most; default 100."
    ),
    FlagRow("--fleet-size", "fleet.size", "N", "So many proxies share --logins-per-second; default: this one alone."),
    FlagRow("--fleet-store", "fleet.store", "URL", "And ask there for their part: rediss://HOST:PORT; default: none."),
    FlagRow(
        "--login-timeout", "targets.login_timeout", "SECONDS", "How long a login may take; default 9.5, at most 120."
    ),
    FlagRow("--max-sessions", "targets.max_sessions", "N", "Sessions at once at most; default 500."),
    FlagRow("--reuse", "targets.reuse", "", "Sessions of clients that quit, proved clean, serve the next ones."),
    FlagRow("--admin", "admin.bind", "HOST:PORT", "Status page, health and metrics, as 127.0.0.1:9090; default: none."),
    FlagRow("--health", "admin.health_bind", "HOST:PORT", "The health paths alone, for probes; default: none."),
    FlagRow("--metrics", "admin.metrics_bind", "HOST:PORT", "/metrics alone; default: none."),
    FlagRow("--admin-token-file", "admin.token_file", "FILE", "The token that ending a session there asks for."),
    FlagRow("--drain-timeout", "drain_timeout", "SECONDS", "How long sessions may go on at a stop; default 30."),
    FlagRow("--log-format", "log.format", "text|json", "Default: text on a terminal, else json."),
    FlagRow("--log-level", "log.level", "LEVEL", "debug, info (default), warning or error."),
)
"""`serve` and `check` take all of them."""

_NAMES = {row.key: row.name for row in CONFIG_FLAGS}


def name_of(key: str) -> str:
    """The flag that stands for this key; made up where there is none."""
    return _NAMES.get(key) or "--" + key.rpartition(".")[2].replace("_", "-")
