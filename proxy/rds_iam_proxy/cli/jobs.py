"""The commands `run` and `grants`."""

import os
import sys

import click

from ..config import Engine
from ..config.flags import CONFIG_FLAGS, Flag
from ..config.values import ENGINE_PORTS
from ..errors.tree import ConfigError
from ..logs import setup
from .flags import given, takes
from .programs import programs_of

_ALONE = {"targets", "log", ""}
"""Tables of which a job has one of its own; its listener and its account are made for it."""

RUN_FLAGS = tuple(
    row for row in CONFIG_FLAGS if row.table in _ALONE or row.key in ("accounts.db_user", "accounts.database")
)


@click.command("run")
@takes(RUN_FLAGS[0])
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@takes(*RUN_FLAGS[1:])
@click.option("--env-prefix", metavar="PREFIX", default="DB_", help="Of HOST, PORT, SOCKET, USER and PASSWORD.")
@click.pass_context
def run_command(ctx: click.Context, command: tuple[str, ...], env_prefix: str) -> int:
    """Run one command with a proxy of its own, and return its exit code.

    Any client in it connects through the environment: DB_HOST, DB_PORT, DB_SOCKET, DB_USER, DB_PASSWORD, and for the
    stock clients MYSQL_UNIX_PORT, MYSQL_TCP_PORT, MYSQL_PWD, or PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE.
    Here the default of --log-level is warning.
    """
    from ..aws.cnames import rds_name_hint
    from ..commands.run import Job
    from ..config.load import from_flags
    from ..config.password import random_password

    password = random_password()
    config = from_flags(
        {"log.level": Flag("--log-level", "warning"), **given(ctx)},
        os.environ,
        generated_password=password,
        rds_name_behind=rds_name_hint,
    )
    setup(config.log.format, config.log.level, in_colour=config.log.in_colour)
    return programs_of(ctx).run_job(Job(command, env_prefix, os.environ), config, password)


@click.command()
@click.argument("endpoint", metavar="ENDPOINT[:PORT]")
@click.option("--db-user", metavar="NAME", required=True, help="The database user.")
@click.option("--engine", type=click.Choice(["mysql", "postgres"]), help="Default: postgres for port 5432, else mysql.")
@click.option("--region", metavar="REGION", help="Only for a global endpoint; others name theirs.")
@click.option("--account-id", metavar="DIGITS", help="The AWS account.")
@click.option("--resource-id", metavar="ID", help="db-..., cluster-... or prx-...")
def grants(
    endpoint: str,
    db_user: str,
    engine: Engine | None,
    region: str | None,
    account_id: str | None,
    resource_id: str | None,
) -> None:
    """Print the CREATE USER statement and the IAM policy that a database user needs."""
    from ..commands.grants import grants as print_grants
    from ..net.address import Address

    try:
        address = Address.parse(endpoint)
        engine = engine or ("postgres" if address.port == ENGINE_PORTS["postgres"] else "mysql")
        text = print_grants(address, db_user, engine, region=region, account=account_id, resource=resource_id)
    except ValueError as exc:
        raise ConfigError([str(exc)]) from None
    sys.stdout.write(text)
