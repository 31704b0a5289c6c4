"""One target: whose credentials, where its name leads, and a login for each DB user."""

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...aws.clock import TokenClock
from ...aws.credentials import Identity, Signed, Signer
from ...aws.sources import Source, sources
from ...aws.tokens import TokenSource
from ...aws.trust import Trust
from ...config import Engine, Target
from ...errors.tree import LoginError
from ...net.address import Address
from ...net.dial import Dialler
from ...rds import failures
from ...rds.login import Way
from ...rds.tunnel.tunnel import Tunnel
from ...rds.whereabouts import Whereabouts
from ...threads import in_thread
from . import query
from .caller import STS_SECONDS, BadCredentials, Caller, NotAnswered, ask_sts, sts_client
from .engines import steps_of
from .metadata import metadata_service
from .report import Finding, Report, Status
from .steps import failed, log_in
from .tunnel import open_tunnel

SKEW_SECONDS = 60.0
"""By so much must the clock be wrong to be worth a warning; RDS and AWS bear a few minutes."""

LOOKUP_SECONDS = 5.0


_QUESTIONS: dict[Engine, tuple[str, str]] = {
    "mysql": ("SELECT CURRENT_USER()", ", by PyMySQL,"),
    "postgres": ("SELECT current_user", ""),
}
"""What is asked, and by whom."""


class _Witness(Signer):
    """Remembers what it signed last."""

    signed: Signed | None = None

    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed:
        self.signed = super().sign(address, region, db_user, look_again=look_again)
        return self.signed


async def check_target(
    target: Target, db_users: Sequence[str], trust: Trust, tunnel: Tunnel | None, report: Report
) -> None:
    """Adds its findings to the report; the first failure ends it."""
    identity = Identity(target.profile, target.role_arn, target.external_id, target.role_session_name)
    signer = _Witness(identity)
    tokens = TokenSource(identity, signer=signer)
    try:
        for number, db_user in enumerate(db_users):
            subject = f"{target.name}: {target.address} as {db_user}"
            report.begin(subject)
            if number == 0:
                caller = await _credentials(target, db_user, identity, signer, tokens, report, subject)
                if caller is None and report.failed:
                    _skip(("DNS", *steps_of(target), "query"), report, subject)
                    return
            if tunnel is not None:
                opened = await open_tunnel(tunnel, target.login_timeout)
                report.add(subject, opened)
                if opened.status is Status.FAILED:
                    _skip((*steps_of(target), "query"), report, subject)
                    return
            whereabouts = Whereabouts(target, trust, tunnel=tunnel)
            found, its_trust = await _dns(target, trust, whereabouts, report, subject)
            await _log_in(found, db_user, tokens, its_trust, whereabouts, caller, report, subject)
    finally:
        tokens.close()


def _skip(steps: Iterable[str], report: Report, subject: str) -> None:
    for step in steps:
        report.add(subject, Finding(step, Status.SKIPPED, "not reached"))


async def _credentials(
    target: Target,
    db_user: str,
    identity: Identity,
    signer: _Witness,
    tokens: TokenSource,
    report: Report,
    subject: str,
) -> Caller | None:
    """Who signs, and how long still. STS out of reach is a warning: logins do not need it."""
    began = time.monotonic()

    def add(finding: Finding) -> None:
        report.add(subject, replace(finding, seconds=time.monotonic() - began))

    try:
        await tokens.get(target.address, target.region, db_user)
    except LoginError as exc:
        tried = await _tried(identity)
        add(replace(failed("credentials", exc), details=tuple(map(str, tried))))
        return None
    signed = signer.signed
    if signed is None or signed.by is None:
        raise AssertionError("a token without credentials")
    keys, still = signed.by, _still(signed)
    try:
        client = await in_thread(lambda: sts_client(keys, target.region), LOOKUP_SECONDS, "check")
        caller = await in_thread(lambda: ask_sts(client, identity), STS_SECONDS, "check")
    except BadCredentials as exc:
        add(failed("credentials", exc.fault))
        _clock(exc.clock_ahead, report, subject)
        return None
    except (NotAnswered, TimeoutError) as exc:
        why = str(exc) or f"no answer within {STS_SECONDS:g} s"
        text = f"found, {still}; STS could not be asked whose they are ({why})"
        add(Finding("credentials", Status.WARNING, text))
        _clock(exc.clock_ahead if isinstance(exc, NotAnswered) else None, report, subject)
        return None
    add(Finding("credentials", Status.OK, f"{caller.arn}, {still}", details=(f"found by boto3's {signed.method}",)))
    _clock(caller.clock_ahead, report, subject)
    return caller


async def _tried(identity: Identity) -> tuple[Source, ...]:
    """Each place where boto3 looked, and what is there."""

    def look() -> tuple[Source, ...]:
        found = sources(identity.profile, os.environ)
        return found if identity.profile else (*found, metadata_service(os.environ))

    try:
        return await in_thread(look, LOOKUP_SECONDS, "check")
    except TimeoutError:
        return ()


def _still(signed: Signed) -> str:
    if signed.expires is None:
        return "with no known end"
    return f"valid for {(signed.expires - signed.wall) / 60:.0f} more minutes"


def _clock(ahead: float | None, report: Report, subject: str) -> None:
    """Told only where AWS told its time."""
    if ahead is None:
        return
    if abs(ahead) < SKEW_SECONDS:
        report.add(subject, Finding("clock", Status.OK, "within a minute of AWS's"))
        return
    direction = "ahead of" if ahead > 0 else "behind"
    text = (
        f"this machine's clock is {abs(ahead):.0f} s {direction} AWS's: check NTP, RDS refuses tokens of a wrong time"
    )
    report.add(subject, Finding("clock", Status.WARNING, text))


async def _dns(
    target: Target, trust: Trust, whereabouts: Whereabouts, report: Report, subject: str
) -> tuple[Target, Trust]:
    """Where the name leads. It decides nothing: TCP does."""
    if target.dial != target.address:
        report.add(subject, Finding("DNS", Status.SKIPPED, f"{target.dial} is dialled instead"))
        return target, trust
    if target.tunnel is not None:
        report.add(subject, Finding("DNS", Status.SKIPPED, "the far end of the tunnel looks the name up"))
        return await whereabouts.now(target.login_timeout)
    began = time.monotonic()
    try:
        found, its_trust = await whereabouts.now()
        details = (f"follows the CNAME to {found.address}",) if found.address != target.address else ()
        addresses = await _addresses(found.address)
        chain = await in_thread(lambda: _chain(found.address.host), LOOKUP_SECONDS, "check")
    except LoginError as exc:
        report.add(subject, replace(failed("DNS", exc), seconds=time.monotonic() - began))
        return target, trust
    except (OSError, TimeoutError) as exc:
        text = f"{target.address.host}: {getattr(exc, 'strerror', None) or 'no answer'}"
        report.add(subject, Finding("DNS", Status.WARNING, text, time.monotonic() - began))
        return target, trust
    if len(chain) > 1:
        details = (*details, " → ".join(chain))
    text = f"{found.address.host} is {', '.join(addresses)}"
    report.add(subject, Finding("DNS", Status.OK, text, time.monotonic() - began, details))
    return found, its_trust


async def _addresses(address: Address) -> list[str]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LOOKUP_SECONDS):
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def _chain(host: str) -> list[str]:
    """The host's CNAMEs, as far as the system's resolver tells them: nothing for one that has IPv6 only."""
    try:
        last, names, _ = socket.gethostbyname_ex(host)
    except OSError:
        return []
    return list(dict.fromkeys([host, *names, last]))


async def _log_in(
    target: Target,
    db_user: str,
    tokens: TokenSource,
    trust: Trust,
    whereabouts: Whereabouts,
    caller: Caller | None,
    report: Report,
    subject: str,
) -> None:
    findings = await log_in(
        target, db_user, tokens, trust, explained=whereabouts.explained, advice=_policy(target, db_user, caller)
    )
    for finding in findings:
        report.add(subject, finding)
    if any(finding.status is Status.FAILED for finding in findings):
        report.add(subject, Finding("query", Status.SKIPPED, "not reached"))
        return
    began = time.monotonic()
    asked, how = _QUESTIONS[target.engine]
    try:
        user = await _who(target, db_user, tokens, trust)
    except (query.QueryFailed, TimeoutError) as exc:
        why = str(exc) or "no answer in time"
        report.add(
            subject,
            Finding("query", Status.FAILED, f"a second login{how} failed: {why}", time.monotonic() - began),
        )
        return
    text = f"{asked} says {user} (a second login{how.rstrip(',')})"
    report.add(subject, Finding("query", Status.OK, text, time.monotonic() - began))


async def _who(target: Target, db_user: str, tokens: TokenSource, trust: Trust) -> str:
    if target.engine == "postgres":
        return await query.postgres_user(Way(target, trust, tokens, TokenClock(), Dialler()), db_user)
    token = await tokens.get(target.address, target.region, db_user)
    return await in_thread(
        lambda: query.current_user(target, db_user, token.value, trust.context), 2.0 * query.SECONDS, "check"
    )


def _policy(target: Target, db_user: str, caller: Caller | None) -> str:
    """With the account, which STS told."""
    arn = failures.policy_arn(target, db_user)
    if caller is None:
        return ""
    return f"Allow {caller.arn} the action rds-db:connect on {arn.replace(':ACCOUNT:', f':{caller.account}:')}."
