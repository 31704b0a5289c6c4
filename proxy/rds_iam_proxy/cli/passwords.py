"""The commands `password` and `hash-password`."""

import sys
from pathlib import Path

import click

from ..config.flags import FlagRow
from .flags import takes


@click.command()
@click.argument("file", metavar="FILE")
def password(file: str) -> None:
    """Make a random password in FILE, for --password-file, and print it once.

    FILE gets mode 0600, and its folder is made with mode 0700 if there is none.
    """
    from ..commands.make_password import make_password

    make_password(Path(file), stdout=sys.stdout, stderr=sys.stderr)


@click.command("hash-password")
@takes(FlagRow("--generate", "", "", "Make a password, and print it on stderr."))
@takes(FlagRow("--salt", "", "SALT", "That of the hash beside which it is to be valid (PostgreSQL)."))
def hash_password(generate: bool, salt: str | None) -> None:
    """Print the password_hash of a password, which is read from the terminal or stdin."""
    from ..commands.hash_password import hash_password as run

    run(generate=generate, salt=salt, stdin=sys.stdin.buffer, stdout=sys.stdout, stderr=sys.stderr)
