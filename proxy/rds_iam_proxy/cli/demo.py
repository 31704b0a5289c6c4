"""The command `demo`."""

import click

from ..config import Engine
from ..config.flags import FlagRow
from ..config.values import ENGINE_PORTS
from ..errors.tree import ConfigError
from .flags import source_of, takes
from .programs import programs_of

_LISTEN = FlagRow("--listen", "", "HOST:PORT", "Default: 127.0.0.1 and the first free port from 3306 on, or 5432.")
_ONCE = FlagRow("--once", "", "", "Exit when the login has been shown to work.")


@click.command()
@takes(_LISTEN, _ONCE)
@click.option("--engine", type=click.Choice(["mysql", "postgres"]), default="mysql", help="What to play.")
@click.pass_context
def demo(ctx: click.Context, listen: str | None, once: bool, engine: Engine) -> int:
    """Show it on this machine alone: a make-believe RDS, the proxy in front, one login through both."""
    from ..net.address import Address

    address = None
    if listen is not None:
        try:
            address = Address.parse(listen, default_port=ENGINE_PORTS[engine])
            if not address.is_loopback:
                raise ValueError(f"{address.host} is not a loopback address; use 127.0.0.1:{address.port}")
        except ValueError as exc:
            raise ConfigError([f"{source_of(ctx, _LISTEN.name)}: {exc}"]) from None
    return programs_of(ctx).demo(address, once, engine)
