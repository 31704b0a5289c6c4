"""Many logins at a real server: no account starves another, and RDS's throttling is not the clients' trouble."""

import asyncio
import collections
import os
import statistics

import pytest

from kit.plain_client import Outcome, log_in
from kit.running_proxy import PASSWORD, USER, config_text, start_proxy
from servers.real_server import RealServer

pytestmark = pytest.mark.alone

OTHER = """
[[accounts]]
user = "other_app"
password_env = "LEGACY_APP_PASSWORD"
db_user = "user_report"
"""
SETTLE_SECONDS = 10
OBSERVED_SECONDS = 30 if os.environ.get("LONG_TESTS") else 10
DEMAND = 60  # logins a second


async def _log_in_and_leave(port: int, user: str) -> Outcome:
    outcome = await log_in(port, user, PASSWORD)
    if outcome.err is None and not outcome.closed:
        outcome.writer.write(b"\x01\0\0\0\x01")  # COM_QUIT
    outcome.writer.close()
    return outcome


async def _storm_and_trickle(port: int) -> tuple[list[Outcome], list[Outcome]]:
    storm = asyncio.gather(*(_log_in_and_leave(port, USER) for _ in range(300)))
    await asyncio.sleep(1)  # until all 300 have connected, which is work for this process and no wait of anybody's
    trickle = []
    while not storm.done():
        began = asyncio.get_running_loop().time()
        trickle.append(await _log_in_and_leave(port, "other_app"))
        await asyncio.sleep(max(0.0, began + 1 - asyncio.get_running_loop().time()))
    return list(await storm), trickle


@pytest.mark.timeout(90)
def test_one_login_a_second_hardly_waits_behind_the_storm_of_another_account(mysql_9_7: RealServer) -> None:
    config = config_text(mysql_9_7, target="logins_per_second = 20\nlogin_burst = 20", extra=OTHER)
    with start_proxy(config, key=mysql_9_7.key, dev_mode=False) as proxy:
        proxy.connect().close()  # waits for the probe
        storm, trickle = asyncio.run(_storm_and_trickle(proxy.port))
        assert proxy.stop() == 0
    assert len(trickle) >= 7, "the storm lasts"
    assert [outcome for outcome in trickle if outcome.err is not None or outcome.closed] == []
    waits = [outcome.seconds for outcome in trickle]
    p95 = statistics.quantiles(waits, n=20, method="inclusive")[-1]
    entered = sum(outcome.err is None for outcome in storm)
    print(f"waits of the other account: p95 {p95:.3f} s, longest {max(waits):.3f} s; storm: {entered} of 300 in")  # noqa: T201
    assert p95 < 0.3
    assert entered >= 100


async def _steady_demand(port: int, seconds: int) -> list[Outcome]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    logins = []
    for number in range(DEMAND * seconds):
        await asyncio.sleep(max(0.0, began + number / DEMAND - loop.time()))
        logins.append(asyncio.ensure_future(_log_in_and_leave(port, USER)))
    return list(await asyncio.gather(*logins))


@pytest.mark.timeout(120)
def test_a_server_that_throttles_is_kept_busy_and_no_client_is_told_of_a_wrong_password(mysql_9_7: RealServer) -> None:
    with start_proxy(config_text(mysql_9_7), key=mysql_9_7.key, dev_mode=False) as proxy:
        proxy.connect().close()
        mysql_9_7.change(max_logins_per_second=30)
        position = mysql_9_7.log.position()
        outcomes = asyncio.run(_steady_demand(proxy.port, SETTLE_SECONDS + OBSERVED_SECONDS))
        throttled = proxy.events("RDS throttles logins")
        assert proxy.stop() == 0
    assert not [outcome for outcome in outcomes if outcome.closed], "no bare close"
    codes = collections.Counter(outcome.err.code for outcome in outcomes if outcome.err is not None)
    accepted = [login.at.timestamp() for login in mysql_9_7.log.accepted(position)]
    refused = len(mysql_9_7.log.refusals(position))
    first = accepted[0] + SETTLE_SECONDS
    seconds = [sum(first + n <= at < first + n + 1 for at in accepted) for n in range(OBSERVED_SECONDS)]
    average = sum(seconds) / len(seconds)
    print(f"accepted a second: {average:.1f} on average of {seconds}; {refused=} {codes=}")  # noqa: T201
    assert set(codes) <= {1040}
    assert average >= 24
    assert throttled
    assert all(entry["logins_per_second"] < 100 for entry in throttled)
