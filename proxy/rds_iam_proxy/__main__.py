"""The console command. Answers `--version` without loading the rest."""

import sys

from . import __version__


def main() -> int:
    """Run the command line of this process and return its exit code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"rds-iam-proxy {__version__}\n")
        return 0
    from .cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
