"""What has to be set up for a database user who logs in with IAM: the statement and the policy, ready to paste."""

import json
import re
from collections.abc import Callable

from ..aws.names import Kind, parse_rds_name
from ..config import Engine
from ..errors.tree import ConfigError
from ..net.address import Address

_INSTANCE = "aws rds describe-db-instances --query 'DBInstances[].[DBInstanceIdentifier,DbiResourceId]'"
_PROXY = "aws rds describe-db-proxies --query 'DBProxies[].[DBProxyName,DBProxyArn]'"
_CLUSTER = "aws rds describe-db-clusters --query 'DBClusters[].[DBClusterIdentifier,DbClusterResourceId]'"
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_RESOURCE_ID = re.compile(r"(?:db|cluster)-[A-Z0-9]{8,64}|prx-[a-z0-9]{8,64}")
_PATTERN = re.compile(r"[*?]|\$\{")
_ACCOUNT = "aws sts get-caller-identity --query Account --output text"


def grants(
    endpoint: Address,
    db_user: str,
    engine: Engine = "mysql",
    *,
    region: str | None,
    account: str | None,
    resource: str | None,
) -> str:
    """SQL for the database's administrator, then the IAM policy. Raises ConfigError, ValueError for the endpoint.

    What is not known stands there in capitals, with the command that tells it.
    """
    name = parse_rds_name(endpoint.host)
    if name is None:
        raise ValueError(f"{endpoint.host} is not a name that RDS gives out")
    tells_resource = _PROXY if name.kind.is_proxy else _INSTANCE if name.kind is Kind.INSTANCE else _CLUSTER
    faults = []
    if account is not None and not _ACCOUNT_ID.fullmatch(account):
        faults.append(f"--account-id: an AWS account has 12 digits; `{_ACCOUNT}` tells yours")
    if resource is not None and not _RESOURCE_ID.fullmatch(resource):
        faults.append(
            "--resource-id: begins with db-, cluster- or prx-, and goes on with an id that AWS chose and not with the"
            f" name; `{tells_resource}` tells it"
        )
    if not db_user.isprintable():
        faults.append("--db-user: has a line end or another control character in it, behind which a comment would end")
    if _PATTERN.search(db_user):
        faults.append("--db-user: *, ? and ${ stand for other users, too, in an IAM policy; write that one by hand")
    if faults:
        raise ConfigError(faults)
    region = name.region or region or "REGION"
    account = account or "ACCOUNT"
    resource = resource or "RESOURCE_ID"
    arn = f"arn:{name.partition}:rds-db:{region}:{account}:dbuser:{resource}/{db_user}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "rds-db:connect", "Resource": arn}],
    }
    hints = [
        f"-- {what}: {command}\n"
        for what, command, is_missing in (
            ("REGION", "where the cluster is that is the writer now", region == "REGION"),
            ("ACCOUNT", _ACCOUNT, account == "ACCOUNT"),
            ("RESOURCE_ID", tells_resource, resource == "RESOURCE_ID"),
        )
        if is_missing
    ]
    return (
        f"-- On {endpoint.host}, as an administrator. The user's name is case-sensitive.\n"
        f"{_STATEMENTS[engine](db_user)}"
        "\n"
        "-- IAM policy of the identity that runs rds-iam-proxy. IAM authentication must be on at the database.\n"
        f"{''.join(hints)}{json.dumps(policy, indent=2)}\n"
    )


def _of_mysql(db_user: str) -> str:
    return (
        f"CREATE USER {_quoted(db_user)}@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;\n"
        "-- And what the user may do, for example:\n"
        f"-- GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO {_quoted(db_user)}@'%';\n"
    )


def _of_postgres(db_user: str) -> str:
    """From PostgreSQL 16 on whoever creates a role is its member; members of members of rds_iam need a token, too."""
    name = _identifier(db_user)
    return (
        "-- Members of rds_iam log in with tokens only, and members of members count: never GRANT this user to one\n"
        "-- that logs in with a password. From PostgreSQL 16 on whoever creates a user is a member of it, the master\n"
        "-- user too, and could no longer log in with its password: so a role between does it, and is dropped then.\n"
        "CREATE ROLE iam_user_maker CREATEROLE;\n"
        "GRANT iam_user_maker TO CURRENT_USER;\n"
        "SET ROLE iam_user_maker;\n"
        f"CREATE USER {name} WITH LOGIN;\n"
        "RESET ROLE;\n"
        "DROP ROLE iam_user_maker;\n"
        f"GRANT rds_iam TO {name};\n"
        "-- And what the user may do, for example:\n"
        f"-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};\n"
    )


_STATEMENTS: dict[Engine, Callable[[str], str]] = {"mysql": _of_mysql, "postgres": _of_postgres}


def _identifier(name: str) -> str:
    """Quoted, as PostgreSQL keeps a name as it is only then."""
    return '"' + name.replace('"', '""') + '"'


def _quoted(name: str) -> str:
    """As a string of SQL, whatever sql_mode says of backslashes."""
    if "\\" in name:
        raise ValueError("a backslash in a user name means something else from one sql_mode to the next")
    return "'" + name.replace("'", "''") + "'"
