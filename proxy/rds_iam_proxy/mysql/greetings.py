"""What the last greeting of each RDS endpoint said, kept in the user's cache folder across starts."""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from mysql_wire.constants import NATIVE_PASSWORD, Capability, MariaDBCapability
from mysql_wire.handshake import ServerIdentity

from ..net.address import Address

MAX_FILE = 4096

DEFAULT_IDENTITY = ServerIdentity(
    version=b"8.0.36",
    capabilities=(
        Capability.LONG_PASSWORD
        | Capability.FOUND_ROWS
        | Capability.LONG_FLAG
        | Capability.CONNECT_WITH_DB
        | Capability.NO_SCHEMA
        | Capability.ODBC
        | Capability.LOCAL_FILES
        | Capability.IGNORE_SPACE
        | Capability.PROTOCOL_41
        | Capability.INTERACTIVE
        | Capability.IGNORE_SIGPIPE
        | Capability.TRANSACTIONS
        | Capability.SECURE_CONNECTION
        | Capability.MULTI_STATEMENTS
        | Capability.MULTI_RESULTS
        | Capability.PS_MULTI_RESULTS
        | Capability.PLUGIN_AUTH
        | Capability.CONNECT_ATTRS
        | Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA
    ),
    mariadb_capabilities=MariaDBCapability(0),
    collation=45,  # utf8mb4_general_ci
)
"""Greeting of an endpoint that was never reached: only what every MySQL since 5.7 can do, so nothing has to be taken
back when it answers."""


class Greetings:
    """One small file per endpoint in `folder`. A file that cannot be read or written is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, endpoint: Address) -> ServerIdentity | None:
        try:
            with self._path(endpoint).open("rb") as file:
                kept = json.loads(file.read(MAX_FILE))
            identity = ServerIdentity(
                version=kept["version"].encode("latin-1"),
                capabilities=Capability(kept["capabilities"] & 0xFFFFFFFF),
                mariadb_capabilities=MariaDBCapability(kept["mariadb_capabilities"] & 0xFFFFFFFF),
                collation=kept["collation"] & 0xFF,
                auth_plugin_name=str(kept.get("auth_plugin_name", NATIVE_PASSWORD)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return None if b"\0" in identity.version else identity

    async def save(self, endpoint: Address, identity: ServerIdentity) -> None:
        await asyncio.to_thread(self._save, endpoint, identity)

    def _save(self, endpoint: Address, identity: ServerIdentity) -> None:
        kept = {
            "version": identity.version.decode("latin-1"),
            "capabilities": int(identity.capabilities),
            "mariadb_capabilities": int(identity.mariadb_capabilities),
            "collation": identity.collation,
            "auth_plugin_name": identity.auth_plugin_name,
        }
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(descriptor, "w") as file:
                json.dump(kept, file)
            Path(name).replace(self._path(endpoint))
        except OSError:
            return

    def _path(self, endpoint: Address) -> Path:
        return self._folder / f"{endpoint.host}_{endpoint.port}.json"
