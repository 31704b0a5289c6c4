"""What installing needs of Debian: the mirror, apt without starting services, and debootstrap. Needs root."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.errors import Unavailable
from servers.trees import SEARCH_PATH

APT_TIMEOUT = 600.0  # seconds
DEBOOTSTRAP_TIMEOUT = 900.0
APT_OPTIONS = (
    "-o", "Acquire::Retries=3",
    "-o", "Acquire::Check-Valid-Until=false",  # sid's InRelease can be past it
    "-o", "Dpkg::Use-Pty=0",
    "-o", "DPkg::Lock::Timeout=120",
)  # fmt: skip
REFUSE_SERVICES = "#!/bin/sh\nexit 101\n"
_NO_DNS = "passwd: files\ngroup: files\nhosts: files\n"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Debian:
    """This machine's Debian."""

    codename: str
    mirror: str  # where its own packages come from


def find_debian() -> Debian:
    """Raises Unavailable where there is no Debian, or apt does not say where its packages come from."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError as exc:
        raise Unavailable("this is no Debian: there is no /etc/os-release") from exc
    facts = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    if facts.get("ID") != "debian" or shutil.which("apt-get") is None:
        raise Unavailable("this is no Debian: the servers come from Debian's packages")
    codename = facts.get("VERSION_CODENAME", "sid")
    fields = "$(ORIGIN) $(LABEL) $(CODENAME) $(COMPONENT) $(REPO_URI)"
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    for words in map(str.split, known.splitlines()):
        if words[:-1] == ["Debian", "Debian", codename, "main"] and words[-1].startswith("http"):
            return Debian(codename, words[-1])
    raise Unavailable(f"apt knows no source of Debian {codename} (deb lines in /etc/apt, then apt-get update)")


def run(command: Sequence[str], *, log: Path, timeout: float) -> None:
    """Runs a command, its output to the log; raises Unavailable with the last lines of it on failure."""
    with log.open("ab") as out:
        out.write(f"+ {' '.join(command)}\n".encode())
        out.flush()
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=_environment(os.environ),
                timeout=timeout,
                check=False,
            ).returncode
            trouble = f"ended with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            trouble = f"did not end within {timeout:.0f} s"
        except OSError as exc:
            trouble = f"could not be started: {exc.strerror}"
    if trouble:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Unavailable(f"`{' '.join(command[:4])} …` {trouble}; the end of {log}:\n{last}")


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    proxies = {name: value for name, value in outer.items() if name.lower() in PROXY_VARIABLES}
    return {"PATH": SEARCH_PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **proxies}


def update_host(*, log: Path) -> None:
    """Renews what apt knows of packages; also tells `find_debian` the mirror."""
    run(["apt-get", *APT_OPTIONS, "update"], log=log, timeout=APT_TIMEOUT)


def install_on_host(packages: Sequence[str], *, log: Path) -> None:
    """Installs packages on this machine without starting their services."""
    with _no_service_starts(Path("/usr/sbin/policy-rc.d")):
        run(
            ["apt-get", *APT_OPTIONS, "install", "-y", "--no-install-recommends", *packages],
            log=log,
            timeout=APT_TIMEOUT,
        )


@contextmanager
def _no_service_starts(policy: Path) -> Iterator[None]:
    """A policy-rc.d that refuses every start, for as long as it takes; the machine's own comes back."""
    kept = policy.with_name("policy-rc.d.rds-iam-proxy")
    if policy.exists() and not kept.exists():  # `kept` is there already if an earlier run was killed
        policy.rename(kept)
    try:
        policy.write_text(REFUSE_SERVICES)
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(policy)


def make_folder(suite: str, packages: Sequence[str], folder: Path, *, mirror: str, log: Path) -> None:
    """A minimal Debian with the packages in a folder that does not exist yet."""
    run(
        ["debootstrap", "--variant=minbase", suite, str(folder), mirror],
        log=log,
        timeout=DEBOOTSTRAP_TIMEOUT,
    )
    _write(folder / "usr/sbin/policy-rc.d", REFUSE_SERVICES, mode=0o755)
    _write(folder / "etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n")
    # PostgreSQL's package calls it, and it needs a /proc.
    _write(folder / "usr/local/sbin/systemd-tmpfiles", "#!/bin/sh\nexit 0\n", mode=0o755)
    inside = ["chroot", str(folder), "apt-get", "-o", f"DPkg::Path={SEARCH_PATH}", *APT_OPTIONS]
    run([*inside, "update"], log=log, timeout=APT_TIMEOUT)
    run([*inside, "install", "-y", "--no-install-recommends", *packages], log=log, timeout=APT_TIMEOUT)
    run([*inside, "clean"], log=log, timeout=APT_TIMEOUT)
    for rest in ("var/lib/apt/lists", "var/lib/mysql", "var/lib/postgresql", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(folder / rest, ignore_errors=True)
    # Names come from this file alone: a server that looks its clients up never waits for a DNS server.
    _write(folder / "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    _write(folder / "etc/nsswitch.conf", _NO_DNS)


def install_in_folder(packages: Sequence[str], folder: Path, *, log: Path) -> None:
    """More packages for a Debian folder that is there already; servers that run in it may go on."""
    if not folder.is_dir():
        raise Unavailable(f"there is no Debian folder {folder}")
    inside = ["chroot", str(folder), "apt-get", *APT_OPTIONS]
    _write(folder / "etc/nsswitch.conf", _NO_DNS.replace("hosts: files", "hosts: files dns"))
    try:
        run([*inside, "update"], log=log, timeout=APT_TIMEOUT)
        run([*inside, "install", "-y", "--no-install-recommends", *packages], log=log, timeout=APT_TIMEOUT)
        run([*inside, "clean"], log=log, timeout=APT_TIMEOUT)
    finally:
        _write(folder / "etc/nsswitch.conf", _NO_DNS)
    shutil.rmtree(folder / "var/lib/apt/lists", ignore_errors=True)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def remove_folder(folder: Path) -> None:
    """Removes a Debian folder, whatever state it is in, without touching what is mounted in it."""
    if not folder.exists():
        return
    for mounted in _mounts_below(folder):
        subprocess.run(["umount", "--lazy", mounted], check=True, timeout=30)
    for _ in range(5):  # a lazily unmounted folder can take a moment
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False, timeout=120)
        if not folder.exists():
            return
        time.sleep(0.5)
    raise Unavailable(f"{folder} could not be removed")


def _mounts_below(folder: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True)
