"""What listens at the store's address may be anything: what it says must not bring the password to a log."""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from rds_iam_proxy.limits import store
from rds_iam_proxy.limits.store import Store, StoreError
from rds_iam_proxy.limits.store_place import StorePlace
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.make_certificate import make_ca

PASSWORD = "a password of the fleet, which is a long one"

_COMMANDS = re.compile(rb"(?m)(?=^\*\d+\r\n)")


@asynccontextmanager
async def false_store(answer: Callable[[bytes], bytes]) -> AsyncIterator[StorePlace]:
    """Gives an answer to each command."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.writelines(answer(command) for command in _COMMANDS.split(data) if command)
        writer.close()
        await writer.wait_closed()
        is_over.set()

    is_over = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield StorePlace(Address("127.0.0.1", server.sockets[0].getsockname()[1]), tls=False, password=PASSWORD)
        await asyncio.wait_for(is_over.wait(), 5)


@pytest.mark.parametrize("shown", [PASSWORD, PASSWORD[:20]])
async def test_a_password_that_comes_back_is_not_told(shown: str) -> None:
    """Where AUTH is no command (`rename-command`, a proxy that has none): Redis repeats what came with it."""
    words = f"-ERR unknown command 'AUTH', with args beginning with: '{shown}' \r\n".encode()
    async with false_store(lambda _: words) as place:
        with pytest.raises(StoreError, match="repeats the password and is left out") as caught:
            await Store(place).connect()
    assert shown[:8] not in str(caught.value)


async def test_a_password_that_comes_back_from_the_script_is_not_told() -> None:
    words = f"-ERR {PASSWORD}\r\n".encode()
    async with false_store(lambda command: words if b"EVAL" in command else b"+OK\r\n") as place:
        asked = Store(place)
        await asked.connect()
        with pytest.raises(StoreError, match="is left out") as caught:
            await asked.call("orders", ["ask"])
    assert PASSWORD[:8] not in str(caught.value)


async def test_other_words_of_a_store_are_told() -> None:
    async with false_store(lambda _: b"-ERR max number of \x1b[31mclients reached\r\n") as place:
        with pytest.raises(StoreError, match=r"max number of \?\[31mclients reached"):
            await Store(place).connect()


def test_an_error_of_any_length_takes_no_time() -> None:
    """It is looked at on the event loop, as long as it comes within the seconds of a call."""
    asked = Store(StorePlace(Address("127.0.0.1", 6379), tls=False, password=PASSWORD))
    error = ResponseError("ERR " + "x" * (32 << 20) + PASSWORD)
    began = time.process_time()
    told = str(asked._store_error(error, "use"))
    assert time.process_time() - began < 0.25
    assert len(told) < 300


def test_keys_of_the_connection_are_written_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever has them and the packets has the password."""
    (tmp_path / "ca.pem").write_bytes(make_ca("CA of a fleet").certificate_pem)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for ca_file in (None, tmp_path / "ca.pem"):
        context = store._context(ca_file)
        assert context.keylog_filename is None
        assert context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert len(context.get_ca_certs()) == 1 or ca_file is None
