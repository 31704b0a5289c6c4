"""Flags and the variables that stand for them: what the commands of `cli` share."""

from typing import cast

import typer

from ..config.flags import CONFIG_FLAGS, Flag, variable

_KEYS = {row.name: row.key for row in CONFIG_FLAGS}


def flag(name: str, metavar: str, help: str) -> typer.models.OptionInfo:
    """A flag that takes text; what the text means is for `config`, which reports all faults at once."""
    return cast(
        typer.models.OptionInfo,
        typer.Option(name, metavar=metavar, help=help, envvar=variable(name), show_default=False),
    )


def switch(name: str, help: str) -> typer.models.OptionInfo:
    return cast(typer.models.OptionInfo, typer.Option(name, help=help, envvar=variable(name), show_default=False))


DB_USER = flag("--db-user", "NAME", "The database user to log in as with IAM.")
DIAL = flag("--dial", "HOST:PORT", "Where to connect instead of ENDPOINT: the near end of a tunnel.")
REGION = flag("--region", "REGION", "Only for a global endpoint; others name theirs.")
PROFILE = flag("--profile", "NAME", "The AWS profile whose credentials sign.")
CA_FILE = flag("--ca-file", "FILE", "CA certificates to trust instead of the bundled RDS and Amazon roots.")
LOGINS_PER_SECOND = flag("--logins-per-second", "N", "New logins to the database at most; default 100.")
MAX_SESSIONS = flag("--max-sessions", "N", "Sessions at once at most; default 500.")
DRAIN_TIMEOUT = flag("--drain-timeout", "SECONDS", "How long sessions may go on at a stop; default 30.")
LOG_FORMAT = flag("--log-format", "text|json", "Default: text on a terminal, else json.")


def given(ctx: typer.Context) -> dict[str, Flag]:
    """What the configuration knows of the flags that were given, by its keys, with the name of flag or variable."""
    flags = {}
    for parameter in ctx.command.params:
        name = "ENDPOINT" if parameter.name == "endpoint" else parameter.opts[0]
        if (source := source_of(ctx, name)) and name in _KEYS:
            flags[_KEYS[name]] = Flag(source, str(ctx.params[str(parameter.name)]))
    return flags


def source_of(ctx: typer.Context, name: str) -> str | None:
    """The flag, or its variable if that is where the value is from; None where it was not given."""
    source = ctx.get_parameter_source(name.lstrip("-").replace("-", "_").lower())
    if source is None or source.name not in ("COMMANDLINE", "ENVIRONMENT"):
        return None
    return name if source.name == "COMMANDLINE" else variable(name)
