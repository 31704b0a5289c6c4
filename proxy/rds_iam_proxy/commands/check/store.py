"""The store of a fleet: whether it can be reached, whom it is, and whether its user may do what a proxy does."""

import time
from collections.abc import Mapping
from dataclasses import replace

from ...config import Config
from ...errors.tree import LoginError
from ...limits.shared_budget import BURST, Answer, Ask, Fleet
from ...limits.store import Store, StoreError
from ...limits.store_place import acl_rule
from ...service.budgets import BudgetKey, credentials_for
from .report import Finding, Report, Status

BUDGET = "check"
"""One of its own, so that no proxy is counted twice; it is gone after an hour."""

SKEW_SECONDS = 5.0
"""The clocks need not agree, but one of them is wrong then."""


async def check_store(config: Config, report: Report) -> None:
    """Adds its findings to the report: one for each identity that asks, which is one where there is a password."""
    for key in _askers(config):
        if key.sharing is None or key.sharing.store is None:
            continue
        subject = f"fleet of {key.sharing.size}: {key.sharing.store}"
        report.begin(subject)
        began = time.monotonic()
        finding = await _ask(Store(key.sharing.store, credentials_for(key)), key)
        report.add(subject, replace(finding, seconds=time.monotonic() - began))


def _askers(config: Config) -> list[BudgetKey]:
    keys = [BudgetKey.of(target, config.sharing) for target in config.targets.values()]
    by_identity: Mapping[object, BudgetKey] = {(key.identity, key.region): key for key in keys}
    return list(by_identity.values())


async def _ask(store: Store, key: BudgetKey) -> Finding:
    """Twice, because a first call is given no slot; and leave."""
    fleet, size = Fleet(key.rate, BURST, 1), key.sharing.size if key.sharing else 1
    try:
        await store.connect()
        asked = time.monotonic()
        first = Answer.decode(await store.call(BUDGET, Ask(1, 0, 0, 0, 0).arguments(BUDGET, fleet)))
        seconds = time.monotonic() - asked
        Answer.decode(await store.call(BUDGET, Ask(1, first.next, first.now, 0, 0).arguments(BUDGET, fleet)))
        await store.call(BUDGET, ["leave", BUDGET])
    except (StoreError, LoginError, ValueError) as exc:
        text = exc.text if isinstance(exc, LoginError) else str(exc)
        advice = f"Until it answers, each proxy keeps to {key.rate / size:g} logins per second."
        return Finding("store", Status.FAILED, text, advice=advice)
    finally:
        await store.close()
    skew = first.now / 1e6 - time.time()
    text = f"answers in {seconds * 1000:.1f} ms; its clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    rights = f"a user that may do just what a proxy does: {acl_rule(store.place.user)} >PASSWORD"
    status = Status.WARNING if abs(skew) > SKEW_SECONDS else Status.OK
    return Finding("store", status, text, details=(rights,))
