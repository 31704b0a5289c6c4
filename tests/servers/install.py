"""`python -m servers.install`: prepares every server that the tests use, and says what is missing and why.

Needs root and Debian. Idempotent: what is there is kept. A Debian folder is made under another name and renamed
when it is whole, so that a half-made one is never used.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from servers import debian
from servers.errors import Broken, Unavailable
from servers.plugin import build_plugin, compiler
from servers.releases import POSTGRES_RELEASES, RELEASES, Release
from servers.stores import STORES, StoreRelease, install_store
from servers.templates import find_template
from servers.trees import (
    Tree,
    cache_folder,
    debian_folder,
    find_tree,
    recipe,
    recipe_file,
    remove_stale_folders,
    version,
)

ALL_RELEASES = (*RELEASES.values(), *POSTGRES_RELEASES.values())
TUNNEL_PROGRAMS = {"/usr/sbin/sshd": "openssh-server", "ssh": "openssh-client", "socat": "socat"}
LOCK_TIMEOUT = 1800.0  # seconds: another run may be making the same folders


def main() -> int:
    """0 when every server can be used; 1 otherwise, with a line for each that cannot."""
    started = time.monotonic()
    cache_folder().mkdir(parents=True, exist_ok=True)
    with _alone():
        faults = _prepare_machine()
        with ThreadPoolExecutor(max_workers=len(ALL_RELEASES)) as pool:
            faults += [fault for fault in pool.map(_prepare, ALL_RELEASES) if fault]
        faults += [fault for fault in map(_prepare_store, STORES.values()) if fault]
    for fault in faults:
        _say(f"not available: {fault}")
    _say(f"{len(ALL_RELEASES)} servers, {len(STORES)} stores, {len(faults)} faults, {time.monotonic() - started:.0f} s")
    return 1 if faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"servers: {text}\n")
    sys.stdout.flush()


@contextmanager
def _alone() -> Iterator[None]:
    with (cache_folder() / "install.lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SystemExit("servers: another install has been running for half an hour") from None
                time.sleep(1)
        yield


def _prepare_machine() -> list[str]:
    """Installs on this machine, in one go, what it lacks: a compiler, debootstrap, its own suite's server, and
    what tunnels are made with."""
    missing = [release for release in ALL_RELEASES if _missing(release)]
    tunnels = [package for program, package in TUNNEL_PROGRAMS.items() if shutil.which(program) is None]
    if os.geteuid() != 0 or (not missing and not tunnels and compiler()):
        return []
    log = cache_folder() / "install-host.log"
    log.unlink(missing_ok=True)
    try:
        debian.update_host(log=log)
        host = debian.find_debian()
        packages = tunnels + ([] if compiler() else ["gcc", "libc6-dev"])
        for release in missing:
            packages += release.packages if release.suite == host.codename else ("debootstrap",)
        _say(f"installing {', '.join(dict.fromkeys(packages))} (no service is started)")
        debian.install_on_host(list(dict.fromkeys(packages)), log=log)
    except Unavailable as exc:
        return [str(exc)]
    return []


def _missing(release: Release) -> bool:
    try:
        find_tree(release)
    except Unavailable:
        return True
    return False


def _prepare(release: Release) -> str | None:
    """Makes one release ready to start; the fault, if any."""
    started = time.monotonic()
    try:
        if os.geteuid() == 0 and _missing(release):
            _make_folder(release)
        tree = find_tree(release)
        remove_stale_folders(tree)
        build_plugin(release.family)
        find_template(release, tree)
    except (Unavailable, Broken) as exc:
        return f"{release.name}: {exc}"
    _say(f"{release.name} is ready in {tree.root} ({time.monotonic() - started:.0f} s)")
    return None


def _prepare_store(release: StoreRelease) -> str | None:
    """After the databases, whose folders it may use; the fault, if any."""
    try:
        install_store(release)
    except Unavailable as exc:
        return f"{release.name}: {exc}"
    _say(f"{release.name} is ready")
    return None


def _make_folder(release: Release) -> None:
    folder = debian_folder(release)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    log = cache_folder() / f"install-{release.folder}.log"
    log.unlink(missing_ok=True)
    _say(f"{release.name}: making {folder} with debootstrap (about a minute)")
    debian.remove_folder(unfinished)
    debian.make_folder(release.suite, release.packages, unfinished, mirror=debian.find_debian().mirror, log=log)
    made = version(release, Tree(unfinished))
    if not made.startswith(release.version):
        raise Unavailable(f"Debian {release.suite} has {release.server} {made or '(none)'} now: see {log}")
    recipe_file(unfinished).write_text(recipe(release))
    debian.remove_folder(folder)
    unfinished.rename(folder)


if __name__ == "__main__":
    sys.exit(main())
