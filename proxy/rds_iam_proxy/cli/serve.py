"""The command `serve`."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.flags import CONFIG_FLAGS
from ..logs import escaped, event, say, setup
from .flags import CONFIG, EXIT_ZERO, PASSWORD_KEYS, QUIT_AFTER_IDLE, WATCH, given, takes
from .programs import programs_of

if TYPE_CHECKING:
    from ..config import Config, Engine
    from ..net.address import Address

SERVICE_FLAGS = (QUIT_AFTER_IDLE, EXIT_ZERO, WATCH)
SERVE_FLAGS = (CONFIG_FLAGS[0], CONFIG, *CONFIG_FLAGS[1:], *SERVICE_FLAGS)

_log = logging.getLogger(__name__)


@click.command()
@takes(*SERVE_FLAGS)
@click.pass_context
def serve(
    ctx: click.Context, config: str | None, quit_after_idle: float | None, exit_zero_on_sigterm: bool, watch: bool
) -> int:
    """Let clients log in here with a plain password, and log in to the database with IAM.

    ENDPOINT is the database, as RDS names it.
    """
    from ..service.hangup import Hangup

    hangup = Hangup()  # before anything that takes long: until now SIGHUP ends the process
    ctx.call_on_close(hangup.close)
    from ..aws.cnames import rds_name_hint
    from ..config.load import from_file, from_flags
    from ..config.loopback import ONLY_LOOPBACK, loopback_reaches_nobody
    from ..config.password import random_password
    from ..service.lifecycle import Lifecycle
    from ..service.systemd import take_from

    flags = given(ctx)
    made = None
    if config is None and sys.stderr.isatty() and not flags.keys() & PASSWORD_KEYS:
        made = random_password()

    def load() -> "Config":
        if config is None:
            return from_flags(flags, os.environ, generated_password=made, rds_name_behind=rds_name_hint)
        return from_file(Path(config), os.environ, flags, rds_name_behind=rds_name_hint)

    settings = load()
    setup(settings.log.format, settings.log.level, in_colour=settings.log.in_colour)
    for warning in settings.warnings:
        event(_log, logging.WARNING, "unwise configuration", why=warning)

    def ready(addresses: "tuple[Address | Path, ...]") -> None:
        if loopback_reaches_nobody(settings.listeners, os.environ):
            event(_log, logging.INFO, "listening on loopback only", why=ONLY_LOOPBACK)
        if config is None and sys.stderr.isatty():
            (target,) = settings.targets.values()
            _print_connect_lines(addresses[0], settings.accounts[0].user, target.engine, made)

    notifier, sockets = take_from(os.environ)
    lifecycle = Lifecycle(
        load,
        watch,
        quit_after_idle,
        exit_zero_on_sigterm,
        notifier,
        hangup,
        sockets,
        configuration="flags" if config is None else str(Path(config).absolute()),
    )
    return programs_of(ctx).serve(settings, on_ready=ready, lifecycle=lifecycle)


def _print_connect_lines(address: "Address | Path", user: str, engine: "Engine", made: str | None) -> None:
    from ..commands.connect_lines import connect_lines

    lines = "".join(f"  {escaped(line)}\n" for line in connect_lines(address, user, engine))
    password = "" if made is None else f"\nThe password, made for this run and shown only now:\n\n  {made}\n"
    say(f"\nReady. To connect:\n\n{lines}{password}")
