"""Where the store of a fleet is, how to get in, and what its user must be allowed to do."""

from dataclasses import dataclass, field
from pathlib import Path

from ..net.address import Address

DEFAULT_PORT = 6379

INSTALL = "pip install 'redis>=8.0'"

RIGHTS = ("+evalsha", "+eval", "+time", "+hmget", "+hset", "+hgetall", "+hdel", "+pexpire")
"""All that is used. Not `+client` nor `+script`: who may CLIENT PAUSE or SCRIPT KILL stops others on a shared store."""


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where the store is, and how to get in."""

    address: Address
    tls: bool = True
    ca_file: Path | None = None
    """Replaces the system's roots."""
    user: str = ""
    password: str = field(default="", repr=False)
    iam: str | None = None
    """The name of the cache in ElastiCache or MemoryDB for whose user a token is signed instead of a password."""
    insecure: bool = False
    """Without TLS, beyond this machine too."""

    def __str__(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://{self.address}"

    def may_be_at(self, address: Address) -> bool:
        """Whether this may be asked there too: a password crosses no network in the clear."""
        return self.tls or self.insecure or address.is_loopback


def acl_rule(user: str) -> str:
    """The command that makes a user who may do just what a proxy does."""
    return f"ACL SETUSER {user or 'rds-iam-proxy'} on resetkeys ~rds-iam-proxy:* resetchannels -@all {' '.join(RIGHTS)}"
