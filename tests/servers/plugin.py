"""Compiles what checks tokens in a server of a family, once per state of its sources.

For MySQL and MariaDB that is AWSAuthenticationPlugin, for PostgreSQL a stand-in for libpam.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from servers.errors import Broken, Unavailable
from servers.releases import Family
from servers.trees import cache_folder

COMMON_SOURCES = ("rds_token.c", "plugin_settings.c", "sha256.c")
SOURCES: dict[Family, tuple[str, ...]] = {
    "mysql": ("aws_authentication_plugin.c", *COMMON_SOURCES),
    "mariadb": ("aws_authentication_plugin.c", *COMMON_SOURCES),
    "postgres": ("fake_libpam.c", "login_verdict.c", *COMMON_SOURCES),
}
HEADERS = ("rds_token.h", "plugin_settings.h", "sha256.h", "login_verdict.h")
FLAGS = (
    "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O2", "-g0", "-Wall", "-Wextra", "-Werror",
    "-fPIC", "-shared", "-fvisibility=hidden", "-fstack-protector-strong",
)  # fmt: skip


def compiler() -> str | None:
    """The C compiler's path, if there is one."""
    return shutil.which("gcc") or shutil.which("cc")


def build_plugin(family: Family) -> Path:
    """The shared object, from the cache or compiled now; raises Unavailable, Broken."""
    folder = Path(__file__).parent
    flags = [*FLAGS, f"-DFOR_{family.upper()}"]
    digest = hashlib.sha256(" ".join(flags).encode())
    for name in (*SOURCES[family], *HEADERS):
        digest.update((folder / name).read_bytes())
    built = cache_folder() / "plugins" / f"{family}-{digest.hexdigest()[:16]}.so"
    if built.is_file():
        return built
    program = compiler()
    if program is None:
        raise Unavailable("there is no C compiler for what checks tokens: install gcc and libc6-dev")
    built.parent.mkdir(parents=True, exist_ok=True)
    unfinished = built.with_suffix(f".{os.getpid()}")
    command = [program, *flags, "-o", str(unfinished), *(str(folder / name) for name in SOURCES[family])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode != 0:
        raise Broken(f"what checks tokens in {family} does not compile:\n{result.stderr[-4000:]}")
    unfinished.rename(built)
    return built
