"""The command `hash-password`."""

import sys

import click

from ..config.flags import FlagRow
from .flags import takes


@click.command("hash-password")
@takes(FlagRow("--generate", "", "", "Make a password, and print it on stderr."))
def hash_password(generate: bool) -> None:
    """Print the password_hash of a password, which is read from the terminal or stdin."""
    from ..commands.hash_password import hash_password as run

    run(generate=generate, stdin=sys.stdin.buffer, stdout=sys.stdout, stderr=sys.stderr)
