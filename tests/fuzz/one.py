"""One target under atheris, in this process: `python -m fuzz.one TARGET libFuzzer's arguments…`."""

import sys

import atheris

INSTRUMENTED = ["mysql_wire", "pg_wire", "rds_iam_proxy.config"]
"""Packages whose branches guide the fuzzer."""


def main() -> None:
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
