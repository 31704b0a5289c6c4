"""The login budgets: this proxy's own, its part of a fleet's, or one that it shares with the fleet by a store."""

import time
from dataclasses import dataclass, field
from functools import partial

from ..aws.cache_token import CacheUser, cache_token
from ..aws.credentials import Identity
from ..config import Sharing, Target
from ..limits.budget import Permits
from ..limits.limiter import Limiter
from ..limits.member import Member
from ..limits.shared_budget import Fleet, SharedPermits
from ..limits.store import Credentials, Store
from ..net.address import Address
from ..stats.histogram import Histogram


def identity_of(target: Target) -> Identity:
    """Whose AWS credentials a target uses."""
    return Identity(
        profile=target.profile,
        role_arn=target.role_arn,
        external_id=target.external_id,
        role_session_name=target.role_session_name,
    )


@dataclass(frozen=True, slots=True)
class BudgetKey:
    """What makes one budget: targets that agree in it have the same."""

    name: str
    """The signed endpoint, as RDS counts logins and not our targets; or the name that several endpoints share."""
    rate: float
    burst: int
    sharing: Sharing | None = None
    identity: Identity | None = None
    """Who signs for the store; None where it has a password."""
    region: str | None = None
    endpoint: Address = field(default=Address("", 0), compare=False)
    """For errors: the first of them."""

    @classmethod
    def of(cls, target: Target, sharing: Sharing | None) -> "BudgetKey":
        signs = sharing is not None and sharing.store is not None and sharing.store.iam is not None
        return cls(
            target.budget or str(target.address),
            target.logins_per_second,
            target.login_burst,
            sharing,
            identity_of(target) if signs else None,
            target.region if signs else None,
            target.address,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LoginBudget:
    """One budget at work."""

    key: BudgetKey
    limiter: Limiter
    member: Member | None = None
    """Who asks the store: to be run as long as the budget is used. None: it is not shared by a store."""
    permits: SharedPermits | None = None
    calls: Histogram = field(default_factory=Histogram)
    """Seconds of each call to the store."""


def make_budget(key: BudgetKey) -> LoginBudget:
    """Starts nothing: may be called in any thread."""
    now = time.monotonic()
    if key.sharing is None:
        return LoginBudget(key, Limiter(key.endpoint, Permits(key.rate, key.burst, now)))
    fleet = Fleet(key.rate, key.burst, key.sharing.size)
    if key.sharing.store is None:
        return LoginBudget(key, Limiter(key.endpoint, fleet.fixed_share(now)))
    permits, calls = SharedPermits(fleet, now), Histogram()
    store = Store(key.sharing.store, credentials_for(key))
    member = Member(key.name, permits, store, on_call=calls.observe)
    return LoginBudget(key, Limiter(key.endpoint, permits, on_wait=member.wake), member, permits, calls)


def credentials_for(key: BudgetKey) -> Credentials | None:
    """Who signs for its store; None where it has a password, or none."""
    place = None if key.sharing is None else key.sharing.store
    if place is None or place.iam is None or key.identity is None or key.region is None:
        return None
    return partial(cache_token, CacheUser(place.iam, place.user, place.address.host), key.region, key.identity)
