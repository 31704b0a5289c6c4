"""What a client of PostgreSQL reads when it cannot be let in: a failure's ErrorResponse, and what RDS's own mean.

RDS's errors are judged by the state of the login and by their SQLSTATE, never by their text, which it may translate.
PostgreSQL manual: Appendix A, Error Codes.
"""

from dataclasses import dataclass

from pg_wire.authentication import AuthenticationOk, AuthenticationRequest, AuthenticationSASL
from pg_wire.client_login import State
from pg_wire.errors import NotAuthorized, RemoteProtocolError, TLSRequired, UnsupportedFeature
from pg_wire.messages import ErrorResponse, Report, StartupMessage

from ..config import Target
from ..errors.tree import Denied, LoginError, Refused, Verdict
from ..logs import escaped, printable
from ..rds.failures import SentToken, token_refused

INVALID_AUTHORIZATION = "28000"
INVALID_PASSWORD = "28P01"  # noqa: S105 - what a wrong one is answered with
TOO_MANY_CONNECTIONS = "53300"
CONFIGURATION_LIMIT = "53400"
INSUFFICIENT_PRIVILEGE = "42501"
INVALID_CATALOG_NAME = "3D000"
QUERY_CANCELED = "57014"
CANNOT_CONNECT_NOW = "57P03"
PROTOCOL_VIOLATION = "08P01"

_OF_DATABASE = (INVALID_CATALOG_NAME, INSUFFICIENT_PRIVILEGE)

CODES = {
    "unreachable": "08001",
    "tls": "08001",
    "credentials": INVALID_AUTHORIZATION,
    "refused": INVALID_AUTHORIZATION,
    "limited": TOO_MANY_CONNECTIONS,
    "client-tls": "08006",
    "hung-up": "08006",
    "draining": CANNOT_CONNECT_NOW,
    "wrong password": INVALID_PASSWORD,
    "unknown user": INVALID_PASSWORD,
    "protocol": PROTOCOL_VIOLATION,
    "postgres-unsupported": "0A000",
    "postgres-not-authorized": INVALID_AUTHORIZATION,
    "postgres-tls-required": INVALID_AUTHORIZATION,
    "postgres-replication": INSUFFICIENT_PRIVILEGE,
    "timeout": QUERY_CANCELED,
    "internal": "XX000",
    "ended": "57P01",
    "session-idle": "57P05",
}
"""By the key of a row, or else by its reason. RDS's own codes go before."""

COMPETING_REQUESTS = "too many competing requests"
"""In RDS Proxy's `The IAM authentication failed because of too many competing requests.`"""

ONLY_WITH_IAM = "rds proxy supports only iam"
"""In RDS Proxy's `RDS Proxy supports only IAM, MD5, or SCRAM authentication.`"""

MAX_ANSWER = 200
"""Characters of RDS's own text that are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """RDS's error: `text` is without the token, and `at` is how far the login had come."""

    report: Report
    text: bytes
    at: State

    @property
    def shown(self) -> str:
        return escaped(self.text.decode("utf-8", "replace"))[:MAX_ANSWER]


def sqlstate(error: LoginError) -> str:
    if isinstance(error, Refused) and error.sqlstate:
        return error.sqlstate
    return CODES.get(error.row.key) or CODES[error.reason]


def error_response(error: LoginError) -> ErrorResponse:
    """What a client reads. What to do stands in the message itself: many programs show nothing else."""
    return ErrorResponse.fatal(sqlstate(error), error.shown.encode())


def broken_login(error: RemoteProtocolError) -> LoginError:
    """A client that does not keep to the protocol, as a PostgreSQL server words it."""
    match error:
        case TLSRequired():
            row = "postgres-tls-required"
        case NotAuthorized():
            row = "postgres-not-authorized"
        case UnsupportedFeature():
            row = "postgres-unsupported"
        case _:
            row = "postgres-protocol"
    return Denied(row, fault=str(error))


def access_denied(user: bytes, *, is_known: bool) -> LoginError:
    """Word for word as a server: the user does not exist, or the password is wrong. Which one is not told."""
    return Denied("postgres-wrong-password" if is_known else "postgres-unknown-user", user=printable(user))


def not_an_iam_role(target: Target, db_user: str, asked: AuthenticationRequest) -> Refused:
    """The server asked for something else than a token, or for nothing."""
    match asked:
        case AuthenticationOk():
            how = "it let it in without asking for a token"
        case AuthenticationSASL():
            how = "it asks for a SCRAM password"
        case _:
            how = "it asks for another kind of password"
    return Refused(
        "not-in-rds-iam", Verdict.EXPLAINED, db_user=printable(db_user), address=str(target.address), how=how
    )


def refused(target: Target, db_user: str, request: StartupMessage, answer: Answer, sent: SentToken | None) -> Refused:
    """RDS's own error. Those that speak for themselves pass as they are. `sent`: None if it asked for no token."""
    code, text = answer.report.sqlstate, answer.text.decode("utf-8", "replace")
    if _says_throttled(code, text, answer.at):
        return Refused("rate-limited", Verdict.RATE_LIMITED, 0, code, answer=answer.shown)
    if code == INVALID_AUTHORIZATION and answer.at is State.TOKEN_SENT and sent is not None:
        return token_refused(target, db_user, sent, 0, code, answer.shown)
    of_database = answer.at is not State.REQUESTED and code in _OF_DATABASE
    row = _row(code, text, answer.at, request, db_user)
    if row is None:
        return Refused("passed-on", Verdict.OF_DATABASE if of_database else Verdict.PASSED_ON, 0, code, answer=text)
    return Refused(
        row,
        Verdict.OF_DATABASE if of_database else Verdict.EXPLAINED,
        0,
        code,
        db_user=printable(db_user),
        address=str(target.address),
        database=printable(request.database),
        answer=answer.shown,
    )


def _says_throttled(code: str, text: str, at: State) -> bool:
    """RDS Proxy says it in words, Aurora DSQL by its code."""
    return COMPETING_REQUESTS in text.lower() or (code == CONFIGURATION_LIMIT and at is State.REQUESTED)


def _row(code: str, text: str, at: State, request: StartupMessage, db_user: str) -> str | None:
    if ONLY_WITH_IAM in text.lower():
        return "rds-proxy-without-iam"
    match code, at:
        case "28000", State.REQUESTED:
            return "no-hba-line"
        case "28000", State.AUTHENTICATED | State.KEYED:
            return "role-cannot-log-in"
        case "53300", State.REQUESTED:
            return "too-many-clients"
        case "57014", State.TOKEN_SENT:
            return "iam-slow"
        case "3D000", _ if request.database == request.user and request.user != db_user.encode():
            return "database-of-the-user"
    return None
