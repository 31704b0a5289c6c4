"""Every way a login or a start can fail, with what the user is told. One tree, mapped to ERR packets in `session`."""

from mysql_wire.constants import ErrorCode


class ProxyError(Exception):
    """Base of this package's own errors."""


class ConfigError(ProxyError):
    """The configuration cannot be used; `faults` names every fault at once, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class LoginError(ProxyError):
    """A login that failed after the client was known.

    `text` is what the client reads: one line, at most 400 bytes, says what to do. `detail` is for the log only.
    Neither ever holds a password, a token or a key.
    """

    code: ErrorCode | int = ErrorCode.ER_UNKNOWN_ERROR
    sqlstate = "HY000"
    reason = "internal"  # one word for logs and metrics

    def __init__(self, text: str, *, detail: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.detail = detail


class Unreachable(LoginError):
    """Dialling RDS failed, or it did not answer in time."""

    code = ErrorCode.CR_CONN_HOST_ERROR
    reason = "unreachable"


class TLSFailure(LoginError):
    """RDS offers no TLS, or its certificate is not to be trusted."""

    code = ErrorCode.CR_SSL_CONNECTION_ERROR
    reason = "tls"


class CredentialsError(LoginError):
    """No AWS credentials, or they are no longer valid, or they could not be had in time."""

    code = ErrorCode.ER_ACCESS_DENIED_ERROR
    sqlstate = "28000"
    reason = "credentials"


class Limited(LoginError):
    """The limiter, or the number of sessions, does not allow another login now."""

    code = ErrorCode.ER_CON_COUNT_ERROR
    sqlstate = "08004"
    reason = "limited"


class GreetingChanged(LoginError):
    """RDS is not the server that the client was greeted as; a new connection will be greeted right."""

    reason = "greeting-changed"
    code = ErrorCode.ER_UNKNOWN_ERROR


class Draining(LoginError):
    """The proxy is shutting down."""

    code = ErrorCode.ER_SERVER_SHUTDOWN
    sqlstate = "08S01"
    reason = "draining"


class Refused(LoginError):
    """RDS answered the login with an ERR packet; its code and sqlstate are kept.

    `explained`: the text is ours, because RDS's own says too little. `token_refused`: the token had been sent.
    `old_token`: it was not signed for this login, so a new one may do better. `rate_limited`: RDS says that there
    were too many logins.
    """

    reason = "refused"

    def __init__(
        self,
        text: str,
        *,
        code: int,
        sqlstate: str,
        detail: str = "",
        explained: bool = False,
        token_refused: bool = False,
        old_token: bool = False,
        rate_limited: bool = False,
    ) -> None:
        super().__init__(text, detail=detail)
        self.code = code
        self.sqlstate = sqlstate
        self.explained = explained
        self.token_refused = token_refused
        self.old_token = old_token
        self.rate_limited = rate_limited
