"""The metrics as a scrape reads them."""

from prometheus_client.parser import text_string_to_metric_families

from rds_iam_proxy.admin import metrics
from rds_iam_proxy.admin.metrics import Numbers, TargetNumbers
from rds_iam_proxy.errors.tree import Limited
from rds_iam_proxy.service.service import LastReload
from rds_iam_proxy.session.view import Activity
from rds_iam_proxy.stats.histogram import Histogram
from rds_iam_proxy.stats.phases import Phase
from rds_iam_proxy.stats.refused import RefusedLogin
from rds_iam_proxy.stats.target import Health, TargetStats

NOW = 1_000_000.0
RELOADED = LastReload(NOW - 5)
Labels = frozenset[tuple[str, str]]


def scrape(
    stats: TargetStats,
    *,
    name: str = "shop",
    health: Health = Health.READY,
    last_reload: LastReload | None = RELOADED,
) -> dict[tuple[str, Labels], float]:
    lag = Histogram()
    lag.observe(0.003)
    target = TargetNumbers(
        name=name,
        stats=stats,
        health=health,
        tunnel=None,
        breaker_open=False,
        sessions={Activity.IDLE: 2},
        max_sessions=500,
        parked=2,
        rate=100.0,
        waiting=7,
        token_ages={"demo_user": 12.0},
        roots_expire=NOW + 10 * metrics.DAY,
    )
    numbers = Numbers(
        now=NOW,
        ready=True,
        draining=False,
        targets=(target,),
        tokens_signed=3,
        loop_lag=lag,
        listener_certificates={"127.0.0.1:3306": NOW + metrics.DAY},
        last_reload=last_reload,
        log_lines_dropped=11,
    )
    text = metrics.render(numbers).decode()
    return {
        (sample.name.removeprefix(metrics.PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def test_every_number_has_its_name() -> None:
    stats = TargetStats(wall=lambda: NOW, accepted=5, abandoned=1, bytes_from_client=10, bytes_from_rds=20)
    stats.refuse(RefusedLogin("a", "127.0.0.1", 1040, "no", Limited("no-room")))
    stats.ended["client"] += 4
    stats.permit_wait.observe(0.2)
    stats.phases[Phase.TLS].observe(0.004)
    stats.attempted("demo_user", None)
    stats.certificate_expires = NOW + 2 * metrics.DAY
    found = scrape(stats)
    expected = {
        ("ready", of()): 1,
        ("draining", of()): 0,
        ("sessions", of(target="shop", activity="idle")): 2,
        ("sessions", of(target="shop", activity="running")): 0,
        ("sessions_max", of(target="shop")): 500,
        ("sessions_ended_total", of(target="shop", by="client")): 4,
        ("bytes_total", of(target="shop", sender="client")): 10,
        ("bytes_total", of(target="shop", sender="rds")): 20,
        ("logins_total", of(target="shop", result="accepted", reason="")): 5,
        ("logins_total", of(target="shop", result="abandoned", reason="")): 1,
        ("logins_total", of(target="shop", result="refused", reason="limited")): 1,
        ("target_up", of(target="shop")): 1,
        ("breaker_open", of(target="shop")): 0,
        ("last_login_timestamp_seconds", of(target="shop")): NOW,
        ("login_phase_seconds_bucket", of(target="shop", phase="tls", le="0.0025")): 0,
        ("login_phase_seconds_bucket", of(target="shop", phase="tls", le="0.005")): 1,
        ("login_phase_seconds_count", of(target="shop", phase="tls")): 1,
        ("login_phase_seconds_sum", of(target="shop", phase="tls")): 0.004,
        ("permit_wait_seconds_count", of(target="shop")): 1,
        ("permit_wait_seconds_bucket", of(target="shop", le="+Inf")): 1,
        ("permit_queue", of(target="shop")): 7,
        ("logins_per_second_limit", of(target="shop")): 100,
        ("token_age_seconds", of(target="shop", db_user="demo_user")): 12,
        ("tokens_signed_total", of()): 3,
        ("last_reload_successful", of()): 1,
        ("last_reload_timestamp_seconds", of()): NOW - 5,
        ("log_lines_dropped_total", of()): 11,
        ("certificate_expiry_days", of(certificate="rds", of="shop")): 2,
        ("certificate_expiry_days", of(certificate="roots", of="shop")): 10,
        ("certificate_expiry_days", of(certificate="listener", of="127.0.0.1:3306")): 1,
        ("event_loop_lag_seconds_count", of()): 1,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_a_target_that_nobody_tried_is_neither_up_nor_down() -> None:
    assert ("target_up", of(target="shop")) not in scrape(TargetStats(), health=Health.STARTING)
    assert scrape(TargetStats(), health=Health.DOWN)[("target_up", of(target="shop"))] == 0


def test_a_refused_reload_shows_and_none_shows_nothing() -> None:
    refused = scrape(TargetStats(), last_reload=LastReload(NOW, ("a fault",)))
    assert refused[("last_reload_successful", of())] == 0
    none = scrape(TargetStats(), last_reload=None)
    assert not any("reload" in name for name, _ in none)
