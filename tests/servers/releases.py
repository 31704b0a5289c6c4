"""The server releases that are tested, and the Debian packages they come from."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["mysql", "mariadb", "postgres"]


@dataclass(frozen=True, slots=True)
class Release:
    """One server release, as one Debian suite has it."""

    name: str
    family: Family
    version: str  # what its version number begins with
    suite: str
    folder: str  # name of its Debian folder, where it is not of this machine's own suite
    packages: tuple[str, ...]
    user: str  # whom the packages make for the server
    server: str  # names of programs, or paths
    client: str


RELEASES = {
    release.name: release
    for release in (
        Release(
            name="mariadb-10.11",
            family="mariadb",
            version="10.11.",
            suite="bookworm",
            folder="bookworm",
            packages=("mariadb-server", "mariadb-client"),
            user="mysql",
            server="mariadbd",
            client="mariadb",
        ),
        Release(
            name="mariadb-11.8",
            family="mariadb",
            version="11.8.",
            suite="trixie",
            folder="trixie",
            packages=("mariadb-server", "mariadb-client"),
            user="mysql",
            server="mariadbd",
            client="mariadb",
        ),
        Release(
            name="mysql-9.7",
            family="mysql",
            version="9.7.",
            suite="sid",
            folder="sid",
            packages=("mysql-server", "mysql-client", "mysql-router"),
            user="mysql",
            server="mysqld",
            client="mysql",
        ),
    )
}
"""The servers that a test for each of MySQL's and MariaDB's runs on."""

POSTGRES_RELEASES = {
    release.name: release
    for release in (
        Release(
            name=f"postgres-{major}",
            family="postgres",
            version=f"{major}.",
            suite=suite,
            folder=f"{suite}-postgres",
            packages=(f"postgresql-{major}", f"postgresql-client-{major}"),
            user="postgres",
            server=f"/usr/lib/postgresql/{major}/bin/postgres",
            client=f"/usr/lib/postgresql/{major}/bin/psql",
        )
        for major, suite in (("15", "bookworm"), ("18", "sid"))
    )
}
"""The same for PostgreSQL."""
