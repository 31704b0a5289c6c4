"""Where the installed clients are. Raises Unavailable, with what would help, for what is not there."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from servers.errors import Unavailable

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
POSTGRES_REQUIREMENTS = HERE / "requirements-postgres.txt"
QUICK_REQUIREMENTS = HERE / "requirements-quick.txt"
OLD_REQUIREMENTS = HERE / "requirements-old.txt"
PACKAGE_JSON = HERE / "package.json"
JAVA_SOURCES = tuple(HERE / "drivers" / f"{name}.java" for name in ("Jdbc", "Postgres", "Json"))
JDBC_JARS = {
    "Jdbc": Path("/usr/share/java/mariadb-java-client.jar"),
    "Postgres": Path("/usr/share/java/postgresql.jar"),
}
"""By the class that uses it."""
DONE = "complete"
INSTALL_COMMAND = "PYTHONPATH=tests python -m conformance.install"


def cache_folder() -> Path:
    """The user's cache folder for installed clients."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rds-iam-proxy" / "clients"


def folder_for(kind: str, recipe: bytes, *more: str) -> Path:
    """A folder that changes with what is to be in it."""
    digest = hashlib.sha256(recipe + repr(more).encode()).hexdigest()[:10]
    return cache_folder() / f"{kind}-{digest}"


def python_folder(requirements: Path = REQUIREMENTS) -> Path:
    return folder_for("python", requirements.read_bytes(), sys.version, os.path.realpath(sys.executable))


def node_folder() -> Path:
    return folder_for("node", PACKAGE_JSON.read_bytes())


def java_folder() -> Path:
    return folder_for("java", b"".join(source.read_bytes() for source in JAVA_SOURCES))


def _finished(folder: Path, what: str) -> Path:
    if not (folder / DONE).is_file():
        raise Unavailable(f"{what} are not installed: run `{INSTALL_COMMAND}`")
    return folder


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"there is no {name}: run `{INSTALL_COMMAND}` as root on Debian")
    return path


def python(*, quick: bool = False) -> Path:
    """The Python that has the Python clients; for the quick ones any of the two that there can be."""
    folder = python_folder()
    if quick and not (folder / DONE).is_file():
        folder = python_folder(QUICK_REQUIREMENTS)
    return _finished(folder, "the Python clients") / "bin" / "python"


def old_python() -> Path:
    """The Python that has the clients of other days."""
    return _finished(python_folder(OLD_REQUIREMENTS), "the old Python clients") / "bin" / "python"


def postgres_python() -> Path:
    """The Python that has PostgreSQL's clients."""
    return _finished(python_folder(POSTGRES_REQUIREMENTS), "PostgreSQL's Python clients") / "bin" / "python"


def node() -> list[str]:
    return ["env", f"NODE_PATH={_finished(node_folder(), 'the Node.js clients') / 'node_modules'}", _program("node")]


def php(*needed: str) -> list[str]:
    """With these modules: mysqli and pdo_mysql, unless said otherwise."""
    needed = needed or ("mysqli", "pdo_mysql")
    command = [_program("php"), "-d", "mysqli.allow_local_infile=1", "-d", "memory_limit=512M"]
    modules = subprocess.run([*command, "-m"], capture_output=True, text=True, timeout=30, check=False).stdout.split()
    if not set(needed) <= set(modules):
        raise Unavailable(f"PHP lacks {' or '.join(needed)}: run `{INSTALL_COMMAND}` as root on Debian")
    return command


PERL_MODULES = {"dbd-mysql": "DBD::mysql", "dbd-mariadb": "DBD::MariaDB", "dbd-pg": "DBD::Pg"}


def perl(name: str) -> list[str]:
    # Debian's own: its packages are not for another perl that comes first in the path.
    command = ["/usr/bin/perl"]
    module = PERL_MODULES[name]
    found = subprocess.run([*command, f"-M{module}", "-e", "1"], capture_output=True, timeout=30, check=False)
    if found.returncode != 0:
        raise Unavailable(f"Perl lacks {module}: run `{INSTALL_COMMAND}` as root on Debian")
    return command


def java(main_class: str) -> list[str]:
    classes = _finished(java_folder(), "the Java drivers' classes")
    return [*_java(f"{classes}:{_jar(main_class)}"), main_class]


def java_file(source: Path, jar: str) -> list[str]:
    """A program of one file, which is compiled as it starts. `jar`: a key of JDBC_JARS."""
    _program("javac")
    return [*_java(str(_jar(jar))), str(source)]


def _java(class_path: str) -> list[str]:
    return [_program("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx1g", "-cp", class_path]


def _jar(name: str) -> Path:
    jar = JDBC_JARS[name]
    if not jar.is_file():
        raise Unavailable(f"there is no {jar}: run `{INSTALL_COMMAND}` as root on Debian")
    return jar


def pinned_python(package: str, requirements: Path = REQUIREMENTS) -> str:
    found = re.search(rf"^{re.escape(package)}==(.+)$", requirements.read_text(), re.MULTILINE)
    return found[1] if found else ""


def pinned_node(package: str) -> str:
    return str(json.loads(PACKAGE_JSON.read_text())["dependencies"][package])


def debian_version(*packages: str) -> str:
    """The upstream part of the version of the last of the packages (patterns) that is installed."""
    command = ["dpkg-query", "--show", "--showformat", "${Version}\n", *packages]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.split()
    return re.sub(r"^\d+:|[-+].*", "", lines[-1]) if lines else ""
