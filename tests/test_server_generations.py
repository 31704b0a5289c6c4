"""Every server generation that RDS and Aurora have, as the embedded RDS plays it: logins through the proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from mysql_wire.capabilities import NOT_RELAYED
from mysql_wire.passwords import Verifier
from rds_iam_proxy.commands.demo.profile import GENERATIONS, MARIADB_11_4, MYSQL_5_7, MYSQL_8_4, ServerProfile
from rds_iam_proxy.commands.demo.rds import DB_USER, EmbeddedRDS
from rds_iam_proxy.commands.serve import serve
from rds_iam_proxy.config import Account, Config, Listener, Target
from rds_iam_proxy.config.values import AuthMode
from rds_iam_proxy.net.address import Address

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def rds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedRDS]:
    async with EmbeddedRDS() as started:
        keys = started.keys
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        monkeypatch.setenv("AWS_SESSION_TOKEN", keys.session_token or "")
        yield started


@contextlib.asynccontextmanager
async def proxy_to(
    rds: EmbeddedRDS, *, auth: AuthMode = "auto", verifier: Verifier | None = None
) -> AsyncIterator[Address]:
    target = Target(name="rds", address=rds.endpoint, dial=rds.address, region=rds.region, ca_file=rds.ca_file)
    config = Config(
        targets={"rds": target},
        listeners=(Listener(Address("127.0.0.1", 0), "rds", tls="off", auth=auth),),
        accounts=(Account(user="app", verifiers=(verifier or Verifier.of(PASSWORD.encode()),), db_user=DB_USER),),
    )
    ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(config, on_ready=lambda addresses: ready.set_result(addresses[0])))
    try:
        yield await asyncio.wait_for(ready, 10)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def connect(proxy: Address) -> Any:
    return pymysql.connect(
        host=proxy.host, port=proxy.port, user="app", password=PASSWORD, database="shop", ssl_disabled=True
    )


def look_around(proxy: Address) -> tuple[Any, str, str, tuple[Any, ...], int]:
    """What one client sees: capabilities, version and plugin of the greeting, what functions tell, rows of a table."""
    with connect(proxy) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION(), CURRENT_USER(), DATABASE(), @@autocommit")
        told = cursor.fetchone()
        rows = cursor.execute("SELECT * FROM products ORDER BY price")
        plugin = connection._auth_plugin_name
        return connection.server_capabilities, connection.get_server_info(), plugin, told, rows


@pytest.mark.parametrize("profile", GENERATIONS.values(), ids=GENERATIONS.keys())
async def test_a_client_logs_in_and_sees_this_server(rds: EmbeddedRDS, profile: ServerProfile) -> None:
    rds.profile = profile
    async with proxy_to(rds) as proxy:
        capabilities, greeted_as, plugin, told, rows = await asyncio.to_thread(look_around, proxy)
    assert greeted_as == profile.identity.version.decode()
    assert capabilities == profile.identity.capabilities & ~NOT_RELAYED
    assert plugin == profile.identity.auth_plugin_name
    assert told == (profile.version, f"{DB_USER}@%", "shop", 0)
    assert rows == 5
    assert rds.reasons == {}
    asked = rds.logins[-1].request
    assert asked.collation == 45  # the client's own, whatever the server's default is
    assert rds.interrupted == 0


NATIVE_HASH_ONLY = replace(Verifier.of(PASSWORD.encode()), sha2=None)


@pytest.mark.parametrize("profile", GENERATIONS.values(), ids=GENERATIONS.keys())
@pytest.mark.parametrize(("auth", "verifier"), [("native", None), ("auto", NATIVE_HASH_ONLY)])
async def test_clients_that_know_native_only_are_greeted_with_it(
    rds: EmbeddedRDS, profile: ServerProfile, auth: AuthMode, verifier: Verifier | None
) -> None:
    rds.profile = profile
    async with proxy_to(rds, auth=auth, verifier=verifier) as proxy:
        _, greeted_as, plugin, _, rows = await asyncio.to_thread(look_around, proxy)
    assert (greeted_as, plugin, rows) == (profile.identity.version.decode(), "mysql_native_password", 5)


@pytest.mark.parametrize("data", [b"", b"\0", b"abcdefghijklmnopqrst\0"])
async def test_what_follows_the_plugins_name_in_the_auth_switch_makes_no_difference(
    rds: EmbeddedRDS, data: bytes
) -> None:
    rds.profile = replace(MYSQL_8_4, auth_switch_data=data)
    async with proxy_to(rds) as proxy:
        await asyncio.to_thread(look_around, proxy)
    assert rds.refused == 0


async def test_after_an_upgrade_the_next_client_is_greeted_as_the_new_server(rds: EmbeddedRDS) -> None:
    rds.profile = MYSQL_5_7
    async with proxy_to(rds) as proxy:
        await asyncio.to_thread(look_around, proxy)
        rds.profile = MYSQL_8_4
        await asyncio.to_thread(look_around, proxy)  # was greeted as 5.7; what it took, 8.4 has too
        _, greeted_as, _, told, _ = await asyncio.to_thread(look_around, proxy)
    assert (greeted_as, told[0]) == ("8.4.7", "8.4.7")


async def test_a_change_of_family_is_one_err_that_says_to_reconnect(rds: EmbeddedRDS) -> None:
    rds.profile = MYSQL_8_4
    async with proxy_to(rds) as proxy:
        await asyncio.to_thread(look_around, proxy)
        rds.profile = MARIADB_11_4
        with pytest.raises(pymysql.MySQLError) as caught:
            await asyncio.to_thread(look_around, proxy)
        _, greeted_as, _, _, _ = await asyncio.to_thread(look_around, proxy)
    assert caught.value.args[0] == 1105
    assert "connect again" in caught.value.args[1]
    assert greeted_as == "11.4.8-MariaDB-log"
