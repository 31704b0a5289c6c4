"""The server releases that are tested, and the Debian packages they come from."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["mysql", "mariadb"]


@dataclass(frozen=True, slots=True)
class Release:
    """One server release, as one Debian suite has it."""

    name: str
    family: Family
    version: str  # what its version number begins with
    suite: str
    packages: tuple[str, ...]
    server: str  # program names
    client: str


RELEASES = {
    release.name: release
    for release in (
        Release(
            name="mariadb-10.11",
            family="mariadb",
            version="10.11.",
            suite="bookworm",
            packages=("mariadb-server", "mariadb-client"),
            server="mariadbd",
            client="mariadb",
        ),
        Release(
            name="mariadb-11.8",
            family="mariadb",
            version="11.8.",
            suite="trixie",
            packages=("mariadb-server", "mariadb-client"),
            server="mariadbd",
            client="mariadb",
        ),
        Release(
            name="mysql-9.7",
            family="mysql",
            version="9.7.",
            suite="sid",
            packages=("mysql-server", "mysql-client", "mysql-router"),
            server="mysqld",
            client="mysql",
        ),
    )
}
