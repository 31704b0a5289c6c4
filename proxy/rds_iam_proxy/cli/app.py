"""The command line: flags and variables in, exit code out. What a command does is loaded when it is called."""

import logging
import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..errors.tree import ConfigError
from ..logs import escaped, event
from . import completion
from .check import check
from .demo import demo
from .jobs import grants, run_command
from .passwords import hash_password, password
from .programs import Programs
from .serve import serve
from .status import status, wait

_NAME = "rds-iam-proxy"
_NO_SUCH_FLAG = (
    "--password: there is no such flag, because other users of this machine can read command lines, and shells keep"
    " them. Use --password-env VARIABLE or --password-file FILE. A password that you just typed here is no longer"
    " a secret."
)
_FIRST = (serve, check, run_command, demo)
_MORE = (status, wait, grants, password, hash_password)
_EXAMPLES = """\
See it work, on this machine alone:
  rds-iam-proxy demo

Find out what is missing:
  rds-iam-proxy check orders.abc123def456.eu-west-1.rds.amazonaws.com --db-user app

Serve on 127.0.0.1:3306, or 5432 for PostgreSQL, for any client:
  rds-iam-proxy serve orders.abc123def456.eu-west-1.rds.amazonaws.com --db-user app
"""

_log = logging.getLogger(__name__)


class _Root(click.Group):
    """Its help has the commands that matter first, in whole sentences, and examples."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [str(command.name) for command in (*_FIRST, *_MORE)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in (("Commands", _FIRST), ("More commands", _MORE)):
            with formatter.section(title):
                formatter.write_dl([(str(command.name), _sentence(command)) for command in commands])
        with formatter.section("Examples"):
            for line in _EXAMPLES.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}".rstrip() + "\n")


def _sentence(command: click.Command) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{_NAME} {__version__}\n")
        ctx.exit()


@click.group(
    cls=_Root,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"`{_NAME} COMMAND --help` lists the flags of a command. Each is an environment variable, too.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.option(
    "--install-completion",
    is_flag=True,
    expose_value=False,
    callback=completion.install,
    help="Add completion of commands and flags to your shell.",
)
@click.option(
    "--show-completion",
    is_flag=True,
    expose_value=False,
    callback=completion.show,
    help="Print what --install-completion adds.",
)
def app() -> None:
    """Log in to Amazon RDS and Aurora with IAM, from any MySQL or PostgreSQL client, through a port of this machine."""


for _command in (*_FIRST, *_MORE):
    app.add_command(_command)


def run(args: Sequence[str], programs: Programs | None = None) -> int:
    """Run one command. 0: done; 1: an unexpected error; 2: bad flags or configuration, all faults on stderr."""
    if _has_password_flag(args):
        return _report([_NO_SUCH_FLAG])
    try:
        code = app.main(list(args), prog_name=_NAME, standalone_mode=False, obj=programs or Programs())
    except SystemExit as exc:  # completion in the shell
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except click.UsageError as exc:
        exc.show()
        return exc.exit_code
    except click.ClickException as exc:
        sys.stderr.write(f"{_NAME}: {exc.message}\n")
        return exc.exit_code
    except ConfigError as exc:
        return _report(exc.faults)
    except click.Abort:  # Ctrl-C
        return 130
    except Exception as exc:
        sys.stderr.write(f"{_NAME}: unexpected error: {type(exc).__name__}: {escaped(str(exc))}\n")
        event(_log, logging.DEBUG, "unexpected error", exception=exc)
        return 1
    return code if isinstance(code, int) else 0


def _has_password_flag(args: Sequence[str]) -> bool:
    flags = list(args)[: args.index("--")] if "--" in args else args
    return any(arg == "--password" or arg.startswith("--password=") for arg in flags)


def _report(faults: Sequence[str]) -> int:
    lines = [escaped(fault) for fault in faults]
    if len(lines) > 1:
        lines = [f"{len(lines)} faults:", *(f"  {line}" for line in lines)]
    sys.stderr.write(f"{_NAME}: " + "\n".join(lines) + "\n")
    return 2
