"""Reads a server's log: which IAM logins it accepted, which it refused and why."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_VERDICT = re.compile(
    r"^(\S+Z) (?:AWSAuthenticationPlugin|pam_rds_iam) (?:accepted (\S*)|refused (\S*) (\w+) (\d+): (.*))$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A login that was let in."""

    at: datetime.datetime  # UTC, to the millisecond
    user: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that was refused, with the code that RDS logs (in iam-db-auth-error) and never tells the client."""

    at: datetime.datetime
    user: str
    code: str  # InvalidToken, ExpiredToken, NotAuthorized, ThrottlingException, InternalError
    status: int
    text: str


class ServerLog:
    """The log of one running server; grows while it runs.

    `since` is a position that `position()` gave: what was logged before is left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def position(self) -> int:
        return self.path.stat().st_size

    def text(self, since: int = 0) -> str:
        return self.path.read_bytes()[since:].decode(errors="replace")

    def lines(self, since: int = 0) -> list[str]:
        return self.text(since).splitlines()

    def verdicts(self, since: int = 0) -> list[Accepted | Refusal]:
        """Accepted and refused logins in the order of the log."""
        found: list[Accepted | Refusal] = []
        for match in _VERDICT.finditer(self.text(since)):
            at = datetime.datetime.fromisoformat(match[1])
            if match[4] is None:
                found.append(Accepted(at, match[2]))
            else:
                found.append(Refusal(at, match[3], match[4], int(match[5]), match[6]))
        return found

    def accepted(self, since: int = 0) -> list[Accepted]:
        return [verdict for verdict in self.verdicts(since) if isinstance(verdict, Accepted)]

    def refusals(self, since: int = 0) -> list[Refusal]:
        return [verdict for verdict in self.verdicts(since) if isinstance(verdict, Refusal)]


def most_in_a_second(logins: Sequence[Accepted | Refusal]) -> int:
    """The greatest number of them within any sliding second; they are in the order of time."""
    most = first = 0
    for last, login in enumerate(logins):
        while login.at - logins[first].at >= datetime.timedelta(seconds=1):
            first += 1
        most = max(most, last - first + 1)
    return most
