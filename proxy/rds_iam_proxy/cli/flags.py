"""From the table of flags to what the parser takes, and back to what the configuration knows."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import click

from ..config.flags import CONFIG_FLAGS, Flag, FlagRow, Flags, variable

CONFIG = FlagRow("--config", "", "FILE", "Targets, listeners, accounts; instead of ENDPOINT.")
QUIT_AFTER_IDLE = FlagRow("--quit-after-idle", "", "SECONDS", "End when nobody has been connected for so long.")
EXIT_ZERO = FlagRow("--exit-zero-on-sigterm", "", "", "Exit with 0 after SIGTERM even if busy sessions were cut.")
WATCH = FlagRow("--watch", "", "", "Reload when a file of the configuration changes, not only on SIGHUP.")
PASSWORD_KEYS = frozenset({"accounts.password_env", "accounts.password_file"})

F = TypeVar("F", bound=Callable[..., Any])
_GIVEN = f"{__name__}.given"


def takes(*rows: FlagRow, ignored: Collection[FlagRow] = ()) -> Callable[[F], F]:
    """The command takes these flags. Those of the configuration are for `given`, the others are its parameters."""

    def add(function: F) -> F:
        for row in reversed(rows):
            function = _parameter(row, ignored=row in ignored)(function)
        return function

    return add


def _parameter(row: FlagRow, *, ignored: bool) -> Callable[[F], F]:
    kept: dict[str, Any] = {"expose_value": False, "callback": _keep(row)} if row.key else {"expose_value": not ignored}
    if not row.name.startswith("-"):
        return click.argument(row.name.lower(), metavar=row.metavar, required=False, **kept)
    if not row.metavar:
        return click.option(row.name, is_flag=True, envvar=row.variable, show_envvar=True, help=row.help, **kept)
    kind = click.FloatRange(min=0) if row.metavar == "SECONDS" and not row.key else click.STRING
    return click.option(
        row.name, metavar=row.metavar, type=kind, envvar=row.variable, show_envvar=True, help=row.help, **kept
    )


def _keep(row: FlagRow) -> Callable[[click.Context, click.Parameter, object], None]:
    def keep(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
        if source := source_of(ctx, row.name):
            ctx.meta.setdefault(_GIVEN, {})[row.key] = Flag(source, str(value))

    return keep


def given(ctx: click.Context) -> Flags:
    """What the configuration knows of the flags that were given, in the order of the table."""
    flags: Flags = ctx.meta.get(_GIVEN, {})
    return {row.key: flags[row.key] for row in CONFIG_FLAGS if row.key in flags}


def source_of(ctx: click.Context, name: str) -> str | None:
    """The flag, or its variable if that is where the value is from; None where it was not given."""
    source = ctx.get_parameter_source(name.lstrip("-").replace("-", "_").lower())
    if source is None or source.name not in ("COMMANDLINE", "ENVIRONMENT"):
        return None
    return name if source.name == "COMMANDLINE" else variable(name)
