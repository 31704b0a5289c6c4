"""Initialised data folders, kept in the cache: a server starts from a copy, which takes a second instead of ten."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from servers.errors import Broken
from servers.options import initialise_command
from servers.releases import Release
from servers.trees import Tree, cache_folder, version

INITIALISE_TIMEOUT = 180.0  # seconds


def find_template(release: Release, tree: Tree) -> Path:
    """The data folder to copy, from the cache or initialised now; raises Broken."""
    command = initialise_command(release, "data")
    key = hashlib.sha256(repr((str(tree.root), server_ids(tree, release.user), command)).encode()).hexdigest()[:8]
    number = re.sub(r"[^0-9.].*", "", version(release, tree))
    template = cache_folder() / "databases" / f"{release.name}-{number}-{key}"
    if template.is_dir():
        return template
    folder = tree.make_folder()
    try:
        _initialise(release, tree, folder)
        template.parent.mkdir(parents=True, exist_ok=True)
        unfinished = template.with_name(f"{template.name}.{os.getpid()}")
        copy_folder(folder / "data", unfinished)
        try:
            unfinished.rename(template)
        except OSError:  # another run was quicker
            shutil.rmtree(unfinished)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return template


def copy_folder(source: Path, target: Path) -> None:
    """Copies with owners and modes, sharing blocks where the file system can."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True, timeout=60)


def as_server_user(tree: Tree, user: str = "mysql", *, death: str = "KILL") -> list[str]:
    """The beginning of a command for a server program: never root, and sent a signal when this process ends."""
    command = [*tree.enter(), "setpriv", "--pdeathsig", death]
    if os.geteuid() == 0:
        uid, gid = server_ids(tree, user)
        command += ["--reuid", str(uid), "--regid", str(gid), "--clear-groups"]
    return command


def server_ids(tree: Tree, user: str = "mysql") -> tuple[int, int]:
    """User and group of the server programs; raises Broken."""
    ids = tree.ids_of(user) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    if ids is None:
        raise Broken(f"there is no user `{user}` in {tree.root}: the server package is not whole")
    return ids


def _initialise(release: Release, tree: Tree, folder: Path) -> None:
    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, *server_ids(tree, release.user))
    command = [*as_server_user(tree, release.user), *initialise_command(release, tree.inside(data))]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=INITIALISE_TIMEOUT, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as exc:
        raise Broken(f"{release.name} did not initialise its data folder in time") from exc
    if result.returncode != 0:
        raise Broken(f"{release.name} could not initialise its data folder:\n{(result.stdout + result.stderr)[-2000:]}")
