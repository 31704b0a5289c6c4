"""Who signs the tokens: asks STS, and compares this machine's clock with AWS's. It blocks: for a thread.

STS is not needed for a login, so it may be out of reach: then nothing is said about the credentials.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ...aws.credentials import Identity, explain, quiet_boto
from ...errors.tree import LoginError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

STS_SECONDS = 2.0
_BAD_CREDENTIALS = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "RequestExpired"}
)


@dataclass(frozen=True, slots=True)
class Caller:
    """What STS says. `clock_ahead`: seconds that this machine's clock is ahead of AWS's, to the second."""

    arn: str
    account: str
    clock_ahead: float | None


class NotAnswered(Exception):
    """STS is out of reach, or answers something else; `clock_ahead` if it told the time all the same."""

    def __init__(self, why: str, clock_ahead: float | None = None) -> None:
        super().__init__(why)
        self.clock_ahead = clock_ahead


class BadCredentials(Exception):
    """AWS does not take these credentials."""

    def __init__(self, fault: LoginError, clock_ahead: float | None) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.clock_ahead = clock_ahead


def sts_client(credentials: "ReadOnlyCredentials", region: str) -> Any:
    """A client of boto3, which asks nothing yet; takes some tenths of a second all the same."""
    quiet_boto()
    import boto3
    from botocore.config import Config

    session = boto3.Session(credentials.access_key, credentials.secret_key, credentials.token, region_name=region)
    config = Config(connect_timeout=STS_SECONDS, read_timeout=STS_SECONDS, retries={"total_max_attempts": 1})
    return session.client("sts", config=config)


def ask_sts(client: Any, identity: Identity) -> Caller:
    """GetCallerIdentity, one try. Raises NotAnswered, BadCredentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer: dict[str, Any] = dict(client.get_caller_identity())
    except ClientError as exc:
        ahead = _clock_ahead(dict(exc.response))
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if code in _BAD_CREDENTIALS:
            # Not `from exc`: what STS says may quote the session token.
            raise BadCredentials(explain(exc, identity), ahead) from None
        raise NotAnswered("STS answered with an error", ahead) from None
    except BotoCoreError as exc:
        raise NotAnswered(type(exc).__name__) from None
    return Caller(str(answer.get("Arn", "")), str(answer.get("Account", "")), _clock_ahead(answer))


def _clock_ahead(answer: dict[str, Any]) -> float | None:
    """AWS's time is the Date of its answer."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not isinstance(date, str):
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
