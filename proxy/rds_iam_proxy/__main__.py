"""The console command. Answers `--version`, and `wait` as health checks call it, without loading the rest."""

import os
import sys

from . import __version__


def main() -> int:
    """Run the command line of this process and return its exit code."""
    _fill_standard_descriptors()
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"rds-iam-proxy {__version__}\n")
        return 0
    if sys.argv[1:2] == ["wait"]:
        from .cli.quick import wait

        if (code := wait(sys.argv[2:])) is not None:
            return code
    from .cli.app import run

    return run(sys.argv[1:])


def _fill_standard_descriptors() -> None:
    """Whoever starts a daemon may have closed them: a client's socket must not become what the log is written to."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, closefd=False))


if __name__ == "__main__":
    sys.exit(main())
