"""The steps of one login, by the proxy's own code, and what each of them showed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...aws.clock import TokenClock
from ...aws.tokens import TokenSource
from ...aws.trust import Trust
from ...config import Target
from ...errors.tree import LoginError, Refused, TLSFailure
from ...logs import printable
from ...net.address import Address
from ...net.dial import Dialler
from ...net.peer_certificate import Presented, verified_chain
from ...rds import failures
from ...rds.login import Step, Way
from .engines import login_of, steps_of
from .report import Finding, Status
from .reuse import try_reuse

SOON_DAYS = 30
"""A certificate that ends within so many days is worth a warning."""

_PARAGRAPH = "\n\n"
_OF = {
    Step.CONNECT: "TCP",
    Step.GREETING: "greeting",
    Step.TLS: "TLS",
    Step.TOKEN_REQUEST: "login",
    Step.CREDENTIALS: "token",
    Step.VERDICT: "login",
    Step.DONE: "login",
}

Now = Callable[[], float]
Explained = Callable[[LoginError], Awaitable[LoginError]]


@dataclass(slots=True)
class _Seen:
    """What there is to tell of the steps that were passed."""

    server: tuple[str, int] | None = None
    version: str = ""
    tls_version: str = ""
    chain: tuple[Presented, ...] = ()
    reuse: list[Finding] = field(default_factory=list)


class _Spent:
    """The seconds of each step that `check` names."""

    def __init__(self, names: Iterable[str], now: Now) -> None:
        self.seconds = dict.fromkeys(names, 0.0)
        self._now = now
        self._step = Step.CONNECT
        self._since = now()

    def on(self, step: Step) -> None:
        """From now on this is what is waited for."""
        now = self._now()
        self.seconds[_OF[self._step]] += now - self._since
        self._step, self._since = step, now


async def log_in(
    target: Target,
    db_user: str,
    tokens: TokenSource,
    trust: Trust,
    *,
    explained: Explained,
    advice: str = "",
    now: Now = time.monotonic,
) -> list[Finding]:
    """One whole login and a farewell: less would count towards RDS's max_connect_errors.

    `explained` may know better what went wrong on the way. `advice` goes in front of that for a token that RDS refuses.
    """
    seen, spent = _Seen(), _Spent(steps_of(target), now)

    def on_step(step: Step) -> None:
        spent.on(step)
        if step is Step.TOKEN_REQUEST and login.tls is not None:
            seen.tls_version, seen.chain = login.tls.version() or "", verified_chain(login.tls)

    login = login_of(Way(target, trust, tokens, TokenClock(), Dialler()), db_user, on_step)
    failure: LoginError | None = None
    try:
        async with asyncio.timeout(target.login_timeout):
            session = await login.run(lambda: None)
        if target.reuse:
            spent.on(Step.DONE)
            seen.reuse = [await try_reuse(target, session, sum(spent.seconds.values()))]
        await session.quit()
    except TimeoutError:
        failure = failures.no_answer(target, login.step, target.login_timeout)
    except LoginError as exc:
        failure = await explained(exc)
    if failure is not None:
        spent.on(login.step)
    seen.server, seen.version = login.server, login.version
    return _findings(target, db_user, login.step, failure, seen, spent.seconds, advice) + seen.reuse


def _findings(
    target: Target,
    db_user: str,
    reached: Step,
    failure: LoginError | None,
    seen: _Seen,
    seconds: dict[str, float],
    advice: str,
) -> list[Finding]:
    failed_at = None if failure is None else _OF[reached]
    if isinstance(failure, TLSFailure):
        failed_at = "TLS"  # also where the greeting offered none
    passed = {
        "TCP": Finding("TCP", Status.OK, _server(target, seen)),
        "greeting": Finding("greeting", Status.OK, seen.version),
        "TLS": _tls(target, seen),
        "token": Finding("token", Status.OK, f"signed for {target.address} in {target.region} as {printable(db_user)}"),
        "login": Finding("login", Status.OK, f"RDS let {printable(db_user)} in{_of(target, seen)}"),
    }
    if reached is Step.TOKEN_REQUEST:  # refused before a token was asked for
        passed["token"] = Finding("token", Status.SKIPPED, "not asked for")
    findings = []
    steps = steps_of(target)
    for name in steps:
        if name == failed_at and failure is not None:
            findings.append(replace(failed(name, failure, advice), seconds=seconds[name]))
            break
        skipped = passed[name].status is Status.SKIPPED
        findings.append(replace(passed[name], seconds=None if skipped else seconds[name]))
    done = {finding.step for finding in findings}
    return findings + [Finding(name, Status.SKIPPED, "not reached") for name in steps if name not in done]


def failed(step: str, failure: LoginError, advice: str = "") -> Finding:
    """With the remedy of the table's row; `advice` goes in front where RDS refused the token."""
    remedy = failure.row.remedy
    if advice and isinstance(failure, Refused) and failure.verdict.is_of_token:
        remedy = f"{advice} {remedy.partition(_PARAGRAPH)[0]}"  # the rest leads to here
    details = (failure.detail,) if failure.detail else ()
    return Finding(step, Status.FAILED, failure.text, details=details, advice=" ".join(remedy.split()))


def _server(target: Target, seen: _Seen) -> str:
    at = target.dial if seen.server is None or isinstance(target.dial, Path) else Address(*seen.server)
    return f"connected to {target.dial}" + (f" at {at}" if at != target.dial else "")


def _of(target: Target, seen: _Seen) -> str:
    """PostgreSQL tells its version last."""
    return f"; {seen.version}" if "greeting" not in steps_of(target) and seen.version else ""


def _tls(target: Target, seen: _Seen) -> Finding:
    if not seen.chain:
        return Finding("TLS", Status.OK, f"{seen.tls_version}, verified for {target.address.host}")
    leaf = seen.chain[0]
    days = (leaf.valid_until.timestamp() - time.time()) / 86400
    status = Status.WARNING if days < SOON_DAYS else Status.OK
    text = f"{seen.tls_version}, certificate of {target.address.host} valid for {days:.0f} more days"
    return Finding("TLS", status, text, details=tuple(map(str, seen.chain)))
