"""The command line: flags and variables in, exit code out. What a command does is loaded when it is called."""

import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .. import __version__
from ..errors.tree import ConfigError
from ..logs import escaped, event, say, setup
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
    switch,
    variable,
)
from .jobs import grants, run_command
from .programs import Programs, programs_of
from .status import status, wait

if TYPE_CHECKING:
    from ..config import Config
    from ..net.address import Address

_NAME = "rds-iam-proxy"
_NO_SUCH_FLAG = (
    "--password: there is no such flag, because other users of this machine can read command lines, and shells keep"
    " them. Use --password-env VARIABLE or --password-file FILE. A password that you just typed here is no longer"
    " a secret."
)

_COMPLETION_FLAGS = ("--install-completion", "--show-completion")
_COMPLETION_BY_NAME = (
    "which shell this is cannot be told, or there is no completion for it. Name it yourself: bash, zsh and fish have"
    " one. For bash:\n"
    "  _RDS_IAM_PROXY_COMPLETE=source_bash rds-iam-proxy >> ~/.bashrc"
)

_log = logging.getLogger(__name__)

app = typer.Typer(
    name=_NAME,
    help="A local MySQL proxy that logs in to Amazon RDS and Aurora with IAM tokens.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        return _no_completion() if code and _wants_completion(args) else code
    except ConfigError as exc:
        return _report(exc.faults)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:
        if isinstance(exc, OSError) and _wants_completion(args):  # shellingham's, where there is no /proc and no ps
            return _no_completion()
        sys.stderr.write(f"{_NAME}: unexpected error: {type(exc).__name__}: {escaped(str(exc))}\n")
        event(_log, logging.DEBUG, "unexpected error", exception=exc)
        return 1
    return 0


def _has_password_flag(args: Sequence[str]) -> bool:
    flags = list(args)[: args.index("--")] if "--" in args else args
    return any(arg == "--password" or arg.startswith("--password=") for arg in flags)


def _wants_completion(args: Sequence[str]) -> bool:
    return any(arg in _COMPLETION_FLAGS for arg in args[:1])


def _no_completion() -> int:
    sys.stderr.write(f"{_NAME}: {_COMPLETION_BY_NAME}\n")
    return 1


def _report(faults: Sequence[str]) -> int:
    lines = [escaped(fault) for fault in faults]
    if len(lines) > 1:
        lines = [f"{len(lines)} faults:", *(f"  {line}" for line in lines)]
    sys.stderr.write(f"{_NAME}: " + "\n".join(lines) + "\n")
    return 2


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
        str | None, flag("--config", "FILE", "Targets, listeners, accounts; instead of ENDPOINT.")
    ] = None,
    listen: Annotated[
        str | None, flag("--listen", "HOST:PORT", "Where clients connect, also unix:/PATH; default 127.0.0.1:3306.")
    ] = None,
    db_user: Annotated[str | None, DB_USER] = None,
    user: Annotated[str | None, flag("--user", "NAME", "What clients log in as; default: as --db-user.")] = None,
    password_env: Annotated[
        str | None, flag("--password-env", "VARIABLE", "The environment variable that holds the clients' password.")
    ] = None,
    password_file: Annotated[
        str | None, flag("--password-file", "FILE", "The file that holds it, readable by its owner only.")
    ] = None,
    dial: Annotated[str | None, DIAL] = None,
    region: Annotated[str | None, REGION] = None,
    profile: Annotated[str | None, PROFILE] = None,
    ca_file: Annotated[str | None, CA_FILE] = None,
    logins_per_second: Annotated[str | None, LOGINS_PER_SECOND] = None,
    max_sessions: Annotated[str | None, MAX_SESSIONS] = None,
    admin: Annotated[
        str | None, flag("--admin", "HOST:PORT", "Status page, health and metrics, as 127.0.0.1:9090; default: none.")
    ] = None,
    admin_token_file: Annotated[
        str | None, flag("--admin-token-file", "FILE", "The token that ending a session there asks for.")
    ] = None,
    drain_timeout: Annotated[str | None, DRAIN_TIMEOUT] = None,
    quit_after_idle: Annotated[
        float | None,
        typer.Option(
            "--quit-after-idle",
            metavar="SECONDS",
            help="End when nobody has been connected for so long.",
            envvar=variable("--quit-after-idle"),
            show_default=False,
            min=0.0,
        ),
    ] = None,
    exit_zero_on_sigterm: Annotated[
        bool, switch("--exit-zero-on-sigterm", "Exit with 0 after SIGTERM even if busy sessions were cut.")
    ] = False,
    watch: Annotated[
        bool, switch("--watch", "Reload when a file of the configuration changes, not only on SIGHUP.")
    ] = False,
    log_format: Annotated[str | None, LOG_FORMAT] = None,
    log_level: Annotated[str | None, flag("--log-level", "LEVEL", "debug, info (default), warning or error.")] = None,
) -> None:
    """Let clients log in here with a plain password, and log in to the database with IAM."""
    from ..service.hangup import Hangup

    hangup = Hangup()  # before anything that takes long: until now SIGHUP ends the process
    ctx.call_on_close(hangup.close)
    from ..aws.cnames import rds_name_hint
    from ..config import from_file, from_flags
    from ..config.password import random_password
    from ..service.lifecycle import Lifecycle
    from ..service.systemd import take_from

    flags = given(ctx)
    for name in ("quit_after_idle", "exit_zero_on_sigterm", "watch"):
        flags.pop(name, None)
    file = flags.pop("config", None)
    made = None
    if file is None and sys.stderr.isatty() and not flags.keys() & {"password_env", "password_file"}:
        made = random_password()

    def load() -> "Config":
        if file is None:
            return from_flags(flags, os.environ, generated_password=made, rds_name_behind=rds_name_hint)
        return from_file(Path(file.value), os.environ, flags, rds_name_behind=rds_name_hint)

    settings = load()
    setup(settings.log.format, settings.log.level)
    for warning in settings.warnings:
        event(_log, logging.WARNING, "unwise configuration", why=warning)

    def ready(addresses: "tuple[Address | Path, ...]") -> None:
        if file is None and sys.stderr.isatty():
            _print_connect_lines(addresses[0], settings.accounts[0].user, made)

    notifier, sockets = take_from(os.environ)
    lifecycle = Lifecycle(load, watch, quit_after_idle, exit_zero_on_sigterm, notifier, hangup, sockets)
    raise typer.Exit(programs_of(ctx).serve(settings, on_ready=ready, lifecycle=lifecycle))


@app.command()
def demo(
    ctx: typer.Context,
    listen: Annotated[
        str | None, flag("--listen", "HOST:PORT", "Default: 127.0.0.1 and the first free port from 3306 on.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", envvar=variable("--once"), help="Exit when the login has been shown to work.")
    ] = False,
) -> None:
    """Show it on this machine alone: a make-believe RDS, the proxy in front, one login through both."""
    from ..config import loopback_bind

    address = None
    if listening := given(ctx).get("listen"):
        try:
            address = loopback_bind(listening.value)
        except ValueError as exc:
            raise ConfigError([f"{listening.name}: {exc}"]) from None
    setup()
    raise typer.Exit(programs_of(ctx).demo(address, once))


def _with_flags_of_serve(command: Callable[..., None]) -> Callable[..., None]:
    """So that a command line of `serve` can be checked as it is. typer reads the signature."""
    own, of_serve = inspect.signature(command), inspect.signature(serve)
    kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [one for name, one in of_serve.parameters.items() if name not in own.parameters]
    cast(Any, command).__signature__ = own.replace(parameters=[*kept, *more])
    command.__annotations__ = {one.name: one.annotation for one in (*kept, *more)} | {"return": None}
    return command


@app.command()
@_with_flags_of_serve
def check(
    ctx: typer.Context,
    as_json: Annotated[bool, switch("--json", "Print the findings as JSON.")] = False,
    **_flags_of_serve: object,
) -> None:
    """Try a login step by step, and say what to do at the first that fails. Exit code 0 or 1; listens nowhere."""
    from ..aws.cnames import rds_name_hint
    from ..commands.check import run as run_check
    from ..config import from_file, from_flags
    from ..config.password import random_password

    flags = given(ctx)
    for name in ("as_json", "quit_after_idle", "exit_zero_on_sigterm", "watch"):
        flags.pop(name, None)
    file = flags.pop("config", None)

    def load() -> "Config":
        if file is not None:
            return from_file(Path(file.value), os.environ, flags, rds_name_behind=rds_name_hint)
        # No client logs in here, so no password is asked for.
        made = None if flags.keys() & {"password_env", "password_file"} else random_password()
        return from_flags(flags, os.environ, generated_password=made, rds_name_behind=rds_name_hint)

    setup(level="warning")
    raise typer.Exit(run_check(load, as_json=as_json, stream=sys.stdout))


app.command("run")(run_command)
app.command()(grants)
app.command()(status)
app.command()(wait)


@app.command()
def hash_password(
    generate: Annotated[
        bool,
        typer.Option("--generate", envvar=variable("--generate"), help="Make a password, and print it on stderr."),
    ] = False,
) -> None:
    """Print the password_hash of a password, which is read from the terminal or stdin."""
    from ..commands.hash_password import hash_password as run_hash_password

    run_hash_password(generate=generate, stdin=sys.stdin.buffer, stdout=sys.stdout, stderr=sys.stderr)


def _print_connect_lines(address: "Address | Path", user: str, made: str | None) -> None:
    from ..commands.connect_lines import connect_lines

    lines = "".join(f"  {escaped(line)}\n" for line in connect_lines(address, user))
    password = "" if made is None else f"\nThe password, made for this run and shown only now:\n\n  {made}\n"
    say(f"\nReady. To connect:\n\n{lines}{password}")
