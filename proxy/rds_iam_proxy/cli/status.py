"""The commands `status` and `wait`: they ask a running proxy."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.flags import FlagRow, variable
from ..errors.tree import ConfigError
from .flags import given, takes
from .quick import WAIT_SECONDS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..net.address import Address

WATCH_SECONDS = 1.0
WIDE = 160
"""Columns where there is no terminal."""

_ADMIN = FlagRow("--admin", "admin.bind", "HOST:PORT", "The admin address of the running proxy.")
_TIMEOUT = FlagRow("--timeout", "", "SECONDS", f"Give up then; default {WAIT_SECONDS:g}.")
_TOKEN = FlagRow("--admin-token-file", "admin.token_file", "FILE", "Its token, where there is a server in front of it.")


@click.command()
@takes(_ADMIN, _TOKEN)
@click.option("--watch", is_flag=True, help="Go on showing it until Ctrl-C.")
@click.option("--find", metavar="TEXT", default="", help="Only sessions with this in a name, an address or a number.")
@click.pass_context
def status(ctx: click.Context, watch: bool, find: str) -> None:
    """Show the targets, sessions and recent errors of a running proxy."""
    from ..commands.status_client import NoAnswer
    from ..commands.status_client import status as ask_at
    from ..commands.status_view import view

    address, token = _address(ctx), _token(ctx)

    def ask() -> "RenderableType":
        return view(ask_at(address, token, find))

    try:
        if watch:
            _watch(ask)
        else:
            _console().print(ask())
    except NoAnswer as exc:
        raise click.ClickException(exc.shown) from None


@click.command()
@takes(_ADMIN, _TIMEOUT)
@click.pass_context
def wait(ctx: click.Context, timeout: float | None) -> None:
    """Return once a running proxy is ready: exit code 0, or 1 if it does not become so in time."""
    from ..commands.status_client import NoAnswer, wait_until_ready

    try:
        wait_until_ready(_address(ctx), WAIT_SECONDS if timeout is None else timeout)
    except NoAnswer as exc:
        raise click.ClickException(exc.shown) from None


def _address(ctx: click.Context) -> "Address":
    from ..net.address import ADMIN_PORT, Address

    admin = given(ctx).get("admin.bind")
    if admin is None:
        raise ConfigError(
            [f"which proxy? Give --admin HOST:PORT, or set {variable('--admin')}, as the proxy was started with"]
        )
    try:
        return Address.parse(admin.value, default_port=ADMIN_PORT)
    except ValueError as exc:
        raise ConfigError([f"{admin.name}: {exc}"]) from None


def _token(ctx: click.Context) -> str | None:
    file = given(ctx).get("admin.token_file")
    if file is None:
        return None
    try:
        return Path(file.value).read_text("ascii").strip()
    except (OSError, UnicodeError) as exc:
        raise ConfigError([f"{file.name}: cannot read {file.value}: {exc}"]) from None


def _watch(ask: "Callable[[], RenderableType]") -> None:
    from rich.live import Live

    console = _console()
    try:
        with Live(ask(), console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(ask(), refresh=True)
    except KeyboardInterrupt:
        return


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)
