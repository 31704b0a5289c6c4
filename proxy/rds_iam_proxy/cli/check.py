"""The command `check`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.flags import FlagRow
from ..logs import setup, takes_colours
from .flags import PASSWORD_KEYS, given, takes
from .serve import SERVE_FLAGS, SERVICE_FLAGS

if TYPE_CHECKING:
    from ..config import Config

JSON = FlagRow("--json", "", "", "Print the findings as JSON.")
CONFIG_ONLY = FlagRow("--config-only", "", "", "Only read the configuration and its files, for CI and ExecStartPre=.")


@click.command()
@takes(SERVE_FLAGS[0], CONFIG_ONLY, JSON, *SERVE_FLAGS[1:], ignored=SERVICE_FLAGS)
@click.pass_context
def check(ctx: click.Context, config: str | None, config_only: bool, json: bool) -> int:
    """Try a login step by step, and say what to do at the first that fails.

    Takes the command line of `serve`, but listens nowhere. Exit code 0 or 1; --config-only asks no network.
    """
    from ..aws.cnames import rds_name_hint
    from ..commands.check import run
    from ..config.load import from_file, from_flags
    from ..config.password import random_password
    from ..config.surroundings import no_dns

    flags = given(ctx)
    rds_name_behind = no_dns if config_only else rds_name_hint

    def load() -> "Config":
        if config is not None:
            return from_file(Path(config), os.environ, flags, rds_name_behind=rds_name_behind)
        # No client logs in here, so no password is asked for.
        made = None if flags.keys() & PASSWORD_KEYS else random_password()
        return from_flags(flags, os.environ, generated_password=made, rds_name_behind=rds_name_behind)

    setup(level="warning", in_colour=takes_colours(os.environ))
    return run(load, config_only=config_only, as_json=json, stream=sys.stdout)
