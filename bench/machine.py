"""What the figures depend on: the machine and the versions."""

import os
import platform
import ssl
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from rds_iam_proxy import __version__
from servers.releases import RELEASES
from servers.trees import find_tree, version

from .lab import Lab
from .router import router_version
from .sysbench import require_sysbench


def describe(lab: Lab) -> Mapping[str, str]:
    release = RELEASES["mysql-9.7"]
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{_os_name()}, Linux {platform.release().partition('-')[0]}",
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION.partition('  ')[0]}, {_event_loop()}",
        "server": f"MySQL {version(release, find_tree(release))}",
        "MySQL Router": router_version(lab.server),
        "sysbench": require_sysbench(),
        "PyMySQL": metadata.version("PyMySQL"),
        "rds-iam-proxy": __version__,
    }


def load() -> float:
    """The 1-minute load."""
    return os.getloadavg()[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _os_name() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _event_loop() -> str:
    try:
        return f"uvloop {metadata.version('uvloop')}"
    except metadata.PackageNotFoundError:
        return "asyncio"
