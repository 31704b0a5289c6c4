"""Flags and the variables that stand for them: what the commands of `cli` share."""

from typing import TYPE_CHECKING, cast

import typer

if TYPE_CHECKING:
    from ..config import Flag

_VARIABLE = "RDS_IAM_PROXY_"


def variable(name: str) -> str:
    """The environment variable that stands for a flag."""
    return _VARIABLE + name.lstrip("-").replace("-", "_").upper()


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


def given(ctx: typer.Context) -> "dict[str, Flag]":
    """The values that were given, with the name of the flag or of the variable each came from."""
    from ..config import Flag

    flags = {}
    for parameter in ctx.command.params:
        key = parameter.name
        source = ctx.get_parameter_source(key) if key else None
        if key is None or source is None or source.name not in ("COMMANDLINE", "ENVIRONMENT"):
            continue
        name = "ENDPOINT" if key == "endpoint" else parameter.opts[0]
        flags[key] = Flag(name if source.name == "COMMANDLINE" else variable(name), str(ctx.params[key]))
    return flags
