"""The command line: flags and variables in, exit code out. What a command does is loaded when it is called."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from . import __version__
from .errors import ConfigError
from .logs import escaped, event, setup

if TYPE_CHECKING:
    from .config import Config, Flag
    from .endpoint import Address

_NAME = "rds-iam-proxy"
_VARIABLE = "RDS_IAM_PROXY_"
_NO_SUCH_FLAG = (
    "--password: there is no such flag, because other users of this machine can read command lines, and shells keep"
    " them. Use --password-env VARIABLE or --password-file FILE. A password that you just typed here is no longer"
    " a secret."
)

_log = logging.getLogger(__name__)

OnReady = Callable[[tuple["Address | Path", ...]], None]


class Serve(Protocol):
    """`server.run`"""

    def __call__(self, config: "Config", *, on_ready: OnReady | None = None) -> int: ...


def _serve(config: "Config", *, on_ready: OnReady | None = None) -> int:
    from .server import run

    return run(config, on_ready=on_ready)


def _demo(listen: "Address | None", once: bool) -> int:
    from .demo import run

    return run(listen, once)


@dataclass(frozen=True, slots=True)
class Programs:
    """What the commands start, loaded only then."""

    serve: Serve = _serve
    demo: Callable[["Address | None", bool], int] = _demo


app = typer.Typer(
    name=_NAME,
    help="A local MySQL proxy that logs in to Amazon RDS and Aurora with IAM tokens.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(args: Sequence[str], programs: Programs | None = None) -> int:
    """Run one command. 0: done; 1: an unexpected error; 2: bad flags or configuration, all faults on stderr."""
    if _has_password_flag(args):
        return _report([_NO_SUCH_FLAG])
    try:
        typer.main.get_command(app)(args=list(args), prog_name=_NAME, obj=programs or Programs())
    except SystemExit as exc:  # how typer returns
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except ConfigError as exc:
        return _report(exc.faults)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:
        sys.stderr.write(f"{_NAME}: unexpected error: {type(exc).__name__}: {escaped(str(exc))}\n")
        event(_log, logging.DEBUG, "unexpected error", exception=exc)
        return 1
    return 0


def _has_password_flag(args: Sequence[str]) -> bool:
    flags = list(args)[: args.index("--")] if "--" in args else args
    return any(arg == "--password" or arg.startswith("--password=") for arg in flags)


def _report(faults: Sequence[str]) -> int:
    lines = [escaped(fault) for fault in faults]
    if len(lines) > 1:
        lines = [f"{len(lines)} faults:", *(f"  {line}" for line in lines)]
    sys.stderr.write(f"{_NAME}: " + "\n".join(lines) + "\n")
    return 2


def _variable(flag: str) -> str:
    return _VARIABLE + flag.lstrip("-").replace("-", "_").upper()


def _flag(name: str, metavar: str, help: str) -> typer.models.OptionInfo:
    """A flag that takes text; what the text means is for `config`, which reports all faults at once."""
    return cast(
        typer.models.OptionInfo,
        typer.Option(name, metavar=metavar, help=help, envvar=_variable(name), show_default=False),
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{_NAME} {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    ctx: typer.Context,
    endpoint: Annotated[
        str | None,
        typer.Argument(metavar="ENDPOINT[:PORT]", show_default=False, help="The database, as RDS names it."),
    ] = None,
    config: Annotated[
        str | None, _flag("--config", "FILE", "Targets, listeners, accounts; instead of ENDPOINT.")
    ] = None,
    listen: Annotated[
        str | None, _flag("--listen", "HOST:PORT", "Where clients connect; default 127.0.0.1:3306.")
    ] = None,
    db_user: Annotated[str | None, _flag("--db-user", "NAME", "The database user to log in as with IAM.")] = None,
    user: Annotated[str | None, _flag("--user", "NAME", "What clients log in as; default: as --db-user.")] = None,
    password_env: Annotated[
        str | None, _flag("--password-env", "VARIABLE", "The environment variable that holds the clients' password.")
    ] = None,
    password_file: Annotated[
        str | None, _flag("--password-file", "FILE", "The file that holds it, readable by its owner only.")
    ] = None,
    dial: Annotated[
        str | None, _flag("--dial", "HOST:PORT", "Where to connect instead of ENDPOINT: the near end of a tunnel.")
    ] = None,
    region: Annotated[
        str | None, _flag("--region", "REGION", "Only for a global endpoint; others name theirs.")
    ] = None,
    profile: Annotated[str | None, _flag("--profile", "NAME", "The AWS profile whose credentials sign.")] = None,
    ca_file: Annotated[
        str | None, _flag("--ca-file", "FILE", "CA certificates to trust instead of the bundled RDS and Amazon roots.")
    ] = None,
    logins_per_second: Annotated[
        str | None, _flag("--logins-per-second", "N", "New logins to the database at most; default 100.")
    ] = None,
    max_sessions: Annotated[str | None, _flag("--max-sessions", "N", "Sessions at once at most; default 500.")] = None,
    drain_timeout: Annotated[
        str | None, _flag("--drain-timeout", "SECONDS", "How long sessions may go on at a stop; default 30.")
    ] = None,
    log_format: Annotated[
        str | None, _flag("--log-format", "text|json", "Default: text on a terminal, else json.")
    ] = None,
    log_level: Annotated[str | None, _flag("--log-level", "LEVEL", "debug, info (default), warning or error.")] = None,
) -> None:
    """Let clients log in here with a plain password, and log in to the database with IAM."""
    from .config import from_file, from_flags
    from .local_password import random_password

    flags = _given(ctx)
    file = flags.pop("config", None)
    made = None
    if file is None:
        if sys.stderr.isatty() and not flags.keys() & {"password_env", "password_file"}:
            made = random_password()
        settings = from_flags(flags, os.environ, generated_password=made)
    else:
        settings = from_file(Path(file.value), os.environ, flags)
    setup(settings.log.format, settings.log.level)
    for warning in settings.warnings:
        event(_log, logging.WARNING, "unwise configuration", why=warning)

    def ready(addresses: "tuple[Address | Path, ...]") -> None:
        if file is None and sys.stderr.isatty():
            _print_connect_lines(addresses[0], settings.accounts[0].user, made)

    raise typer.Exit(_programs(ctx).serve(settings, on_ready=ready))


@app.command()
def demo(
    ctx: typer.Context,
    listen: Annotated[
        str | None, _flag("--listen", "HOST:PORT", "Default: 127.0.0.1 and the first free port from 3306 on.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", envvar=_variable("--once"), help="Exit when the login has been shown to work.")
    ] = False,
) -> None:
    """Show it on this machine alone: a make-believe RDS, the proxy in front, one login through both."""
    from .config import loopback_bind

    address = None
    if given := _given(ctx).get("listen"):
        try:
            address = loopback_bind(given.value)
        except ValueError as exc:
            raise ConfigError([f"{given.name}: {exc}"]) from None
    setup()
    raise typer.Exit(_programs(ctx).demo(address, once))


@app.command()
def hash_password(
    generate: Annotated[
        bool,
        typer.Option("--generate", envvar=_variable("--generate"), help="Make a password, and print it on stderr."),
    ] = False,
) -> None:
    """Print the password_hash of a password, which is read from the terminal or stdin."""
    from .hash_password import hash_password as run_hash_password

    run_hash_password(generate=generate, stdin=sys.stdin.buffer, stdout=sys.stdout, stderr=sys.stderr)


def _programs(ctx: typer.Context) -> Programs:
    return cast(Programs, ctx.obj)


def _given(ctx: typer.Context) -> "dict[str, Flag]":
    """The values that were given, with the name of the flag or of the variable each came from."""
    from .config import Flag

    given = {}
    for parameter in ctx.command.params:
        key = parameter.name
        source = ctx.get_parameter_source(key) if key else None
        if key is None or source is None or source.name not in ("COMMANDLINE", "ENVIRONMENT"):
            continue
        flag = "ENDPOINT" if key == "endpoint" else parameter.opts[0]
        given[key] = Flag(flag if source.name == "COMMANDLINE" else _variable(flag), str(ctx.params[key]))
    return given


def _print_connect_lines(address: "Address | Path", user: str, made: str | None) -> None:
    from .connect_help import connect_lines

    lines = "".join(f"  {escaped(line)}\n" for line in connect_lines(address, user))
    password = "" if made is None else f"\nThe password, made for this run and shown only now:\n\n  {made}\n"
    sys.stderr.write(f"\nReady. To connect:\n\n{lines}{password}\n")
    sys.stderr.flush()
