"""What the rest of the program sees of the configuration: checked, complete, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mysql_wire.passwords import Verifier
from pg_wire.scram import Verifier as SCRAMVerifier

from ..files import FileStamp
from ..limits.store_place import StorePlace
from ..net.address import Address
from ..net.sockets import Bind

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
TLSMode = Literal["auto", "required", "off"]
Engine = Literal["mysql", "postgres"]
"""What a target speaks: `mysql` is MariaDB, too."""
AuthMode = Literal["auto", "native", "scram-sha-256", "password"]
"""How clients of a listener prove their passwords; the last two are PostgreSQL's, `native` is MySQL's."""

ENGINE_PORTS: Mapping[Engine, int] = MappingProxyType({"mysql": 3306, "postgres": 5432})
"""Where servers listen, and the proxy in their place."""


@dataclass(frozen=True, slots=True)
class SSHTunnel:
    """Made by `ssh`, with the user's own configuration of it."""

    destination: str
    """As ssh takes it: `bastion`, `deploy@bastion.example.com`."""
    port: int | None = None

    def __str__(self) -> str:
        return f"ssh:{self.destination}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class SSMTunnel:
    """Made by `aws ssm start-session`, with the target's profile and region."""

    instance: str
    """What `--target` takes: an instance, or `ecs:CLUSTER_TASK_RUNTIME`."""

    def __str__(self) -> str:
        return f"ssm:{self.instance}"


@dataclass(frozen=True, slots=True)
class CommandTunnel:
    """Made by a program of the user's."""

    words: tuple[str, ...] = field(repr=False)
    """With `{host}`, `{remote_port}` and `{local_port}`."""

    def __str__(self) -> str:
        return f"command {Path(self.words[0]).name}"


Tunnel = SSHTunnel | SSMTunnel | CommandTunnel

LOGINS_PER_SECOND = 100.0
LOGIN_BURST = 20
LOGIN_WAIT = 8.0
LOGIN_TIMEOUT = 9.5
MAX_SESSIONS = 500
REUSE_IDLE = 10.0
REUSE_LIFETIME = 300.0
REUSE_MAX = 8
DRAIN_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """A database: where it is, whom to be there, how much to ask of it."""

    name: str
    address: Address
    """The endpoint that tokens are signed for and certificates are checked against."""
    dial: Address | Path
    """Where to connect: the endpoint itself, or the near end of a tunnel to it."""
    region: str
    engine: Engine = "mysql"
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    role_session_name: str | None = None
    ca_file: Path | None = None
    """Replaces the bundled roots."""
    follow_cname: bool = False
    """The address is a CNAME of the user's; the name to sign for and to dial is behind it, looked up at each login."""
    logins_per_second: float = LOGINS_PER_SECOND
    """Of the endpoint, however many targets name it."""
    login_burst: int = LOGIN_BURST
    budget: str | None = None
    """The name of the login budget that the endpoint shares with others of its instance; None: its own."""
    login_wait: float = LOGIN_WAIT
    """Seconds that a login may wait for its permit."""
    login_timeout: float = LOGIN_TIMEOUT
    """Seconds that a login may take, with that wait, from the client's login packet on."""
    max_sessions: int = MAX_SESSIONS
    max_sessions_per_account: int | None = None
    """None: as many as max_sessions allows."""
    idle_timeout: float | None = None
    """Seconds that a session may say nothing; None: as long as it likes."""
    tunnel: Tunnel | None = None
    """The proxy's own tunnel to the endpoint; `dial` is the endpoint until it is open."""
    tunnel_idle: float | None = None
    """Seconds without a session after which it is closed; None: never."""
    reuse: bool = False
    """A session whose client has quit is lent to the next of its kind, once it is proved to be clean."""
    reuse_idle: float = REUSE_IDLE
    """Seconds that it waits for that."""
    reuse_lifetime: float = REUSE_LIFETIME
    """Seconds from its login at RDS, after which nobody new gets it."""
    reuse_max: int = REUSE_MAX
    """So many of one kind of client wait at once, at most."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address of this machine, and the target behind it."""

    bind: Bind
    target: str
    tls: TLSMode = "auto"
    """auto: offered, with a self-signed certificate where there is no other; required: nothing else is accepted."""
    tls_cert: Path | None = None
    """None: the proxy's own, self-signed."""
    tls_key: Path | None = None
    auth: AuthMode = "auto"
    """auto: as RDS would greet, or as the accounts' hashes allow; SCRAM-SHA-256 for PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in here, and which database user that is."""

    user: str
    verifiers: tuple[Verifier, ...] = field(repr=False)
    """Any of them is right: two while a password is being changed, none for a peer of the Unix socket."""
    db_user: str
    scram: SCRAMVerifier | None = field(default=None, repr=False)
    """The same passwords for PostgreSQL; None for a hash that has no part for it."""
    database: str | None = None
    """PostgreSQL: the one of clients that name none."""
    targets: frozenset[str] | None = None
    """None: all targets."""
    peer_uid: int | None = None
    """The local user who needs no password on a Unix socket."""
    allow_replication: bool = False
    any_user: bool = False
    """Whatever name the client gives, the password alone says who it is."""


@dataclass(frozen=True, slots=True)
class Log:
    """How to log."""

    format: LogFormat | None = None
    """None: text on a terminal, JSON lines elsewhere."""
    level: LogLevel = "info"
    in_colour: bool = True
    """On a terminal."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the status page, health and metrics are."""

    bind: Address | None
    """All of it. None: only what the others say."""
    token_file: Path | None = None
    """None: a token is made and kept in the state folder."""
    public_host: str | None = None
    """The name by which a server that speaks TLS, in front of it, is asked for the page."""
    health_bind: Address | None = None
    """The health paths and nothing else, for everybody who can connect."""
    metrics_bind: Address | None = None
    """/metrics and nothing else, for everybody who can connect."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the proxies of a fleet share each login budget."""

    size: int
    """How many proxies there are."""
    store: StorePlace | None = None
    """Where they ask for their part; None: each has the same."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a running proxy was told."""

    targets: Mapping[str, Target]
    listeners: tuple[Listener, ...]
    accounts: tuple[Account, ...]
    log: Log = Log()
    admin: Admin | None = None
    sharing: Sharing | None = None
    """None: no other proxy logs in at these targets."""
    drain_timeout: float = DRAIN_TIMEOUT
    """Seconds that sessions have to end when the proxy is told to stop."""
    warnings: tuple[str, ...] = ()
    """What is allowed but unwise, one line each, to be logged at the start."""
    files: Mapping[Path, FileStamp] = field(default_factory=dict)
    """All that was read, whose change makes another configuration, and what marked each before it was read."""
    tunnel_environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the tunnels' programs: that of the process, without the accounts' passwords."""
    fixed_passwords: tuple[str, ...] = ()
    """Users whose passwords are in the environment, which a running process cannot read anew."""
