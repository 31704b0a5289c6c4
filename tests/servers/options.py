"""Command-line options of the server programs: small, quick to start, and strict about TLS."""

from pathlib import Path

from servers.releases import Family, Release
from servers.trees import Tree

COMMON = (
    "--bind-address=127.0.0.1",
    "--require-secure-transport=ON",
    "--local-infile=1",
    "--max-allowed-packet=1G",
    "--max-connections=2000",
    "--back-log=2000",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-buffer-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--table-open-cache=400",
    "--table-definition-cache=400",
    "--key-buffer-size=1M",
)
MYSQL = (
    "--innodb-redo-log-capacity=16M",
    "--innodb-doublewrite=OFF",
    "--mysqlx=OFF",
    "--log-error-verbosity=2",
    # With name resolution, as on RDS: only then is there a performance_schema.host_cache.
    "--performance-schema=ON",
    "--performance-schema-digests-size=200",
    "--performance-schema-events-statements-history-long-size=100",
    "--performance-schema-max-thread-instances=400",
)
MARIADB = (
    "--innodb-log-file-size=16M",
    "--skip-innodb-doublewrite",
    "--aria-pagecache-buffer-size=8M",
    "--performance-schema=OFF",
    "--skip-name-resolve",
    "--feedback=OFF",
)

POSTGRES = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "wal_level": "logical",  # else nothing can be replicated
    "log_connections": "on",
    "log_line_prefix": "%m [%p] %u@%d ",
}
POSTGRES_SUPERUSER = "master"
POSTGRES_HBA = """\
# As on RDS: whoever is a member of rds_iam logs in with a token, over TLS, and not otherwise.
local    all          master              trust
hostssl  all          +rds_iam  all       pam
hostssl  replication  +rds_iam  all       pam
hostssl  all          all       all       scram-sha-256
"""


def server_options(family: Family, tree: Tree, folder: Path, *, port: int) -> list[str]:
    """Options for a server whose data, socket, certificates and plugin are in `folder`."""
    plugin = "aws_authentication_plugin"
    if family == "mysql":
        plugin = f"AWSAuthenticationPlugin={plugin}.so"
    return [
        "--no-defaults",
        f"--datadir={tree.inside(folder / 'data')}",
        f"--tmpdir={tree.inside(folder / 'tmp')}",
        f"--socket={tree.inside(folder / 's')}",
        f"--pid-file={tree.inside(folder / 'pid')}",
        f"--plugin-dir={tree.inside(folder / 'plugins')}",
        f"--plugin-load-add={plugin}",
        f"--ssl-cert={tree.inside(folder / 'tls/cert.pem')}",
        f"--ssl-key={tree.inside(folder / 'tls/key.pem')}",
        f"--port={port}",
        *COMMON,
        # MySQL 9.7 reloads no certificate whose CA it does not know.
        *([f"--ssl-ca={tree.inside(folder / 'tls/ca.pem')}"] if family == "mysql" else []),
        *(MYSQL if family == "mysql" else MARIADB),
    ]


def postgres_options(tree: Tree, folder: Path, *, port: int) -> list[str]:
    """The same for PostgreSQL, whose socket is `.s.PGSQL.PORT`."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": tree.inside(folder),
        "hba_file": tree.inside(folder / "pg_hba.conf"),
        "external_pid_file": tree.inside(folder / "pid"),
        "ssl": "on",
        "ssl_cert_file": tree.inside(folder / "tls/cert.pem"),
        "ssl_key_file": tree.inside(folder / "tls/key.pem"),
        **POSTGRES,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    return ["-D", tree.inside(folder / "data"), *(part for word in words for part in ("-c", word))]


def initialise_command(release: Release, data: str) -> list[str]:
    """The command that fills an empty data folder; the superuser may then log in without a password."""
    family = release.family
    if family == "postgres":
        initdb = str(Path(release.server).with_name("initdb"))
        return [initdb, "-D", data, "-U", POSTGRES_SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync"]
    if family == "mysql":
        return [
            "mysqld",
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={data}",
            "--innodb-redo-log-capacity=16M",
            "--innodb-flush-method=nosync",
        ]
    return [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--force",  # also where the host name does not resolve
        "--skip-name-resolve",
        "--innodb-log-file-size=16M",
        "--innodb-flush-method=nosync",
    ]
