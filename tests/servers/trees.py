"""Where a release's programs are: on this machine, or in a Debian folder of their own that is entered by chroot."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from servers.errors import Unavailable
from servers.releases import POSTGRES_RELEASES, RELEASES, Release

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDER_PREFIX = "rds-iam-"
STALE_AFTER = 86400.0  # seconds
INSTALL_COMMAND = "PYTHONPATH=tests python -m servers.install"


@dataclass(frozen=True, slots=True)
class Tree:
    """A root folder with a Debian system in it; `/` is this machine itself."""

    root: Path

    @property
    def is_host(self) -> bool:
        return self.root == Path("/")

    def enter(self) -> list[str]:
        """The beginning of a command that runs in this tree."""
        if self.is_host:
            return ["env", f"PATH={SEARCH_PATH}", "LC_ALL=C.UTF-8"]
        return ["chroot", str(self.root), "/usr/bin/env", f"PATH={SEARCH_PATH}", "LC_ALL=C.UTF-8"]

    def inside(self, path: Path) -> str:
        """The path as programs in this tree see it."""
        return str(path) if self.is_host else "/" + str(path.relative_to(self.root))

    def make_folder(self) -> Path:
        """A new temporary folder that programs in this tree can reach; short, for the sake of its Unix socket."""
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=self.temporary))
        folder.chmod(0o711)
        return folder

    @property
    def temporary(self) -> Path:
        """A folder that the server's user can reach too, which TMPDIR need not be."""
        return self.root / "tmp"

    def ids_of(self, user: str) -> tuple[int, int] | None:
        """The user's and group's number in this tree; None if it has no such user."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        return None


def cache_folder() -> Path:
    """The user's cache folder for Debian folders and initialised databases."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rds-iam-proxy" / "servers"


def recipe(release: Release) -> str:
    """What a finished Debian folder was made from; a folder that says otherwise is made anew."""
    return f"1 {release.suite} {' '.join(release.packages)}\n"


def debian_folder(release: Release) -> Path:
    return cache_folder() / release.folder


def recipe_file(folder: Path) -> Path:
    return folder / "etc" / "rds-iam-proxy-recipe"


def find_tree(release: Release) -> Tree:
    """The tree that has the release's programs; raises Unavailable."""
    host = Tree(Path("/"))
    if version(release, host).startswith(release.version):
        return host
    if os.geteuid() != 0:
        raise Unavailable(f"{release.name} is not installed, and its Debian folder needs chroot and so root")
    folder = debian_folder(release)
    marker = recipe_file(folder)
    if not marker.is_file() or marker.read_text() != recipe(release):
        raise Unavailable(f"{release.name} is not installed: run `{INSTALL_COMMAND}` as root on Debian")
    return Tree(folder)


def remove_stale_folders(tree: Tree) -> None:
    """Removes what `make_folder` made more than a day ago if no server runs in it: its run was killed."""
    for folder in tree.temporary.glob(f"{FOLDER_PREFIX}*"):
        pid = folder / "pid"
        with contextlib.suppress(OSError):  # another run removes the same
            running = pid.is_file() and Path("/proc", pid.read_text().strip()).exists()
            if folder.stat().st_mtime < time.time() - STALE_AFTER and not running:
                shutil.rmtree(folder, ignore_errors=True)


def cli_command(name: str) -> list[str]:
    """The beginning of a command line of the release's own client; raises Unavailable.

    In a Debian folder the client sees files under that folder only.
    """
    release = (RELEASES | POSTGRES_RELEASES)[name]
    return [*find_tree(release).enter(), release.client]


def version(release: Release, tree: Tree) -> str:
    """The full version of the tree's server program, like `11.8.9-MariaDB`; "" where it has none of that family."""
    if tree.is_host and shutil.which(release.server, path=SEARCH_PATH) is None:
        return ""
    command = [*tree.enter(), release.server, "--version"]
    words = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.search(r"(?:Ver|\(PostgreSQL\)) (\S+)", words)
    is_mariadb = "MariaDB" in words
    return found[1] if found and is_mariadb == (release.family == "mariadb") else ""
