"""What the last greeting of each RDS endpoint said, kept in the user's cache folder across starts."""

import contextlib
import json
from pathlib import Path

from mysql_wire.constants import NATIVE_PASSWORD, Capability, MariaDBCapability
from mysql_wire.handshake import ServerIdentity

from ..files import read_file, write_private_file
from ..net.address import Address
from ..threads import in_thread

MAX_FILE = 4096

MAX_VERSION = 255
"""Bytes; servers say less than a hundred."""

LOAD_SECONDS = 2.0
"""How long a folder that does not answer, as of a network mount, is waited for: a client waits too."""

SAVE_SECONDS = 10.0

_ALWAYS = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
"""A server without these cannot be logged in to: such a file is damaged."""

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

    async def load(self, endpoint: Address) -> ServerIdentity | None:
        try:
            return await in_thread(lambda: self._load(endpoint), LOAD_SECONDS, "greetings")
        except TimeoutError:
            return None

    def _load(self, endpoint: Address) -> ServerIdentity | None:
        try:
            content, _ = read_file(self._path(endpoint), MAX_FILE)
            kept = json.loads(content)
            identity = ServerIdentity(
                version=kept["version"].encode("latin-1"),
                capabilities=Capability(kept["capabilities"] & 0xFFFFFFFF),
                mariadb_capabilities=MariaDBCapability(kept["mariadb_capabilities"] & 0xFFFFFFFF),
                collation=kept["collation"] & 0xFF,
                auth_plugin_name=str(kept.get("auth_plugin_name", NATIVE_PASSWORD)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return identity if _can_be_said(identity) else None

    async def save(self, endpoint: Address, identity: ServerIdentity) -> None:
        with contextlib.suppress(TimeoutError):
            await in_thread(lambda: self._save(endpoint, identity), SAVE_SECONDS, "greetings")

    def _save(self, endpoint: Address, identity: ServerIdentity) -> None:
        kept = {
            "version": identity.version.decode("latin-1"),
            "capabilities": int(identity.capabilities),
            "mariadb_capabilities": int(identity.mariadb_capabilities),
            "collation": identity.collation,
            "auth_plugin_name": identity.auth_plugin_name,
        }
        with contextlib.suppress(OSError):
            write_private_file(self._path(endpoint), json.dumps(kept).encode())

    def _path(self, endpoint: Address) -> Path:
        return self._folder / f"{endpoint.host}_{endpoint.port}.json"


def _can_be_said(identity: ServerIdentity) -> bool:
    """Whether clients can be greeted so: a damaged file must not keep them out."""
    version = identity.version
    return 0 < len(version) <= MAX_VERSION and b"\0" not in version and identity.capabilities & _ALWAYS == _ALWAYS
