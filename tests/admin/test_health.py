"""The health endpoints tell the truth in each state of a real proxy process."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from kit.admin import account_text, eventually, proxy_with_admin, running_rds, target_text
from kit.forwarder import forwarder
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS, Refusal
from rds_iam_proxy.net.address import Address


@pytest.fixture
def rds() -> Iterator[EmbeddedRDS]:
    with running_rds() as started:
        yield started


@contextlib.contextmanager
def silent_listener() -> Iterator[Address]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Address("127.0.0.1", listener.getsockname()[1])


def test_starting_until_every_target_was_tried(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with silent_listener() as nobody:
        config = target_text("shop", rds, dial=nobody) + account_text("legacy_app")
        with proxy_with_admin(rds, config, tmp_path) as (_, admin):
            assert admin.health() == (503, 503, 200)
            assert admin.json("/readiness")["status"] == "starting"
            assert admin.json("/status")["state"] == "starting"
            assert 'rds_iam_proxy_target_up{target="shop"}' not in admin.ask("/metrics")[2]


@pytest.mark.parametrize("on_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_ready(rds: EmbeddedRDS, tmp_path: Path, on_asyncio: bool) -> None:
    config = target_text("shop", rds) + account_text("legacy_app")
    with proxy_with_admin(rds, config, tmp_path, on_asyncio=on_asyncio) as (_, admin):
        eventually(lambda: admin.health() == (200, 200, 200))
        assert admin.json("/readiness") == {"status": "ready"}
        assert admin.code("/readiness?target=nobody") == 404
        logins = len(rds.logins)
        for _ in range(20):
            assert admin.code("/readiness") == 200
        assert len(rds.logins) == logins, "health dials nobody"
        assert 'rds_iam_proxy_target_up{target="shop"} 1.0' in admin.ask("/metrics")[2]


def test_one_target_down_is_said_and_does_not_stop_the_rest(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = Address("127.0.0.1", unused.getsockname()[1])
    config = target_text("shop", rds) + target_text("reports", rds, dial=dead) + account_text("legacy_app")
    with proxy_with_admin(rds, config, tmp_path) as (proxy, admin):
        eventually(lambda: admin.code("/startup") == 200)
        assert admin.health() == (200, 503, 200)
        why = admin.json("/readiness")["why"]
        assert len(why) == 1
        assert why[0].startswith("target reports is down: cannot connect to")
        assert admin.code("/readiness?target=shop") == 200
        assert admin.code("/readiness?target=reports") == 503
        with contextlib.closing(proxy.connect()) as session, session.cursor() as cursor:
            cursor.execute("SELECT 1")
        up = admin.ask("/metrics")[2]
        assert 'rds_iam_proxy_target_up{target="reports"} 0.0' in up
        assert 'rds_iam_proxy_target_up{target="shop"} 1.0' in up


def test_a_target_that_refuses_its_only_user_is_not_ready(rds: EmbeddedRDS, tmp_path: Path) -> None:
    rds.refuse = lambda _user: Refusal(1045, "28000", "Access denied", "NotAuthorized")
    with proxy_with_admin(rds, target_text("shop", rds) + account_text("legacy_app"), tmp_path) as (_, admin):
        eventually(lambda: admin.code("/startup") == 200)
        assert admin.health() == (200, 503, 200)
        assert admin.json("/status")["targets"][0]["health"] == "refused"
        assert "rds-db:connect" in admin.json("/readiness")["why"][0]


@pytest.mark.timeout(90)
def test_down_after_it_was_up_and_up_again_without_a_client(rds: EmbeddedRDS, tmp_path: Path) -> None:
    where = (rds.address.host, rds.address.port)
    with contextlib.ExitStack() as open_door:
        door = Address("127.0.0.1", open_door.enter_context(forwarder(where)).port)
        config = target_text("shop", rds, dial=door) + account_text("legacy_app")
        with proxy_with_admin(rds, config, tmp_path) as (proxy, admin):
            eventually(lambda: admin.code("/readiness") == 200)
            open_door.close()
            with pytest.raises(pymysql.err.OperationalError):
                proxy.connect()
            assert admin.health() == (200, 503, 200)
            with forwarder(where, at=(door.host, door.port)):
                eventually(lambda: admin.code("/readiness") == 200, seconds=40)
                assert admin.json("/status")["targets"][0]["health"] == "ready"


def test_draining(rds: EmbeddedRDS, tmp_path: Path) -> None:
    config = target_text("shop", rds) + account_text("legacy_app")
    with proxy_with_admin(rds, config, tmp_path) as (proxy, admin):
        eventually(lambda: admin.code("/readiness") == 200)
        with contextlib.closing(proxy.connect()) as session, session.cursor() as cursor:
            query = threading.Thread(target=cursor.execute, args=("SELECT SLEEP(3)",))
            query.start()
            eventually(lambda: admin.json("/status")["sessions"][0]["activity"] == "running")
            proxy.process.send_signal(signal.SIGTERM)
            eventually(lambda: admin.code("/readiness") == 503)
            assert admin.health() == (200, 503, 200)
            assert admin.json("/readiness")["status"] == "draining"
            assert admin.json("/status")["state"] == "draining"
            assert "rds_iam_proxy_draining 1.0" in admin.ask("/metrics")[2]
            query.join()
        assert proxy.process.wait(15) == 0
        with pytest.raises(ConnectionRefusedError):
            admin.code("/liveness")
