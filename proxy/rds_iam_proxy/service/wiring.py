"""Builds the parts of a running proxy from its configuration. What a new configuration leaves as it is, is kept."""

import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from ..aws.tokens import Identity, TokenSource
from ..aws.trust import Trust
from ..config import Account, Config, Engine, Listener, Target
from ..config import Tunnel as TunnelWay
from ..dialect import Dialect
from ..errors.tree import ConfigError
from ..files import read_file
from ..front.tls import LocalTLS, local_tls
from ..logs import event
from ..mysql.dialect import mysql
from ..mysql.greetings import Greetings
from ..net.address import Address
from ..postgres.dialect import ALPN_PROTOCOL, postgres
from ..rds.tunnel.tunnel import Tunnel
from ..rds.upstream import Upstream
from ..stats.target import TargetStats
from .budgets import BudgetKey, LoginBudget, identity_of, make_budget
from .probe import Probe

log = logging.getLogger(__name__)

_TrustKey = tuple[str, str, Path | None, str]
_Place = tuple[str, Address, Address | Path, TunnelWay | None, Engine]
_TunnelKey = tuple[TunnelWay, float | None, Address, str | None, str]
_UpstreamKey = tuple[Target, _TrustKey, BudgetKey]
_ProbeKey = tuple[_UpstreamKey, str | None]
Spawn = Callable[[Coroutine[None, None, None]], object]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one target. Sessions keep the route they came in by, whatever a reload does."""

    upstream: Upstream
    dialect: Dialect[Any]
    probe: Probe


@dataclass(frozen=True, slots=True)
class Wiring:
    """All parts of one configuration, each by what it was made from."""

    routes: dict[str, Route] = field(default_factory=dict)
    """By the names of targets."""
    tls: tuple[LocalTLS | None, ...] = ()
    """One for each listener, in their order."""
    budgets: dict[BudgetKey, LoginBudget] = field(default_factory=dict)
    trusts: dict[_TrustKey, Trust] = field(default_factory=dict)
    tokens: dict[Identity, TokenSource] = field(default_factory=dict)
    """Those of earlier configurations too: sessions that are open may still log in anew."""
    stats: dict[_Place, TargetStats] = field(default_factory=dict)
    dialects: dict[_Place, Dialect[Any]] = field(default_factory=dict)
    tunnels: dict[_TunnelKey, Tunnel] = field(default_factory=dict)
    upstreams: dict[_UpstreamKey, Upstream] = field(default_factory=dict)
    probes: dict[_ProbeKey, Probe] = field(default_factory=dict)


def wire(
    config: Config,
    spawn: Spawn,
    before: Wiring | None = None,
    *,
    spawn_tunnel: Spawn | None = None,
    new_stats: Callable[[], TargetStats] = TargetStats,
) -> Wiring:
    """The parts for `config`; `before`: those that run now. Changes nothing of them. Raises ConfigError."""
    before = before or Wiring()
    targets = config.targets.values()
    greetings = Greetings(platformdirs.user_cache_path("rds-iam-proxy") / "greetings")
    state_folder = platformdirs.user_state_path("rds-iam-proxy")

    tls = tuple(local_tls(listener, state_folder, _alpn(config, listener)) for listener in config.listeners)
    keys = {target: (target, _trust_key(target), BudgetKey.of(target, config.sharing)) for target in targets}
    trusts = kept(before.trusts, (key for _, key, _ in keys.values()), lambda key: Trust(key[1], key[2]))
    budgets = kept(before.budgets, (key for _, _, key in keys.values()), make_budget)
    _warn_of_expiry(trust for key, trust in trusts.items() if key not in before.trusts)
    tokens = before.tokens | kept(before.tokens, map(identity_of, targets), TokenSource)
    stats = kept(before.stats, map(_place, targets), lambda place: _stats(before, place, new_stats))

    def dialect(place: _Place) -> Dialect[Any]:
        return postgres() if place[-1] == "postgres" else mysql(place[1], greetings, spawn)

    dialects = kept(before.dialects, map(_place, targets), dialect)

    ways = {_tunnel_key(target): target for target in targets}
    tunnels = kept(
        before.tunnels,
        (key for key in ways if key is not None),
        lambda key: Tunnel(ways[key], config.tunnel_environ, spawn_tunnel or spawn),
    )

    def upstream(key: _UpstreamKey) -> Upstream:
        target, trust_key, budget_key = key
        return Upstream(
            target,
            limiter=budgets[budget_key].limiter,
            tokens=tokens[identity_of(target)],
            trust=trusts[trust_key],
            stats=stats[_place(target)],
            tunnel=None if (way := _tunnel_key(target)) is None else tunnels[way],
        )

    def probe(key: _ProbeKey) -> Probe:
        upstream_key, db_user = key
        return Probe(upstreams[upstream_key], dialects[_place(upstream_key[0])], db_user)

    upstreams = kept(before.upstreams, keys.values(), upstream)
    probe_keys = {target: (key, _probe_user(config.accounts, target.name)) for target, key in keys.items()}
    probes = kept(before.probes, probe_keys.values(), probe)
    routes = {
        target.name: Route(upstreams[key], dialects[_place(target)], probes[probe_keys[target]])
        for target, key in keys.items()
    }
    return Wiring(routes, tls, budgets, trusts, tokens, stats, dialects, tunnels, upstreams, probes)


def kept(before: Mapping[K, V], wanted: Iterable[K], make: Callable[[K], V]) -> dict[K, V]:
    """The parts of these keys: those that are there, and new ones for the others."""
    return {key: before[key] if key in before else make(key) for key in wanted}


def _place(target: Target) -> _Place:
    """What was learnt of a target holds as long as it is at this address."""
    return target.name, target.address, target.dial, target.tunnel, target.engine


def _alpn(config: Config, listener: Listener) -> str | None:
    """MySQL's clients name no protocol."""
    return ALPN_PROTOCOL if config.targets[listener.target].engine == "postgres" else None


def _tunnel_key(target: Target) -> _TunnelKey | None:
    """Targets with the same way to the same endpoint share a tunnel."""
    if target.tunnel is None:
        return None
    return target.tunnel, target.tunnel_idle, target.address, target.profile, target.region


def _stats(before: Wiring, place: _Place, new_stats: Callable[[], TargetStats]) -> TargetStats:
    old = before.routes.get(place[0])
    return new_stats() if old is None else old.upstream.stats.elsewhere()


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
