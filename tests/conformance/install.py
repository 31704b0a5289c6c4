"""`python -m conformance.install [--quick]`: installs the clients, or those of CI's half, and says what is missing.

Debian packages need root; PyPI's and npm's go to the user's cache folder, each into a folder that is used only when
it is complete. Idempotent: what is there is kept.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance import places
from servers import debian
from servers.errors import Unavailable

PIP_TIMEOUT = 600.0  # seconds


def main(arguments: list[str]) -> int:
    """0 when all is there; 1 otherwise, with a line for each fault."""
    started = time.monotonic()
    quick = "--quick" in arguments
    places.cache_folder().mkdir(parents=True, exist_ok=True)
    with (places.cache_folder() / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        faults = [fault for fault in (_tried(lambda: _debian_packages(quick=quick)),) if fault]
        requirements = places.QUICK_REQUIREMENTS if quick else places.REQUIREMENTS
        jobs: list[Callable[[], None]] = [lambda: _all_python_clients(requirements), _node_clients]
        if not quick:
            jobs += [_java_driver, lambda: _python_clients(places.POSTGRES_REQUIREMENTS)]
        with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
            faults += [fault for fault in pool.map(_tried, jobs) if fault]
    for fault in faults:
        _say(f"not available: {fault}")
    _say(f"{len(faults)} faults, {time.monotonic() - started:.0f} s")
    return 1 if faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"clients: {text}\n")
    sys.stdout.flush()


def _tried(job: Callable[[], None]) -> str | None:
    try:
        job()
    except Unavailable as exc:
        return str(exc)
    return None


def _needed(*, quick: bool) -> list[str]:
    """Debian packages that are not there, told by what they bring."""
    needed: list[str] = []
    if shutil.which("php") is None or not _has_php_modules():
        needed += ["php-cli", "php-mysql"]
    if not quick:
        needed += [package for package, name in _PERL if not _has_perl_module(name)]
        needed += [] if _has_php_modules("pdo_pgsql") else ["php-pgsql"]
    jars = ("Postgres",) if quick else tuple(places.JDBC_JARS)
    needed += [_JAR_PACKAGES[name] for name in jars if not places.JDBC_JARS[name].is_file()]
    needed += [] if shutil.which("javac") else ["default-jdk-headless"]
    if shutil.which("npm") is None:
        needed += ["npm"] if shutil.which("node") else ["nodejs", "npm"]
    requirements = places.QUICK_REQUIREMENTS if quick else places.REQUIREMENTS
    if not (places.python_folder(requirements) / places.DONE).is_file():  # mysqlclient is compiled
        needed += [] if shutil.which("mariadb_config") else ["libmariadb-dev"]
        needed += [] if shutil.which("pkg-config") else ["pkg-config"]
        needed += [] if shutil.which("gcc") else ["gcc", "libc6-dev"]
        needed += [] if Path(sysconfig.get_paths()["include"], "Python.h").is_file() else ["python3-dev"]
    return needed


_PERL = (("libdbd-mysql-perl", "dbd-mysql"), ("libdbd-mariadb-perl", "dbd-mariadb"), ("libdbd-pg-perl", "dbd-pg"))
_JAR_PACKAGES = {"Jdbc": "libmariadb-java", "Postgres": "libpostgresql-jdbc-java"}


def _has_php_modules(*names: str) -> bool:
    try:
        places.php(*names)
    except Unavailable:
        return False
    return True


def _has_perl_module(client: str) -> bool:
    try:
        places.perl(client)
    except Unavailable:
        return False
    return True


def _debian_packages(*, quick: bool) -> None:
    needed = _needed(quick=quick)
    if not needed:
        return
    if os.geteuid() != 0:
        raise Unavailable(f"not root, so these Debian packages are missing: {' '.join(needed)}")
    log = places.cache_folder() / "install-debian.log"
    log.unlink(missing_ok=True)
    _say(f"installing {', '.join(needed)} (no service is started)")
    debian.update_host(log=log)
    debian.install_on_host(needed, log=log)


def _run(command: list[str], log: Path, **options: str) -> None:
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=PIP_TIMEOUT, check=False, **options
            )  # type: ignore[call-overload]
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise Unavailable(f"`{' '.join(command[:3])} …`: {exc}") from exc
    if done.returncode != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise Unavailable(f"`{' '.join(command[:4])} …` ended with status {done.returncode}; the end of {log}:\n{last}")


def _made(folder: Path, make: Callable[[Path], None]) -> None:
    """Fills a folder unless it is complete; the mark goes in last, so a half-made one is never used."""
    if (folder / places.DONE).is_file():
        return
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    (folder / places.DONE).touch()
    _say(f"{folder.name} is ready ({time.monotonic() - started:.0f} s)")


def _all_python_clients(requirements: Path) -> None:
    """One after the other: they share a log."""
    for one in (requirements, places.OLD_REQUIREMENTS):
        _python_clients(one)


def _python_clients(requirements: Path) -> None:
    def make(folder: Path) -> None:
        log = places.cache_folder() / f"install-{requirements.stem}.log"
        log.unlink(missing_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], log)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "--requirement", str(requirements)], log)

    _made(places.python_folder(requirements), make)


def _node_clients() -> None:
    def make(folder: Path) -> None:
        log = places.cache_folder() / "install-node.log"
        log.unlink(missing_ok=True)
        shutil.copyfile(places.PACKAGE_JSON, folder / "package.json")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        _run([*npm, "--prefix", str(folder)], log)

    _made(places.node_folder(), make)


def _java_driver() -> None:
    def make(folder: Path) -> None:
        log = places.cache_folder() / "install-java.log"
        jars = ":".join(map(str, places.JDBC_JARS.values()))
        log.unlink(missing_ok=True)
        _run(["javac", "-cp", jars, "-d", str(folder), *map(str, places.JAVA_SOURCES)], log)

    _made(places.java_folder(), make)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
