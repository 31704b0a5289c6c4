"""The command `hash-password`: reads or makes a password, prints what goes into `password_hash`."""

import base64
import binascii
import getpass
import secrets
from collections.abc import Callable
from typing import BinaryIO, TextIO

from pg_wire.scram import SALT_BYTES

from ..config.password import (
    MAX_PASSWORD,
    RECOMMENDED_LENGTH,
    PasswordHash,
    password_fault,
    random_password,
    without_line_end,
)
from ..errors.tree import ConfigError


def hash_password(
    *,
    generate: bool,
    stdin: BinaryIO,
    stdout: TextIO,
    stderr: TextIO,
    ask: Callable[[str], str] = getpass.getpass,
    make: Callable[[], str] = random_password,
    salt: str | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> None:
    """Only the hash goes to `stdout`. Raises ConfigError for a password that cannot be used.

    `salt`: base64, of the hash that this one is to be valid beside.
    """
    used = random_bytes(SALT_BYTES) if salt is None else _decoded(salt)
    if generate:
        made = make()
        stderr.write(f"Password (shown only now): {made}\n")
        password = made.encode()
    elif stdin.isatty():
        password = _asked(ask)
    else:
        password = without_line_end(stdin.readline(MAX_PASSWORD + 3))
    if fault := password_fault(password):
        raise ConfigError([fault])
    if len(password.decode("utf-8", "replace")) < RECOMMENDED_LENGTH:
        stderr.write(
            f"Warning: shorter than {RECOMMENDED_LENGTH} characters; whoever reads the hash can guess it."
            " --generate makes a good one.\n"
        )
    stdout.write(f"{PasswordHash.of(password, used).format()}\n")


def _decoded(salt: str) -> bytes:
    try:
        decoded = base64.b64decode(salt, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != SALT_BYTES:
        raise ConfigError([f"--salt: not {SALT_BYTES} bytes in base64; it is what follows 4096: in the other hash"])
    return decoded


def _asked(ask: Callable[[str], str]) -> bytes:
    try:
        password = ask("Password: ")
        again = ask("The same again: ")
    except EOFError:
        raise ConfigError(["no password was given"]) from None
    if password != again:
        raise ConfigError(["the two passwords differ; start again"])
    return password.encode("utf-8", "surrogateescape")
