"""What fails here: the proxy's own limits, and the client's login."""

from mysql_wire.constants import ErrorCode

from .row import Symptom

_DENIED = ErrorCode.ER_ACCESS_DENIED_ERROR
_FULL = ErrorCode.ER_CON_COUNT_ERROR
_OTHER = ErrorCode.ER_UNKNOWN_ERROR

HERE = (
    Symptom(
        "limiter",
        "Too many logins wait",
        _FULL,
        "no login to {endpoint} {became} free within {seconds} s ({limit}, {waiting} waiting); {advice}",
        "The proxy lets `logins_per_second` logins begin (100, less while RDS throttles), in turns between accounts,"
        " and a login waits `login_wait` (8 s) at most. One that cannot make it is told at once.",
        "Keep connections open for longer. Raise `logins_per_second`, well below AWS's 200, if nobody else uses the"
        " instance's share.",
    ),
    Symptom(
        "queue-full",
        "Too many logins wait already",
        _FULL,
        "{waiting} logins to {endpoint} wait already ({limit}); {advice}",
        "At most 1,000 wait. An account with few of them takes a place from the one with most.",
        "As above.",
    ),
    Symptom(
        "sessions",
        "All sessions of the target are in use",
        _FULL,
        "all {most} sessions of target {target} are in use; close some or raise max_sessions",
        "`max_sessions` (500) is the number of connections that the proxy may have to this target.",
        "Close idle ones; the log's lines `session ended` show who has many. Raise `max_sessions`, below RDS's own"
        " `max_connections`.",
    ),
    Symptom(
        "account-sessions",
        "All sessions of the account are in use",
        _FULL,
        "account {account} uses all {most} sessions that it may have of target {target}; close some or raise"
        " max_sessions_per_account",
        "`max_sessions_per_account` keeps one account from using up the target.",
        "Close some of this account's connections, or raise the limit.",
    ),
    Symptom(
        "greeting-changed",
        "The database was upgraded a moment ago",
        _OTHER,
        "{address} now answers as version {version}, which this connection was not greeted as; connect again",
        "The client was greeted as by the server of before, and some formats differ.",
        "Connect again.",
    ),
    Symptom(
        "stopping",
        "The proxy stops",
        ErrorCode.ER_SERVER_SHUTDOWN,
        "the proxy is {stopping}; connect again {later}",
        "It was told to end.",
        "Connect again when it is back.",
    ),
    Symptom(
        "wrong-password",
        "The user or password for the proxy is wrong",
        _DENIED,
        "Access denied for user '{user}'@'{host}' (using password: {using})",
        "RDS was not asked. The text is a server's, word for word, and does not tell whether the user exists.",
        "Log in as `--user` with the password of `--password-env` or `--password-file`, not with an IAM token. The"
        " proxy's log says whether it was the user or the password.",
        verbatim=True,
    ),
    Symptom(
        "too-many-failures",
        "Too many wrong passwords",
        _DENIED,
        "too many wrong passwords for this account; one is checked a second now, try again later",
        "After ten in a row from one peer, its logins to this account are checked one a second, for a minute.",
        "Find the program with the old password. A right password still gets in.",
    ),
    Symptom(
        "tls-required",
        "The client must use TLS",
        ErrorCode.ER_SECURE_TRANSPORT_REQUIRED,
        "Connections using insecure transport are prohibited by rds-iam-proxy: this listener requires TLS",
        'The listener has `tls = "required"`.',
        "Turn TLS on in the client (`--ssl-mode=REQUIRED`).",
        verbatim=True,
    ),
    Symptom(
        "old-client",
        "The client is too old",
        ErrorCode.ER_NOT_SUPPORTED_AUTH_MODE,
        "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
        "It speaks the login protocol from before MySQL 4.1.",
        "Use a client from this century.",
        verbatim=True,
    ),
    Symptom(
        "login-timeout",
        "The client is silent",
        ErrorCode.ER_NET_READ_INTERRUPTED,
        "Got timeout reading communication packets",
        "It connected and did not log in within 10 s: a port scan, a health check by bare TCP.",
        "Nothing, unless it was meant to log in.",
        verbatim=True,
    ),
    Symptom(
        "internal",
        "A fault of the proxy",
        _OTHER,
        "internal error; its log has the details",
        "This should not happen.",
        "Report it, with the log's line `internal error` (run with `--log-level debug` for the traceback).",
    ),
)
