"""What a client itself cannot do: the direct side fails in the same way, or fails where the proxy helps.

And the few things that differ by design.
"""

from dataclasses import dataclass

from conformance.variants import variant_name

NO_SHA2 = tuple(
    variant_name("caching_sha2", tls=tls, database=database) for tls in (False, True) for database in (True, False)
)


@dataclass(frozen=True, slots=True)
class Limit:
    """Where it shows and why. `proxy_works`: only the direct side fails."""

    clients: tuple[str, ...]
    checks: tuple[str, ...]  # empty: all
    reason: str
    family: str = ""  # empty: both
    proxy_works: bool = False


LIMITS: tuple[Limit, ...] = (
    Limit(
        ("mysqljs", "pymysql-0.7", "connector-2.2"),
        NO_SHA2,
        "it has no caching_sha2_password; an account that has only that hash is not for it",
    ),
    Limit(("connector-2.2",), ("prepared statements", "20 MB, prepared"), "mysql-connector 2.2 binds no utf8mb4"),
    Limit(
        ("connector-2.2",),
        ("reset connection",),
        "mysql-connector 2.2 takes MariaDB for MySQL 5.5, which had no such command",
        family="mariadb",
    ),
    Limit(("mysqljs",), ("latin1",), "mysqljs 2.18 announces the charset but sends and reads UTF-8"),
    Limit(
        ("mysqljs", "pymysql-0.7", "connector-2.2"),
        (),
        "it has no caching_sha2_password: it cannot log in to MySQL 9.7 itself, but through the proxy it can",
        family="mysql",
        proxy_works=True,
    ),
    Limit(
        ("asyncmy", "aiomysql"),
        NO_SHA2,
        "asyncmy 0.2.18 and aiomysql 0.3.2 take the NUL at the end of an AuthSwitchRequest for a part of the nonce",
        family="mariadb",
    ),
    Limit(("asyncmy",), ("20 MB",), "asyncmy 0.2.18 loses a row of more than one packet"),
    Limit(("asyncmy",), ("LOCAL INFILE",), "asyncmy 0.2.18 fails with a TypeError when it opens the file"),
    Limit(("aiomysql",), ("all types",), "aiomysql 0.3.2 cannot escape bytes with PyMySQL 1.2"),
    Limit(
        ("connector-pure",),
        ("prepared statements",),
        "mysql-connector-python 9.7 reads a YEAR of a binary row as four bytes, unless it uses its C library",
    ),
    Limit(
        ("connector-pure",),
        ("20 MB, prepared",),
        "mysql-connector-python 9.7 takes a binary row of two packets for two rows, unless it uses its C library",
    ),
    Limit(("dbd-mariadb",), ("latin1",), "DBD::MariaDB 1.22 always speaks UTF-8, whatever SET NAMES says"),
    Limit(
        ("dbd-mysql",),
        ("prepared statements",),
        "DBD::mysql 4.050 binds text as binary, which MySQL does not take for JSON",
        family="mysql",
    ),
    Limit(
        ("node-mariadb",), ("change user", "refused change of user"), "node mariadb 3.4 does not do that with MySQL",
        family="mysql",
    ),
    Limit(
        ("cli-mysql-9.7",),
        ("unicode", "all types", "prepared statements"),
        "the mysql 9.7 CLI asks for a collation that MariaDB 10.11 does not know, and gets latin1",
        family="mariadb",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same, by design or by the client's; nothing outside `path` may differ."""

    client: str
    check: str
    family: str
    path: str
    reason: str
    fails: bool = False
    """What the script wants there is not had either."""


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "php-mysqli",
        "refused change of user",
        "mysql",
        "[1].error.sqlstate",
        "by design: PHP's mysqlnd knows the SQLSTATE of this refusal only after it was asked for the password in clear,"
        " which the proxy never does (HY000 instead of 28000)",
    ),
    *(
        Difference(
            client,
            "database that is not there",
            "postgres",
            "[0].error.routine",
            "by design: what RDS says of a login is told by the proxy, with its SQLSTATE and text but without the name"
            " of a function in the server's source",
        )
        for client in ("pgjdbc", "node-pg", "postgres-js")
    ),
    Difference(
        "postgres-js",
        "COPY out, 100 MB",
        "postgres",
        "[1]",
        "postgres.js 3.4 leaves its socket paused behind a COPY that has filled its buffer, in clear directly too, and"
        " what it asks then is never answered; directly it has to use TLS here",
        fails=True,
    ),
)


def difference_of(client: str, family: str, check: str) -> Difference | None:
    """The known difference in this cell."""
    for known in DIFFERENCES:
        if (known.client, known.family, known.check) == (client, family, check):
            return known
    return None


def limit_of(client: str, family: str, check: str) -> Limit | None:
    """The known limit that concerns this cell; the first that fits."""
    for limit in LIMITS:
        if client in limit.clients and (not limit.checks or check in limit.checks) and limit.family in ("", family):
            return limit
    return None
