"""Members of a fleet with a real Redis and Valkey: rights, TLS, a cluster, and what each outage does."""

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.proxies import neighbours
from rds_iam_proxy.limits.shared_budget import Ask, Fleet, Source
from rds_iam_proxy.limits.store import Store, StoreError, keys_of
from rds_iam_proxy.limits.store_place import RIGHTS, StorePlace, acl_rule
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from servers.stores import RunningStore, free_port, running_store, store_tree

FLEET = Fleet(rate=200, burst=20, size=2)
PASSWORD = "a password of the fleet"


def place_of(store: RunningStore) -> StorePlace:
    return StorePlace(Address("127.0.0.1", store.port), tls=False)


async def test_logins_of_two_get_permits_from_the_store_and_both_leave_at_the_end(store: RunningStore) -> None:
    async with neighbours(place_of(store), FLEET, 2) as (one, two):
        waits = await asyncio.gather(*(proxy.login() for proxy in (one, two) for _ in range(20)))
        assert max(waits) < 1
        assert one.permits.granted[Source.STORE] == two.permits.granted[Source.STORE] == 20
        assert one.permits.answer is not None
        assert one.permits.answer.members == 2
    assert "p" not in store.command("HKEYS", keys_of("orders")[1])
    assert store.command("HLEN", keys_of("orders")[1]) == ":0\r\n"


async def test_the_printed_rights_suffice_and_are_all_needed(store: RunningStore) -> None:
    user = "fleet-user"
    store.command(*acl_rule(user).split(), f">{PASSWORD}")
    place = replace(place_of(store), user=user, password=PASSWORD)
    async with neighbours(place, FLEET, 1) as (one,):
        assert await one.login() < 2
    assert "reason" not in store.command("ACL", "LOG"), "nothing was tried and refused"
    for words in (("GET", "rds-iam-proxy:x"), ("CLIENT", "LIST"), ("SCRIPT", "FLUSH"), ("HGETALL", "x")):
        with pytest.raises(Exception, match="NOPERM"):
            _as_user(store, user, *words)
    asking = Ask(1, 0, 0, 0, 0).arguments("one", FLEET)
    for right in RIGHTS:
        store.command("ACL", "SETUSER", user, "-" + right[1:])
        store.command("SCRIPT", "FLUSH")
        connection = Store(place)
        await connection.connect()
        with pytest.raises(StoreError, match="may not do that") as caught:
            await connection.call("orders", ["leave", "one"] if right == "+hdel" else asking)
        assert acl_rule(user) in str(caught.value)
        store.command("ACL", "SETUSER", user, right)


def _as_user(store: RunningStore, user: str, *words: str) -> str:
    """After AUTH on the same connection."""
    with socket.create_connection(("127.0.0.1", store.port), 5) as connection:
        for line in (("AUTH", user, PASSWORD), words):
            parts = [word.encode() for word in line]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            answer = connection.recv(1000).decode()
            if answer.startswith("-"):
                raise PermissionError(answer)
    return answer


async def test_a_wrong_password_is_said_and_not_repeated(store: RunningStore) -> None:
    store.command("ACL", "SETUSER", "locked", "on", f">{PASSWORD}")
    place = replace(place_of(store), user="locked", password="wrong-secret-word")
    with pytest.raises(StoreError, match="refuses user and password; see store_user") as caught:
        await Store(place).connect()
    assert "wrong-secret-word" not in str(caught.value) + repr(place)


async def test_a_script_that_the_store_forgot_is_sent_again(store: RunningStore) -> None:
    async with neighbours(place_of(store), FLEET, 1) as (one,):
        await one.login()
        store.command("SCRIPT", "FLUSH")
        assert await one.login() < 1
        assert one.member.up


async def test_keys_of_another_kind_are_an_outage_and_nothing_worse(store: RunningStore) -> None:
    store.command("SET", keys_of("orders")[0], "somebody else's")
    async with neighbours(place_of(store), FLEET, 1) as (one,):
        await one.until(up=False)
        assert "WRONGTYPE" in one.member.why
        assert await one.login() < 3
        assert one.permits.granted[Source.SHARE] == 1


async def test_a_store_that_is_not_there_costs_a_login_a_moment(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    place = StorePlace(Address("127.0.0.1", free_port()), tls=False)
    async with neighbours(place, FLEET, 1) as (one,):
        waits = await asyncio.gather(*(one.login() for _ in range(10)))
        assert 1.5 < min(waits) < 2.2
        assert max(waits) < 2.5
        await asyncio.sleep(0.6)
    lines = [record.getMessage() for record in caplog.records if "silent" in record.getMessage()]
    assert len(lines) == 1


async def test_an_outage_is_over_as_soon_as_the_store_is_back(store: RunningStore) -> None:
    async with neighbours(place_of(store), FLEET, 2) as proxies:
        await asyncio.gather(*(proxy.login() for proxy in proxies))
        store.pause()
        try:
            await asyncio.gather(*(proxy.login() for proxy in proxies for _ in range(30)))
        finally:
            store.resume()
        assert all(proxy.permits.granted[Source.SHARE] for proxy in proxies)
        for proxy in proxies:
            await proxy.until(up=True)
            assert await proxy.login() < 1
            assert proxy.permits.source is Source.STORE


# --- TLS ---


@pytest.fixture
def tls_options(running: RunningStore, tmp_path: Path) -> Iterator[tuple[RunningStore, Path]]:
    """A store that speaks TLS only, with a certificate of a private CA."""
    ca = make_ca("CA of a fleet")
    made = make_server_certificate(("localhost",), issuer=ca)
    with running_store(running.release.name) as plain:
        folder = plain.folder
        (folder / "cert.pem").write_bytes(made.certificate_pem)
        (folder / "key.pem").write_bytes(made.private_key_pem)
        (folder / "ca-cert.pem").write_bytes(ca.certificate_pem)
        inside = store_tree(running.release).inside(folder)
        port = free_port()
        options: tuple[str, ...] = ("--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no")
        for name in ("cert", "key", "ca-cert"):
            options += (f"--tls-{name}-file", f"{inside}/{name}.pem")
        with running_store(running.release.name, *options, port=port) as secure:
            yield secure, folder / "ca-cert.pem"


async def test_tls_with_a_private_ca_and_no_other(tls_options: tuple[RunningStore, Path], tmp_path: Path) -> None:
    store, ca_file = tls_options
    place = StorePlace(Address("localhost", store.port), ca_file=ca_file)
    async with neighbours(place, FLEET, 1) as (one,):
        assert await one.login() < 1
    other = tmp_path / "other.pem"
    other.write_bytes(make_ca("somebody else").certificate_pem)
    for wrong in (replace(place, ca_file=other), replace(place, ca_file=None)):
        with pytest.raises(StoreError, match="not to be trusted"):
            await Store(wrong).connect()
    with pytest.raises(StoreError, match=r"not to be trusted .*(?i:mismatch|not valid for)"):
        await Store(replace(place, address=Address("127.0.0.1", store.port))).connect()


async def test_tls_towards_a_port_without_it_is_said(store: RunningStore) -> None:
    with pytest.raises(StoreError, match="rediss"):
        await Store(StorePlace(Address("127.0.0.1", store.port))).connect()


# --- a cluster ---


@pytest.fixture(scope="session")
def cluster(running: RunningStore) -> Iterator[list[RunningStore]]:
    """Three nodes on loopback, that have all the hash slots between them."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for _ in range(3):
            port, bus = free_port(), free_port()
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "5000")
            nodes.append(stack.enter_context(running_store(running.release.name, *options, port=port)))
        for node, (first, last) in zip(nodes, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
            node.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        for node in nodes[1:]:
            bus_port = node.options[node.options.index("--cluster-port") + 1]
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus_port)
        deadline = time.monotonic() + 20
        while any("cluster_state:ok" not in node.command("CLUSTER", "INFO") for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield nodes


async def test_in_a_cluster_the_node_that_has_the_budget_is_found(cluster: list[RunningStore]) -> None:
    places = [StorePlace(Address("127.0.0.1", node.port), tls=False) for node in cluster]
    for budget in ("orders", "stock", "db.example.com:3306"):
        for place in places:
            async with neighbours(place, FLEET, 1, budget=budget) as (one,):
                assert await one.login() < 1.5
                assert one.permits.granted[Source.STORE] == 1
    first, second = (cluster[0].command("CLUSTER", "KEYSLOT", key) for key in keys_of("orders"))
    assert first == second


async def test_a_member_ends_whenever_it_is_told_to(store: RunningStore) -> None:
    """A cancellation that comes in the moment of an answer is not lost: the proxy would never stop."""
    chance = random.Random(1)
    for _ in range(60):
        async with neighbours(place_of(store), FLEET, 1) as (one,):
            logins = [asyncio.ensure_future(one.login()) for _ in range(30)]
            await asyncio.sleep(chance.random() * 0.1)
            one.task.cancel()
            await asyncio.wait({one.task}, timeout=3)
            assert one.task.done()
            for login in logins:
                login.cancel()
            await asyncio.gather(*logins, return_exceptions=True)


async def test_a_connection_is_made_anew_before_it_is_too_old_and_with_another_token(store: RunningStore) -> None:
    store.command("ACL", "SETUSER", "iam", "on", ">token1", ">token2", "~*", "+@all")
    now, asked = [0.0], []

    async def credentials() -> tuple[str, str]:
        asked.append(now[0])
        return "iam", f"token{len(asked)}"

    connection = Store(place_of(store), credentials, now=lambda: now[0])
    assert await connection.connect()
    now[0] = 10 * 3600.0
    assert not await connection.connect()
    now[0] = 11.1 * 3600
    assert await connection.connect()
    assert len(asked) == 2
    await connection.close()
