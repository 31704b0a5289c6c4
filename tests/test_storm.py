"""A thousand logins at once: the limit holds, everybody gets an answer."""

import asyncio
import collections

import pytest

from kit.plain_client import Outcome, log_in, query
from kit.running_proxy import PASSWORD, USER, RunningProxy, config_text, start_proxy
from servers.real_server import RealServer
from servers.server_log import most_in_a_second

pytestmark = pytest.mark.alone

CLIENTS = 1000
RATE, BURST = 50.0, 20


async def _storm(port: int) -> list[Outcome]:
    outcomes = await asyncio.gather(*(log_in(port, USER, PASSWORD) for _ in range(CLIENTS)))
    entered = [outcome for outcome in outcomes if outcome.err is None and not outcome.closed]
    answers = await asyncio.gather(*(query(outcome, "DO 1") for outcome in entered))
    assert all(answer[0] == 0 for answer in answers), "whoever is in can work"
    for outcome in outcomes:
        outcome.writer.close()
    return list(outcomes)


def _assert_limit_held(proxy: RunningProxy) -> None:
    """In any window of the proxy's own grant log: at most rate * t + burst."""
    grants = [entry["monotonic"] for entry in proxy.events("login permitted")]
    assert len(grants) > BURST
    for i, start in enumerate(grants):
        for j in range(i, len(grants)):
            assert j - i + 1 <= RATE * (grants[j] - start) + BURST + 1e-6


@pytest.mark.timeout(90)
@pytest.mark.parametrize("descriptors", [4096, 256])
def test_a_thousand_logins_at_once(mysql_9_7: RealServer, descriptors: int) -> None:
    config = config_text(mysql_9_7, target=f"logins_per_second = {RATE:g}\nlogin_burst = {BURST}")
    with start_proxy(config, key=mysql_9_7.key, descriptors=descriptors, dev_mode=False) as proxy:
        proxy.wait_for("login permitted")
        before = mysql_9_7.log.position()
        outcomes = asyncio.run(_storm(proxy.port))
        assert proxy.stop() == 0
        assert not [outcome for outcome in outcomes if outcome.closed], "no bare close"
        entered = [outcome for outcome in outcomes if outcome.err is None]
        refused = collections.Counter(outcome.err.code for outcome in outcomes if outcome.err is not None)
        assert set(refused) == {1040}
        arrivals = [outcome.asked_at for outcome in outcomes]
        spread = max(arrivals) - min(arrivals)  # each may wait 8 s from its own arrival
        assert len(entered) <= BURST + RATE * (8 + spread) + 2
        assert len(entered) >= (400 if descriptors == 4096 else 20)
        _assert_limit_held(proxy)
        busiest = most_in_a_second(mysql_9_7.log.accepted(before))
        assert busiest <= 75
        print(f"{descriptors=} entered={len(entered)} {spread=:.2f} {refused=} {busiest=}")  # noqa: T201
