"""Completion in the shell: `--show-completion` and `--install-completion`, for the shell that $SHELL names."""

import os
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

_FILES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/rds-iam-proxy.fish",
}
_BEFORE = {"zsh": "autoload -Uz compinit && compinit\n"}
_VARIABLE = "_RDS_IAM_PROXY_COMPLETE"
_BY_NAME = (
    "which shell this is cannot be told, or there is no completion for it. Name it yourself: bash, zsh and fish have"
    f" one. For bash:\n  {_VARIABLE}=bash_source rds-iam-proxy >> ~/.bashrc"
)


def show(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(_script(ctx, _shell()))
        ctx.exit()


def install(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Append the script to the shell's file, unless it is there already."""
    if not wanted:
        return
    shell = _shell()
    path = Path(_FILES[shell]).expanduser()
    script = _script(ctx, shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or script not in path.read_text("utf-8", "surrogateescape"):
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\n{_BEFORE.get(shell, '')}{script}\n")
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from None
    sys.stdout.write(f"Completion for {shell} is in {path}; it works in new shells.\n")
    ctx.exit()


def _shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in _FILES:
        raise click.ClickException(_BY_NAME)
    return name


def _script(ctx: click.Context, shell: str) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(_BY_NAME)
    return kind(ctx.command, {}, "rds-iam-proxy", _VARIABLE).source()
