"""Lines that a person pastes into a client to connect. They never hold a password."""

import shlex
from pathlib import Path
from urllib.parse import quote

from ..config import Engine
from ..net.address import Address


def connect_lines(address: Address | Path, user: str, engine: Engine = "mysql") -> tuple[str, ...]:
    """How the usual clients connect to this listener; each asks for the password itself."""
    return _postgres_lines(address, user) if engine == "postgres" else _mysql_lines(address, user)


def _postgres_lines(address: Address | Path, user: str) -> tuple[str, ...]:
    """DB stands for the database: most clients take the user's name for it otherwise."""
    if isinstance(address, Path):
        port = address.name.rpartition(".")[2]
        where = f"host={address.parent} port={port} user={user} dbname=DB"
        return (f"psql        psql {shlex.quote(where)}",)
    where = f"host={address.host} port={address.port} user={user} dbname=DB"
    return (
        f"psql        psql {shlex.quote(where)}",
        f"JDBC        jdbc:postgresql://{address}/DB?user={quote(user, safe='')}",
        f"pgAdmin     Host: {address.host}   Port: {address.port}   Maintenance database: DB   Username: {user}"
        "   SSL mode: prefer",
    )


def _mysql_lines(address: Address | Path, user: str) -> tuple[str, ...]:
    """The mysql CLI, JDBC and MySQL Workbench."""
    if isinstance(address, Path):
        return (
            f"mysql CLI   mysql --socket={shlex.quote(str(address))} -u {shlex.quote(user)} -p",
            f"Workbench   Connection Method: Local Socket/Pipe   Socket: {address}   Username: {user}",
        )
    # For the host name `localhost` the mysql CLI would take a Unix socket.
    host = "127.0.0.1" if address.host == "localhost" else address.host
    listening = Address(host, address.port)
    return (
        f"mysql CLI   mysql -h {host} -P {address.port} -u {shlex.quote(user)} -p",
        f"JDBC        jdbc:mysql://{listening}/?user={quote(user, safe='')}",
        f"Workbench   Hostname: {host}   Port: {address.port}   Username: {user}",
    )
