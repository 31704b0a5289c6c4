"""The command `password`: makes a random one in a file that only its owner can read."""

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ..config.password import random_password
from ..errors.tree import ConfigError
from ..files import write_private_file


def make_password(path: Path, *, stdout: TextIO, stderr: TextIO, make: Callable[[], str] = random_password) -> None:
    """The file of mode 0600, and its folder of mode 0700 if there is none. Only the password goes to `stdout`.

    Raises ConfigError; what is there already stays as it is.
    """
    if path.is_symlink() or path.exists():
        raise ConfigError([f"{path}: is there already, and stays as it is; choose another name, or delete it"])
    password = make()
    try:
        write_private_file(path, password.encode() + b"\n")
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be written: {exc.strerror}"]) from None
    stderr.write(f"In {path}, for its owner only; use it as --password-file. The password, shown only now:\n")
    stderr.flush()
    stdout.write(f"{password}\n")
