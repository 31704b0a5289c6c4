"""What a user sees of a fleet: `check`, the status, and what a reload and a stop do."""

import io
import json
import signal
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

from fleet.proxies import neighbours
from kit.running_proxy import RunningProxy, config_text, start_serve
from rds_iam_proxy.commands.check.report import Report, Status
from rds_iam_proxy.commands.check.store import check_store
from rds_iam_proxy.config import Config, Sharing, Target
from rds_iam_proxy.limits.shared_budget import Fleet
from rds_iam_proxy.limits.store import keys_of
from rds_iam_proxy.limits.store_place import StorePlace
from rds_iam_proxy.net.address import Address
from servers.real_server import RealServer
from servers.stores import RunningStore, free_port

DATABASE = Address("db.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
TARGETS = {name: Target(name, DATABASE, DATABASE, "eu-central-1") for name in ("orders", "stock")}


async def findings_of(place: StorePlace) -> Report:
    report = Report(io.StringIO())
    await check_store(Config(TARGETS, (), (), sharing=Sharing(4, place)), report)
    return report


async def test_check_tries_the_store_once_and_prints_rights_that_suffice(store: RunningStore) -> None:
    place = StorePlace(Address("127.0.0.1", store.port), tls=False)
    ((subject, finding),) = (await findings_of(place)).findings
    assert subject == f"fleet of 4: redis://127.0.0.1:{store.port}"
    assert finding.status is Status.OK
    assert finding.text.startswith("answers in ")
    (rights,) = finding.details
    store.command(*rights.partition(": ")[2].split())
    allowed = replace(place, user="rds-iam-proxy", password="PASSWORD")
    assert (await findings_of(allowed)).findings[0][1].status is Status.OK
    async with neighbours(allowed, Fleet(100, 20, 1), 1) as (one,):
        assert await one.login() < 2


async def test_check_says_what_is_wrong_with_the_store_and_what_holds_meanwhile() -> None:
    report = await findings_of(StorePlace(Address("127.0.0.1", free_port()), tls=False))
    assert report.failed
    finding = report.findings[0][1]
    assert "cannot connect to the fleet's store" in finding.text
    assert finding.advice == "Until it answers, each proxy keeps to 25 logins per second."


def members_of(store: RunningStore, server: RealServer) -> str:
    return store.command("HKEYS", keys_of(server.endpoint)[1])


def reload(proxy: RunningProxy) -> None:
    position = proxy.log_position()
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_for("reloaded", since=position)


def test_a_reload_keeps_the_member_unless_its_table_changed_and_a_stop_leaves(
    mysql_9_7: RealServer, store: RunningStore, tmp_path: Path
) -> None:
    port = free_port()
    text = config_text(mysql_9_7, extra=f'[fleet]\nsize = 2\nstore = "{store.url}"\n[admin]\nbind = "127.0.0.1:{port}"')
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    with start_serve(["--config", str(path)], key=mysql_9_7.key) as proxy:
        proxy.connect().close()
        first = members_of(store, mysql_9_7)
        assert first.startswith("*1\r\n")
        path.write_text(text.replace('level = "debug"', 'level = "info"'))
        reload(proxy)
        time.sleep(0.5)
        assert members_of(store, mysql_9_7) == first
        path.write_text(text.replace("size = 2", "size = 3"))
        reload(proxy)
        proxy.connect().close()
        time.sleep(0.5)
        second = members_of(store, mysql_9_7)
        assert second.startswith("*1\r\n")
        assert second != first
        _shows_the_budget(port, mysql_9_7, store)
        assert proxy.stop() == 0
    assert members_of(store, mysql_9_7) == "*0\r\n"


def _shows_the_budget(port: int, server: RealServer, store: RunningStore) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        (budget,) = json.load(answer)["budgets"]
    assert (budget["name"], budget["store"], budget["source"]) == (server.endpoint, store.url, "store")
    assert budget["store_up"]
    assert budget["from_store"] > 0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    name = f'budget="{server.endpoint}"'
    assert f"rds_iam_proxy_fleet_store_up{{{name}}} 1.0" in metrics
    assert f"rds_iam_proxy_fleet_members{{{name}}} 1.0" in metrics
    assert f'rds_iam_proxy_fleet_permits_total{{{name},source="store"}}' in metrics
    assert f"rds_iam_proxy_fleet_call_seconds_count{{{name}}}" in metrics


def test_a_size_alone_is_a_part_of_the_rate_without_a_store(mysql_9_7: RealServer, tmp_path: Path) -> None:
    port = free_port()
    text = config_text(mysql_9_7, extra=f'[fleet]\nsize = 4\n[admin]\nbind = "127.0.0.1:{port}"')
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    with start_serve(["--config", str(path)], key=mysql_9_7.key) as proxy:
        proxy.connect().close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
            status = json.load(answer)
        assert status["budgets"] == [
            {"name": mysql_9_7.endpoint, "size": 4, "rate": 25.0, "rate_limit": 100.0, "waiting": 0, "store": None}
        ]
        assert proxy.stop() == 0
