"""Tokens with which a user of ElastiCache or MemoryDB logs in instead of with a password: a presigned request.

https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
"""

from dataclasses import dataclass
from functools import partial

from ..threads import in_thread
from .credentials import Identity, Signer

TOKEN_SECONDS = 5.0
"""Of signing, with the look-up of the credentials."""


@dataclass(frozen=True, slots=True)
class CacheUser:
    """Who logs in where. The user's id and name are the same in ElastiCache, or IAM does not work."""

    cache: str
    """The name of the cache or cluster, not its address."""
    user: str
    host: str
    """The store's address, which says what it is."""

    @property
    def service(self) -> str:
        return "memorydb" if ".memorydb." in self.host else "elasticache"

    @property
    def query(self) -> dict[str, str]:
        """What is signed beside the name."""
        query = {"Action": "connect", "User": self.user}
        if ".serverless." in self.host:
            query["ResourceType"] = "ServerlessCache"
        return query


async def cache_token(user: CacheUser, region: str, identity: Identity) -> tuple[str, str]:
    """The user and a token that is good for 15 minutes. Raises CredentialsError, TimeoutError."""
    signer = Signer(identity)
    try:
        signed = await in_thread(
            partial(signer.sign_request, user.service, f"http://{user.cache.lower()}/", user.query, region),
            TOKEN_SECONDS,
            "cache-token",
        )
    finally:
        signer.close()
    return user.user, signed.value.decode()
