"""Lines that a person pastes into a client to connect. They never hold a password."""

import shlex
from pathlib import Path
from urllib.parse import quote

from ..net.address import Address


def connect_lines(address: Address | Path, user: str) -> tuple[str, ...]:
    """How the mysql CLI, JDBC and MySQL Workbench connect to this listener; each asks for the password itself."""
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
