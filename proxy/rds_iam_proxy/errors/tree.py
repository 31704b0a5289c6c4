"""Every way that a login or a start can fail, as exceptions. A failure names its row of the table, and its values.

Which code a client gets for it is the dialect's matter: by the row's key, or else by the `reason`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType
from typing import Self, TypeAlias

from .symptoms import SYMPTOMS

MAX_TEXT_BYTES = 400
"""Of what a client is told."""

Value: TypeAlias = "str | float | datetime | LoginError"
"""What fills a field of a row. Text from outside must have gone through `printable`."""


class ProxyError(Exception):
    """Base of this package's own errors."""


class ConfigError(ProxyError):
    """The configuration cannot be used; `faults` names every fault at once, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class LoginError(ProxyError):
    """A login that failed, or a session that the proxy ends: `LoginError("queue-full", endpoint=…, waiting=12)`.

    `text` is what the client reads and says what to do; `detail` is for the log only. Neither ever holds a password,
    a token or a key. Raises KeyError if there is no such row, or no value for one of its fields.
    """

    def __init__(self, row: str, /, **values: Value) -> None:
        self.row = SYMPTOMS[row]
        self.values: Mapping[str, Value] = MappingProxyType(values)
        self.text = self.row.text.format(**values)
        self.detail = self.row.detail.format(**values)
        super().__init__(self.text)

    @property
    def reason(self) -> str:
        """A word or two for logs and metrics."""
        last = self.values.get("last")
        return last.reason if not self.row.reason and isinstance(last, LoginError) else self.row.reason

    @property
    def shown(self) -> str:
        """The text as a client gets it: who speaks, one line, at most MAX_TEXT_BYTES."""
        line = " ".join((self.text if self.row.verbatim else f"rds-iam-proxy: {self.text}").split())
        if len(line.encode()) <= MAX_TEXT_BYTES:
            return line
        return line.encode()[: MAX_TEXT_BYTES - 3].decode(errors="ignore") + "..."

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for failures that differ in nothing but what was measured: numbers and times."""
        named = (value for value in self.values.values() if isinstance(value, (str, LoginError)))
        return (self.row.key, *(value.same if isinstance(value, LoginError) else value for value in named))

    def again(self) -> Self:
        """The same failure anew, to be kept or raised: a traceback holds the frames of a login, token and all."""
        return type(self)(self.row.key, **self.values)


class Unreachable(LoginError):
    """Dialling RDS failed, or it did not answer in time."""


class TLSFailure(LoginError):
    """RDS offers no TLS, or its certificate is not to be trusted."""


class CredentialsError(LoginError):
    """No AWS credentials, or they are no longer valid, or they could not be had in time."""


class Limited(LoginError):
    """The limiter, or the number of sessions, does not allow another login now."""


class GreetingChanged(LoginError):
    """RDS is not the server that the client was greeted as; a new connection will be greeted right."""


class Draining(LoginError):
    """The proxy is shutting down, or the listener is."""


class Denied(LoginError):
    """The client's own login, here, is not right: its password, its protocol, its pace."""


class Ended(LoginError):
    """A session that was let in is ended by the proxy, between two of its commands."""


class Verdict(Enum):
    """What RDS's error means."""

    PASSED_ON = auto()
    """It speaks for itself."""
    EXPLAINED = auto()
    """The text is ours, because RDS's own says too little."""
    TOKEN_REFUSED = auto()
    OLD_TOKEN = auto()
    """The token was refused, but it was not signed for this login: a new one may do better."""
    RATE_LIMITED = auto()
    """RDS says that there were too many logins."""
    OF_DATABASE = auto()
    """The DB user was let in, but not into the database that the client asked for."""

    @property
    def is_of_token(self) -> bool:
        """RDS had the token and did not take it."""
        return self in (Verdict.TOKEN_REFUSED, Verdict.OLD_TOKEN)


class Refused(LoginError):
    """RDS refused the login. `code` and `sqlstate` are those of its answer; 0 and "" where the verdict is ours."""

    def __init__(self, row: str, verdict: Verdict, code: int = 0, sqlstate: str = "", /, **values: Value) -> None:
        super().__init__(row, **values)
        self.verdict = verdict
        self.code = code
        self.sqlstate = sqlstate

    def again(self) -> Self:
        return type(self)(self.row.key, self.verdict, self.code, self.sqlstate, **self.values)
