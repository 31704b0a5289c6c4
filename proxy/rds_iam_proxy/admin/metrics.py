"""What is known of the targets and sessions, as Prometheus metrics. The only module that knows their names.

The numbers are kept elsewhere and read when somebody asks, so metrics that nobody reads cost nothing. Loaded only when
there is an admin address: importing prometheus_client takes 0.2 s.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from .. import __version__
from ..limits.shared_budget import Source
from ..rds.tunnel.tunnel import State, Tunnel
from ..service.budgets import LoginBudget
from ..service.service import LastReload
from ..session.view import Activity
from ..stats.histogram import Histogram
from ..stats.target import Health, TargetStats

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "rds_iam_proxy_"
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class TargetNumbers:
    """One target at this moment."""

    name: str
    stats: TargetStats
    health: Health
    breaker_open: bool
    tunnel: Tunnel | None
    sessions: Mapping[Activity, int]
    max_sessions: int
    parked: int
    rate: float
    waiting: int
    token_ages: Mapping[str, float]
    """By DB user."""
    roots_expire: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """The whole process at this moment. Certificate ends in seconds since 1970."""

    now: float
    ready: bool
    draining: bool
    targets: tuple[TargetNumbers, ...]
    tokens_signed: int
    loop_lag: Histogram
    listener_certificates: Mapping[str, float]
    """By the listener's address."""
    last_reload: LastReload | None = None
    log_lines_dropped: int = 0
    budgets: tuple[LoginBudget, ...] = ()
    """Those that are shared with other proxies."""


def render(numbers: Numbers) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collector(numbers))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering it would collect once more

    def collect(self) -> Iterator[Metric]:
        numbers, targets = self._numbers, self._numbers.targets
        yield _gauge("info", "The running version.", ["version"], [([__version__], 1.0)])
        yield _gauge("ready", "1 while /readiness says so.", [], [([], float(numbers.ready))])
        yield _gauge("draining", "1 while the proxy stops.", [], [([], float(numbers.draining))])
        yield from _reload(numbers.last_reload)
        dropped = float(numbers.log_lines_dropped)
        yield _counter("log_lines_dropped", "Log lines lost because their reader had stopped.", [], [([], dropped)])
        yield from _sessions(targets)
        yield from _logins(targets)
        yield from _limits(targets)
        yield from _fleet(numbers.budgets)
        yield from _tokens(numbers)
        yield from _certificates(numbers)
        lag = HistogramMetricFamily(f"{PREFIX}event_loop_lag_seconds", "How late the event loop ran a timer.")
        _add(lag, [], numbers.loop_lag)
        yield lag


def _reload(last: LastReload | None) -> Iterator[Metric]:
    """None before the first: there is nothing to alert on."""
    if last is None:
        return
    successful = float(not last.faults)
    yield _gauge("last_reload_successful", "1 if the last reload is in force, 0 if not.", [], [([], successful)])
    yield _gauge("last_reload_timestamp_seconds", "When the last reload was tried.", [], [([], last.at)])


def _sessions(targets: Iterable[TargetNumbers]) -> Iterator[Metric]:
    yield _gauge(
        "sessions",
        "Clients that are connected, by what they do.",
        ["target", "activity"],
        (([t.name, activity.value], float(t.sessions.get(activity, 0))) for t in targets for activity in Activity),
    )
    yield _gauge(
        "sessions_max", "Sessions that may be open.", ["target"], (([t.name], float(t.max_sessions)) for t in targets)
    )
    yield _gauge(
        "sessions_parked",
        "Used sessions at RDS that wait for their next client.",
        ["target"],
        (([t.name], float(t.parked)) for t in targets),
    )
    yield _counter(
        "sessions_lent",
        "Logins of clients that a used session served, without one at RDS.",
        ["target"],
        (([t.name], float(t.stats.lent)) for t in targets),
    )
    yield _counter(
        "sessions_unfit",
        "Used sessions that were closed instead of being lent, by why.",
        ["target", "reason"],
        (([t.name, why], float(count)) for t in targets for why, count in sorted(t.stats.unfit.items())),
    )
    yield _counter(
        "sessions_ended",
        "Sessions that are over, by who ended them.",
        ["target", "by"],
        (([t.name, by], float(count)) for t in targets for by, count in t.stats.ended.items()),
    )
    yield _counter(
        "bytes",
        "Bytes relayed, by who sent them.",
        ["target", "sender"],
        (
            ([t.name, sender], float(count))
            for t in targets
            for sender, count in (("client", t.stats.bytes_from_client), ("rds", t.stats.bytes_from_rds))
        ),
    )


def _logins(targets: Iterable[TargetNumbers]) -> Iterator[Metric]:
    yield _counter(
        "logins",
        "Logins of clients, by how they ended and why.",
        ["target", "result", "reason"],
        (
            ([t.name, result, reason], float(count))
            for t in targets
            for result, reason, count in (
                ("accepted", "", t.stats.accepted),
                ("abandoned", "", t.stats.abandoned),
                *(("refused", reason, count) for reason, count in sorted(t.stats.refused.items())),
            )
        ),
    )
    yield _gauge(
        "target_up",
        "1 if the target's last logins worked, 0 if not; none before the first.",
        ["target"],
        (([t.name], float(t.health is Health.READY)) for t in targets if t.health is not Health.STARTING),
    )
    yield _gauge(
        "breaker_open",
        "1 while logins fail at once, because the target could not be reached.",
        ["target"],
        (([t.name], float(t.breaker_open)) for t in targets),
    )
    yield _gauge(
        "tunnel_open",
        "1 while the target's own tunnel is open; none without one.",
        ["target"],
        (([t.name], float(t.tunnel.state is State.OPEN)) for t in targets if t.tunnel is not None),
    )
    yield _counter(
        "tunnel_starts",
        "How often the tunnel's program was started.",
        ["target"],
        (([t.name], float(t.tunnel.starts)) for t in targets if t.tunnel is not None),
    )
    yield _gauge(
        "last_login_timestamp_seconds",
        "When RDS let somebody in last.",
        ["target"],
        (([t.name], t.stats.last_login) for t in targets if t.stats.last_login is not None),
    )
    phases = HistogramMetricFamily(
        f"{PREFIX}login_phase_seconds", "What logins at RDS spend their time on.", labels=["target", "phase"]
    )
    for target in targets:
        for phase, histogram in target.stats.phases.items():
            _add(phases, [target.name, phase.value], histogram)
    yield phases


def _limits(targets: Iterable[TargetNumbers]) -> Iterator[Metric]:
    waits = HistogramMetricFamily(
        f"{PREFIX}permit_wait_seconds", "How long logins waited for the rate limit.", labels=["target"]
    )
    for target in targets:
        _add(waits, [target.name], target.stats.permit_wait)
    yield waits
    yield _gauge(
        "permit_queue",
        "Logins that wait for the rate limit of the target's endpoint.",
        ["target"],
        (([t.name], float(t.waiting)) for t in targets),
    )
    yield _gauge(
        "logins_per_second_limit",
        "Logins a second that the target's endpoint is asked for at most; less since RDS throttled.",
        ["target"],
        (([t.name], t.rate) for t in targets),
    )


def _fleet(budgets: Iterable[LoginBudget]) -> Iterator[Metric]:
    shared = [(b.key.name, b.limiter, b.permits, b.member, b.calls) for b in budgets]
    with_store = [(name, permits, member, calls) for name, _, permits, member, calls in shared if permits and member]
    yield _gauge(
        "fleet_rate",
        "Logins a second that the fleet may begin now, or this proxy while it has a share only.",
        ["budget"],
        (([name], limiter.rate) for name, limiter, *_ in shared),
    )
    yield _gauge(
        "fleet_store_up",
        "1 if the store answered the last call.",
        ["budget"],
        (([name], float(member.up)) for name, _, member, _ in with_store),
    )
    yield _gauge(
        "fleet_members",
        "Proxies that the store has heard of lately.",
        ["budget"],
        (([name], float(permits.answer.members)) for name, permits, *_ in with_store if permits.answer),
    )
    yield _gauge(
        "fleet_active",
        "Proxies at which logins wait.",
        ["budget"],
        (([name], float(permits.answer.active)) for name, permits, *_ in with_store if permits.answer),
    )
    yield _counter(
        "fleet_permits",
        "Permits for logins, from the store or, while it was silent, from this proxy's share.",
        ["budget", "source"],
        (
            ([name, str(source)], float(permits.granted[source]))
            for name, permits, *_ in with_store
            for source in Source
        ),
    )
    yield _counter(
        "fleet_slots_dropped",
        "Permits of the store that were not used in their time.",
        ["budget"],
        (([name], float(permits.dropped)) for name, permits, *_ in with_store),
    )
    yield _counter(
        "fleet_clock_resets",
        "How often the store's clock was another than before.",
        ["budget"],
        (([name], float(permits.clock_resets)) for name, permits, *_ in with_store),
    )
    seconds = HistogramMetricFamily(
        f"{PREFIX}fleet_call_seconds", "How long the store took to answer.", labels=["budget"]
    )
    for name, _, _, calls in with_store:
        _add(seconds, [name], calls)
    yield seconds


def _tokens(numbers: Numbers) -> Iterator[Metric]:
    yield _gauge(
        "token_age_seconds",
        "Since the token in use was signed.",
        ["target", "db_user"],
        (([t.name, user], age) for t in numbers.targets for user, age in sorted(t.token_ages.items())),
    )
    yield _counter("tokens_signed", "Tokens signed, renewed ones among them.", [], [([], float(numbers.tokens_signed))])


def _certificates(numbers: Numbers) -> Iterator[Metric]:
    ends = [
        *((["rds", t.name], t.stats.certificate_expires) for t in numbers.targets),
        *((["roots", t.name], t.roots_expire) for t in numbers.targets),
        *((["listener", address], expires) for address, expires in numbers.listener_certificates.items()),
    ]
    yield _gauge(
        "certificate_expiry_days",
        "Until the certificate ends: that of RDS, the first of the roots it is checked with, that of a listener.",
        ["certificate", "of"],
        ((labels, (expires - numbers.now) / DAY) for labels, expires in ends if expires is not None),
    )


_Samples = Iterable[tuple[list[str], float]]


def _gauge(name: str, help: str, labels: list[str], samples: _Samples) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, help, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, help: str, labels: list[str], samples: _Samples) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    bounds = (*map(str, histogram.bounds), "+Inf")
    buckets = list(zip(bounds, map(float, histogram.cumulative()), strict=True))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
