"""The commands `run` and `grants`."""

import os
import sys
from typing import Annotated

import typer

from ..errors.tree import ConfigError
from ..logs import setup
from .flags import (
    CA_FILE,
    DB_USER,
    DIAL,
    DRAIN_TIMEOUT,
    LOG_FORMAT,
    LOGINS_PER_SECOND,
    MAX_SESSIONS,
    PROFILE,
    REGION,
    flag,
    given,
)
from .programs import programs_of


def run_command(
    ctx: typer.Context,
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT[:PORT]", show_default=False, help="The database, as RDS names it.")
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", show_default=False, help="What to run, after two dashes.")
    ],
    db_user: Annotated[str | None, DB_USER] = None,
    env_prefix: Annotated[
        str, typer.Option("--env-prefix", metavar="PREFIX", help="Of HOST, PORT, SOCKET, USER and PASSWORD.")
    ] = "DB_",
    dial: Annotated[str | None, DIAL] = None,
    region: Annotated[str | None, REGION] = None,
    profile: Annotated[str | None, PROFILE] = None,
    ca_file: Annotated[str | None, CA_FILE] = None,
    logins_per_second: Annotated[str | None, LOGINS_PER_SECOND] = None,
    max_sessions: Annotated[str | None, MAX_SESSIONS] = None,
    drain_timeout: Annotated[str | None, DRAIN_TIMEOUT] = None,
    log_format: Annotated[str | None, LOG_FORMAT] = None,
    log_level: Annotated[str | None, flag("--log-level", "LEVEL", "debug, info, warning (default) or error.")] = None,
) -> None:
    """Run one command with a proxy of its own, and return its exit code.

    Any MySQL client in it connects through the environment: DB_HOST, DB_PORT, DB_SOCKET, DB_USER, DB_PASSWORD, and for
    the stock clients MYSQL_UNIX_PORT, MYSQL_TCP_PORT, MYSQL_PWD.
    """
    from ..aws.cnames import rds_name_hint
    from ..commands.run import Job
    from ..config.flags import Flag
    from ..config.load import from_flags
    from ..config.password import random_password

    password = random_password()
    config = from_flags(
        {"log.level": Flag("--log-level", "warning"), **given(ctx)},
        os.environ,
        generated_password=password,
        rds_name_behind=rds_name_hint,
    )
    setup(config.log.format, config.log.level)
    job = Job(tuple(command), env_prefix, os.environ)
    raise typer.Exit(programs_of(ctx).run_job(job, config, password))


def grants(
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT[:PORT]", show_default=False, help="The database, as RDS names it.")
    ],
    db_user: Annotated[str, typer.Option("--db-user", metavar="NAME", help="The database user.", show_default=False)],
    region: Annotated[str | None, REGION] = None,
    account_id: Annotated[
        str | None, typer.Option("--account-id", metavar="DIGITS", help="The AWS account.", show_default=False)
    ] = None,
    resource_id: Annotated[
        str | None,
        typer.Option("--resource-id", metavar="ID", help="db-..., cluster-... or prx-...", show_default=False),
    ] = None,
) -> None:
    """Print the CREATE USER statement and the IAM policy that a database user needs."""
    from ..commands.grants import grants as print_grants
    from ..net.address import Address

    try:
        address = Address.parse(endpoint)
        text = print_grants(address, db_user, region=region, account=account_id, resource=resource_id)
    except ValueError as exc:
        raise ConfigError([str(exc)]) from None
    sys.stdout.write(text)
