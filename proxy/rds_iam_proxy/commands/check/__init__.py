"""`check`: a login at RDS step by step, with what each step shows, and what to do at the first failure.

The proxy's own code makes one whole login for each DB user: all facts of TCP, greeting and TLS come from it, because a
connection that is broken off counts towards RDS's max_connect_errors. Then PyMySQL, an ordinary client, makes a second.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ...aws.trust import Trust
from ...config import Config
from ...errors.tree import ConfigError
from ...front.tls import local_tls
from .report import Finding, Report, Status, width_of
from .store import check_store
from .target import check_target
from .tunnel import tunnel_of


def run(load: Callable[[], Config], *, config_only: bool, as_json: bool, stream: TextIO) -> int:
    """0: every step that a login needs works, for each target and each of its DB users. 1: not so.

    `config_only`: only what is on this machine is looked at, the configuration and all files that it names.
    """
    report = Report(stream, as_json, width_of(stream))
    began = time.monotonic()
    try:
        config = load()
        trusts = _trusts(config)
    except ConfigError as exc:
        text = "cannot be used" if len(exc.faults) > 1 else exc.faults[0]
        details = exc.faults if len(exc.faults) > 1 else ()
        advice = "Put right what is named above."
        seconds = time.monotonic() - began
        report.add("configuration", Finding("configuration", Status.FAILED, text, seconds, details, advice))
        report.finish()
        return 1
    text = f"{len(config.targets)} target{'s' if len(config.targets) > 1 else ''}"
    status = Status.WARNING if config.warnings else Status.OK
    report.add("configuration", Finding("configuration", status, text, time.monotonic() - began, config.warnings))
    if not config_only:
        asyncio.run(_check(config, trusts, report))
    report.finish()
    return 1 if report.failed else 0


def _trusts(config: Config) -> dict[str, Trust]:
    """Whom to trust, by target. Raises ConfigError with the faults of all certificates, those for clients too."""
    trusts: dict[str, Trust] = {}
    faults: list[str] = []
    for name, target in config.targets.items():
        try:
            trusts[name] = Trust(target.address.host, target.ca_file)
        except ConfigError as exc:
            faults.extend(exc.faults)
    for listener in config.listeners:
        if listener.tls_cert is not None:
            try:
                local_tls(listener, Path())  # makes nothing: there is a certificate
            except ConfigError as exc:
                faults.extend(exc.faults)
    if faults:
        raise ConfigError(faults)
    return trusts


async def _check(config: Config, trusts: dict[str, Trust], report: Report) -> None:
    for name, target in config.targets.items():
        allowed = [one.db_user for one in config.accounts if one.targets is None or name in one.targets]
        db_users = list(dict.fromkeys(allowed))
        if not db_users:
            report.begin(f"{name}: {target.address}")
            report.add(name, Finding("login", Status.SKIPPED, "no account may use this target"))
            continue
        async with tunnel_of(target, config.tunnel_environ) as tunnel:
            await check_target(target, db_users, trusts[name], tunnel, report)
    await check_store(config, report)
