"""Greetings kept across starts."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mysql_wire.capabilities import FORMAT_CAPABILITIES
from mysql_wire.constants import Capability, MariaDBCapability
from mysql_wire.handshake import ServerIdentity
from rds_iam_proxy.mysql.greetings import DEFAULT_IDENTITY, Greetings
from rds_iam_proxy.net.address import Address

ENDPOINT = Address("db.abc.eu-west-1.rds.amazonaws.com", 3306)
IDENTITY = ServerIdentity(b"5.5.5-10.11-\xff", Capability(0x81FFFFFE), MariaDBCapability(0x1D), 45)
SHA2 = ServerIdentity(b"8.4.7", Capability(0xDFFFFFFF), MariaDBCapability(0), 255, "caching_sha2_password")


async def test_a_file_without_a_plugin_greets_with_the_one_that_every_client_can_switch_from(tmp_path: Path) -> None:
    greetings = Greetings(tmp_path)
    await greetings.save(ENDPOINT, SHA2)
    assert await greetings.load(ENDPOINT) == SHA2
    path = tmp_path / f"{ENDPOINT.host}_3306.json"
    kept = json.loads(path.read_text())
    del kept["auth_plugin_name"]
    path.write_text(json.dumps(kept))
    assert await greetings.load(ENDPOINT) == replace(SHA2, auth_plugin_name="mysql_native_password")


async def test_round_trip(tmp_path: Path) -> None:
    greetings = Greetings(tmp_path / "new" / "folder")
    assert await greetings.load(ENDPOINT) is None
    await greetings.save(ENDPOINT, IDENTITY)
    assert await greetings.load(ENDPOINT) == IDENTITY


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 3}', '{"version": "a\\u0000b"}', "x" * 5000, "[" * 4000]
)
async def test_a_file_that_is_no_greeting_is_none(tmp_path: Path, content: str) -> None:
    greetings = Greetings(tmp_path)
    await greetings.save(ENDPOINT, IDENTITY)
    (tmp_path / f"{ENDPOINT.host}_3306.json").write_text(content)
    assert await greetings.load(ENDPOINT) is None


async def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await Greetings(tmp_path / "file" / "folder").save(ENDPOINT, IDENTITY)


def test_the_default_promises_only_what_every_server_keeps() -> None:
    always = Capability.TRANSACTIONS | Capability.MULTI_RESULTS | Capability.PS_MULTI_RESULTS
    assert DEFAULT_IDENTITY.capabilities & FORMAT_CAPABILITIES == always


@pytest.mark.parametrize(
    "identity",
    [
        ServerIdentity(b"", IDENTITY.capabilities, MariaDBCapability(0), 45),
        ServerIdentity(b"8" * 3000, IDENTITY.capabilities, MariaDBCapability(0), 45),
        ServerIdentity(b"8.0.36", Capability(0), MariaDBCapability(0), 45),
        ServerIdentity(b"8.0.36", IDENTITY.capabilities & ~Capability.PROTOCOL_41, MariaDBCapability(0), 45),
    ],
    ids=["no version", "endless version", "no capabilities", "a protocol of 2004"],
)
async def test_a_damaged_file_greets_nobody(tmp_path: Path, identity: ServerIdentity) -> None:
    greetings = Greetings(tmp_path)
    await greetings.save(ENDPOINT, identity)
    assert await greetings.load(ENDPOINT) is None


async def test_a_fifo_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{ENDPOINT.host}_3306.json")
    assert await Greetings(tmp_path).load(ENDPOINT) is None
