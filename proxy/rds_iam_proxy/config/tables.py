"""The keys of the configuration: one table of the file each, one row a key. Checks of one key only.

A row is a key's kind, unit, default and what it does; docs/configuration.md is made of it. Every key is optional here:
a table that has a faulty key is still read as far as it goes, so that all faults can be reported at once. Which keys
are required, and what fits together, is for `targets`, `listeners`, `accounts`, `admin`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from . import kinds
from .values import (
    DRAIN_TIMEOUT,
    LOGIN_BURST,
    LOGIN_TIMEOUT,
    LOGIN_WAIT,
    LOGINS_PER_SECOND,
    MAX_SESSIONS,
    REUSE_IDLE,
    REUSE_LIFETIME,
    REUSE_MAX,
)

MAX_LOGIN_WAIT = 9.5
"""Seconds: mysql2 and mysqljs give up at 10."""

MAX_LOGIN_TIMEOUT = 120.0
"""Seconds: an Aurora Serverless that has been paused for long needs half a minute."""

MAX_REUSE_IDLE = 300.0
"""Seconds."""

MAX_REUSE_LIFETIME = 3600.0
"""Seconds: an account that was locked may get in for so long."""

MIN_IDLE_TIMEOUT = 1.0
"""Seconds: less is not silence."""


class Table(BaseModel):
    """A table of the file; unknown keys are faults, and no error shows a value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False, revalidate_instances="never"
    )


def row(does: str, *, unit: str = "", default: object = "", required: bool = False, secret: bool = False) -> Any:
    """`default`: what holds where the key is not written, or a text that says it; it is set elsewhere."""
    shown = "required" if required else f"{default:g}" if isinstance(default, float) else str(default).lower()
    return Field(
        default=False if default is False else None,
        description=does,
        json_schema_extra={"unit": unit, "default": shown},
        repr=not secret,
    )


class TargetTable(Table):
    """A database. NAME is yours, for `target` and `targets`, logs and metrics: 1 to 64 letters, digits, `-` or `_`."""

    endpoint: kinds.RemoteAddress | None = row(
        "The database, by the name that RDS gave it; the port is 3306, or 5432 for PostgreSQL,"
        " where none is written. Tokens are signed for it, and its certificate is checked against it.",
        required=True,
    )
    engine: kinds.EngineName | None = row(
        "What the database speaks: `mysql` (MariaDB, too) or `postgres`, which is the default where the endpoint's"
        " port is 5432.",
        default="mysql",
    )
    dial: kinds.RemoteAddress | None = row(
        "Where to connect instead: the near end of a tunnel.", default="the endpoint"
    )
    tunnel: kinds.Tunnel | None = row(
        "A tunnel of the proxy's own to the endpoint: through a host by `ssh`, through an instance or an ECS task by"
        " Session Manager of AWS, or by a command with `{local_port}`, `{host}` and `{remote_port}`. Not together with"
        " `dial` or `follow_cname`.",
        default="none",
    )
    tunnel_idle: Annotated[float, Field(ge=1)] | None = row(
        "After so long without a session the tunnel is closed until the next login.", unit="seconds", default="never"
    )
    region: kinds.Region | None = row(
        "For global endpoints and `follow_cname` only.", default="what the endpoint's name tells"
    )
    profile: kinds.Words | None = row("The AWS profile whose credentials sign.", default="boto3's own search")
    role_arn: kinds.RoleARN | None = row("The IAM role to assume with those credentials.", default="none")
    external_id: kinds.ExternalID | None = row("What the role's trust policy asks for.", default="none")
    role_session_name: kinds.SessionName | None = row("Shown in CloudTrail.", default="botocore's")
    ca_file: kinds.File | None = row(
        "PEM certificates to trust instead of the bundled ones; endpoints in China and GovCloud need it.",
        default="the bundled roots",
    )
    follow_cname: bool = row(
        "The endpoint is a CNAME of yours: each login asks the DNS which RDS name it leads to, within `region`. Not"
        " together with `dial`.",
        default=False,
    )
    logins_per_second: kinds.Rate | None = row(
        "New logins at the endpoint at most, retries and probes included. AWS throttles at 200 per instance, those of"
        " other hosts included. Targets of one endpoint share it.",
        unit="logins per second",
        default=LOGINS_PER_SECOND,
    )
    login_burst: Annotated[int, Field(ge=1, le=1000)] | None = row(
        "As many may come at once after a pause.", unit="logins", default=LOGIN_BURST
    )
    budget: kinds.Budget | None = row(
        "Endpoints of one instance that have the same name here share one budget: RDS counts an instance's logins.",
        default="the endpoint's own",
    )
    login_wait: Annotated[float, Field(ge=0, le=MAX_LOGIN_WAIT)] | None = row(
        "So long a login waits for its turn at most, then the client gets ERR 1040.", unit="seconds", default=LOGIN_WAIT
    )
    login_timeout: Annotated[float, Field(ge=1, le=MAX_LOGIN_TIMEOUT)] | None = row(
        "So long a login may take at most, from the client's login packet on: the wait, and dialling RDS. Many clients"
        " give up at 10 s by themselves; give both more where Aurora Serverless may be paused.",
        unit="seconds",
        default=LOGIN_TIMEOUT,
    )
    max_sessions: kinds.Count | None = row("Sessions at once at most.", unit="sessions", default=MAX_SESSIONS)
    max_sessions_per_account: kinds.Count | None = row(
        "Of these, for one account.", unit="sessions", default="max_sessions"
    )
    idle_timeout: Annotated[float, Field(ge=MIN_IDLE_TIMEOUT)] | None = row(
        "After so long a silence a session is ended with ERR 4031.", unit="seconds", default="never"
    )
    reuse: bool = row(
        "The session of a client that quits is cleaned and serves the next client of the same kind, without a login at"
        " RDS: see docs/reuse.md. MySQL and MariaDB only, and not behind an RDS Proxy.",
        default=False,
    )
    reuse_idle: Annotated[float, Field(ge=0.1, le=MAX_REUSE_IDLE)] | None = row(
        "So long it waits for that client.", unit="seconds", default=REUSE_IDLE
    )
    reuse_lifetime: Annotated[float, Field(ge=1, le=MAX_REUSE_LIFETIME)] | None = row(
        "From its login at RDS on; then nobody new gets it. So long a client may be served after its IAM policy was"
        " withdrawn or its database user locked.",
        unit="seconds",
        default=REUSE_LIFETIME,
    )
    reuse_max: Annotated[int, Field(ge=1, le=1000)] | None = row(
        "So many of one kind wait at once, at most; all together a fifth of max_sessions.",
        unit="sessions",
        default=REUSE_MAX,
    )


class ListenerTable(Table):
    """Where clients connect. One target may have several, and an account is good for all of them."""

    bind: kinds.ListenAt | None = row(
        "Port 0 is any free port. A Unix socket gets mode 0660. `systemd:NAME` is a socket that the unit's"
        " `FileDescriptorName=` names.",
        required=True,
    )
    target: kinds.Words | None = row("The name of the target behind it.", required=True)
    tls: kinds.TLS | None = row(
        "`auto`: clients may use TLS. `required`: those that do not are turned away. `off`: it is not offered.",
        default="auto",
    )
    tls_cert: kinds.File | None = row(
        "The listener's certificate and those between it and its CA, in PEM.",
        default="one of its own, made on first use",
    )
    tls_key: kinds.File | None = row("The certificate's key, in PEM, without a password.", default="that of its own")
    allow_remote: bool = row(
        'Other machines may connect: `bind` may be another address than loopback, if `tls = "required"`.',
        default=False,
    )
    auth: kinds.Auth | None = row(
        "How clients prove their passwords. MySQL, the authentication plugin that they are greeted with: `auto`: that"
        " of the server behind, or of the accounts' hashes; `native`: `mysql_native_password`, and no collation"
        " of MySQL 8.0, for clients that know no other. PostgreSQL: `auto` is `scram-sha-256`; `password` asks for it"
        " in clear, for clients without SCRAM.",
        default="auto",
    )


class AccountTable(Table):
    """Who may log in here, and which database user that is. A password comes from one of three places, and a second one
    that is right as well, while it is being changed, from one of the three `next_…`."""

    user: kinds.UserName | None = row("What the client says.", required=True)
    db_user: kinds.UserName | None = row("Who it is in the database.", default="user")
    database: kinds.Words | None = row(
        "PostgreSQL: for clients that name no database, and so would get the one of the user's name.",
        default="that of the user's name",
    )
    targets: kinds.Names | None = row("Which targets it may use.", default="all")
    password_env: kinds.Words | None = row("The environment variable that holds the password.")
    password_file: kinds.File | None = row(
        "The file that holds it, without its line end; readable by its owner only, or by a group of this process."
    )
    password_hash: kinds.Hash | None = row("What `rds-iam-proxy hash-password` prints.", secret=True)
    next_password_env: kinds.Words | None = row("As `password_env`, for the next one.")
    next_password_file: kinds.File | None = row("As `password_file`, for the next one.")
    next_password_hash: kinds.Hash | None = row("As `password_hash`, for the next one.", secret=True)
    peer_user: kinds.Words | None = row(
        "This user of this machine needs no password on a Unix socket: the kernel says who it is.", default="nobody"
    )
    allow_replication: bool = row(
        "Replication commands go through, which are refused otherwise (ERR 1047).", default=False
    )


class AdminTable(Table):
    """The status page, health and metrics. Without this table there are none."""

    bind: kinds.AdminAddress | None = row(
        "All of it. Another address than loopback needs `token_file`, `public_host` and a server in front that speaks"
        " TLS."
    )
    token_file: kinds.File | None = row(
        "The token that ending a session asks for, at least 16 characters.", default="one made in the state folder"
    )
    health_bind: kinds.AdminAddress | None = row(
        "The three health paths and nothing else, at any address, without a token: for probes of Kubernetes.",
        default="none",
    )
    metrics_bind: kinds.AdminAddress | None = row(
        "`/metrics` and nothing else, at any address, without a token.", default="none"
    )
    public_host: kinds.HostName | None = row(
        "The name by which a server that speaks TLS, in front of it, is asked for the page.", default="none"
    )


class FleetTable(Table):
    """Several proxies that log in at the same instances share their login budgets: docs/fleet.md. Without this table
    each takes all of `logins_per_second`."""

    size: Annotated[int, Field(ge=1, le=1000)] | None = row(
        "How many proxies there are. Each takes its part of `logins_per_second`; with a `store`, while that is silent.",
        unit="proxies",
        required=True,
    )
    store: kinds.Store | None = row(
        "A Valkey or Redis server that they all ask, so that the part of each follows what it needs.", default="none"
    )
    store_user: kinds.Words | None = row("Who logs in there.", default="the default user")
    store_password_env: kinds.Words | None = row("The environment variable that holds the password.", default="none")
    store_password_file: kinds.File | None = row(
        "The file that holds it; readable by its owner only, or by a group of this process.", default="none"
    )
    store_iam: kinds.Cache | None = row(
        "The name of the cache in ElastiCache or MemoryDB: `store_user` logs in with IAM, by the target's AWS"
        " credentials, instead of with a password.",
        default="none",
    )
    store_ca_file: kinds.File | None = row(
        "PEM certificates to trust for the store instead of the system's.", default="those of the system"
    )
    store_insecure: bool = row(
        "`redis://`, without TLS, may lead to another machine: whoever is on the way can read the password and stop"
        " logins.",
        default=False,
    )


class LogTable(Table):
    """Log lines, on stderr."""

    format: kinds.Format | None = row("Lines of text, or of JSON.", default="text on a terminal, json elsewhere")
    level: kinds.Level | None = row("The least that is logged.", default="info")


class ProcessTable(Table):
    """Keys outside any table; in TOML they come first."""

    drain_timeout: Annotated[float, Field(ge=0, le=86_400)] | None = row(
        "So long busy sessions may go on when the proxy is told to stop.", unit="seconds", default=DRAIN_TIMEOUT
    )


TABLES: Mapping[str, type[Table]] = MappingProxyType(
    {
        "targets": TargetTable,
        "listeners": ListenerTable,
        "accounts": AccountTable,
        "admin": AdminTable,
        "fleet": FleetTable,
        "log": LogTable,
        "": ProcessTable,
    }
)
"""All of them, by their names in the file."""

SEVERAL = ("targets", "listeners", "accounts")
"""Tables of which there are many, so that no flag can stand for a key of theirs beside a file."""

ARRAYS = ("listeners", "accounts")


def header(table: str) -> str:
    """As it is written in the file."""
    if not table:
        return "outside any table"
    return f"[[{table}]]" if table in ARRAYS else f"[{table}.NAME]" if table in SEVERAL else f"[{table}]"
