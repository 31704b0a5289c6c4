"""2,000 sessions open and 50 of them busy, against a proxy with these 50 alone; and how late its event loop gets."""

import time
from collections.abc import Iterator

from .. import probed_proxy, sysbench
from ..lab import PROXY, TABLES, Lab
from ..proxy import ProxyProcess, running_proxy
from ..samples import Sample
from ..schedule import Scale
from ..subjects import Subject
from .memory import holding

MEASURE = "many sessions"
OPEN, BUSY = 2000, 50
ALONE, AMONG = f"{BUSY} open, {BUSY} busy", f"{OPEN} open, {BUSY} busy"


def measure(lab: Lab, scale: Scale) -> Iterator[Sample]:
    count = scale.count(OPEN, 150) - BUSY
    with (
        running_proxy(lab.server, lab.folder / "alone", probed=True) as alone,
        running_proxy(lab.server, lab.folder / "among", probed=True) as among,
        holding(lab.subject(PROXY).through(among.pid, among.port), count),
    ):
        for number in range(scale.rounds):
            pair = ((ALONE, alone), (AMONG, among))
            for case, proxy in pair if number % 2 == 0 else reversed(pair):
                subject = lab.subject(PROXY).through(proxy.pid, proxy.port)
                yield Sample(MEASURE, case, PROXY, number + 1, _take(lab, subject, proxy, scale.whole_seconds(7)))


def _take(lab: Lab, subject: Subject, proxy: ProxyProcess, seconds: int) -> dict[str, float]:
    began = time.monotonic()
    options = (*TABLES, "--db-ps-mode=disable")
    figures = sysbench.run(subject, "oltp_point_select", options, threads=BUSY, seconds=seconds, tls=lab.tls_files)
    ended = time.monotonic()
    time.sleep(2 * probed_proxy.WRITE_INTERVAL)
    # The logins at the beginning are bursts of their own.
    lags = sorted(probed_proxy.read(proxy.folder / "probe", began + 1, ended)["lag"])
    return {
        "queries_per_second": figures.queries_per_second,
        "lag_p50_ms": lags[len(lags) // 2] * 1e3,
        "lag_p99_ms": lags[int(len(lags) * 0.99)] * 1e3,
    }
