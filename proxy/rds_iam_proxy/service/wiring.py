"""Builds the parts of a running proxy from its configuration. What a new configuration leaves as it is, is kept."""

import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import platformdirs

from ..aws.tokens import Identity, TokenSource
from ..aws.trust import Trust
from ..config import Account, Config, Target
from ..errors.tree import ConfigError
from ..files import read_file
from ..front.tls import LocalTLS, local_tls
from ..limits.limiter import Limiter
from ..logs import event
from ..mysql.greetings import Greetings
from ..mysql.probe import Probe
from ..net.address import Address
from ..rds.upstream import Upstream

log = logging.getLogger(__name__)

_LimiterKey = tuple[Address, float, int]
_TrustKey = tuple[str, str, Path | None, str]
Spawn = Callable[[Coroutine[None, None, None]], object]


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one target. Sessions keep the route they came in by, whatever a reload does."""

    upstream: Upstream
    probe: Probe
    trust: Trust
    limiter: Limiter
    tokens: TokenSource


@dataclass(frozen=True, slots=True)
class Wiring:
    """All parts of one configuration."""

    routes: dict[str, Route] = field(default_factory=dict)
    tls: tuple[LocalTLS | None, ...] = ()
    """One for each listener, in their order."""
    limiters: dict[_LimiterKey, Limiter] = field(default_factory=dict)
    trusts: dict[_TrustKey, Trust] = field(default_factory=dict)
    tokens: dict[Identity, TokenSource] = field(default_factory=dict)
    """Those of earlier configurations too: sessions that are open may still log in anew."""


def wire(config: Config, spawn: Spawn, before: Wiring | None = None) -> Wiring:
    """The parts for `config`; `before`: those that run now. Changes nothing of them. Raises ConfigError."""
    before = before or Wiring()
    limiters = {key: before.limiters.get(key) or _limiter(key) for key in map(_limiter_key, config.targets.values())}
    keys = {name: _trust_key(target) for name, target in config.targets.items()}
    trusts = {key: before.trusts.get(key) or Trust(key[1], key[2]) for key in keys.values()}
    _warn_of_expiry(trust for key, trust in trusts.items() if key not in before.trusts)
    identities = map(_identity, config.targets.values())
    tokens = before.tokens | {one: TokenSource(one) for one in set(identities) - before.tokens.keys()}
    state_folder = platformdirs.user_state_path("rds-iam-proxy")
    tls = tuple(local_tls(listener, state_folder) for listener in config.listeners)
    greetings = Greetings(platformdirs.user_cache_path("rds-iam-proxy") / "greetings")
    routes = {}
    for name, target in config.targets.items():
        limiter, trust = limiters[_limiter_key(target)], trusts[keys[name]]
        db_user = _probe_user(config.accounts, name)
        old = before.routes.get(name)
        if old is not None and _is_same(old, target, limiter, trust) and _may_probe_on(old, db_user):
            routes[name] = old
            continue
        upstream = Upstream(target, limiter=limiter, tokens=tokens[_identity(target)], trust=trust)
        if old is not None and (old.upstream.target.address, old.upstream.target.dial) == (target.address, target.dial):
            upstream.watch = old.upstream.watch
        elif old is not None:
            upstream.watch = old.upstream.watch.elsewhere()
        probe = Probe(upstream, db_user, greetings, spawn)
        if old is not None and (old.upstream.target.address, old.upstream.target.dial) == (target.address, target.dial):
            probe.identity = old.probe.identity
        routes[name] = Route(upstream, probe, trust, limiter, tokens[_identity(target)])
    return Wiring(routes, tls, limiters, trusts, tokens)


def _is_same(route: Route, target: Target, limiter: Limiter, trust: Trust) -> bool:
    return route.upstream.target == target and route.limiter is limiter and route.trust is trust


def _may_probe_on(route: Route, db_user: str | None) -> bool:
    """A probe that has no answer yet must ask as somebody who is left."""
    return route.probe.identity is not None or route.probe.db_user == db_user


def _identity(target: Target) -> Identity:
    return Identity(
        profile=target.profile,
        role_arn=target.role_arn,
        external_id=target.external_id,
        role_session_name=target.role_session_name,
    )


def _limiter_key(target: Target) -> _LimiterKey:
    """One limiter per signed endpoint: RDS counts logins, not our targets. Its targets agree on the limit."""
    return target.address, target.logins_per_second, target.login_burst


def _limiter(key: _LimiterKey) -> Limiter:
    address, rate, burst = key
    return Limiter(
        address,
        rate=rate,
        burst=burst,
        on_grant=partial(_log_grant, address),
        on_rate_change=partial(_log_throttling, address),
    )


def _log_grant(address: Address, at: float) -> None:
    event(log, logging.DEBUG, "login permitted", endpoint=str(address), monotonic=at)


def _log_throttling(address: Address, rate: float) -> None:
    event(log, logging.WARNING, "RDS throttles logins", endpoint=str(address), logins_per_second=rate)


def _trust_key(target: Target) -> _TrustKey:
    """With the content of the CA file: the same file may hold other certificates now. Raises ConfigError."""
    try:
        digest = "" if target.ca_file is None else hashlib.sha256(read_file(target.ca_file)[0]).hexdigest()
    except OSError as exc:
        raise ConfigError([f"ca_file {target.ca_file}: {exc.strerror}"]) from exc
    return target.name, target.address.host, target.ca_file, digest


def _warn_of_expiry(trusts: Iterable[Trust]) -> None:
    for warning in {trust.expiry_warning(time.time()) for trust in trusts} - {None}:
        event(log, logging.WARNING, "CA certificate ends soon", why=warning)


def _probe_user(accounts: tuple[Account, ...], target: str) -> str | None:
    """The DB user whose login learns the greeting: the first account that may use the target."""
    return next((a.db_user for a in accounts if a.targets is None or target in a.targets), None)
