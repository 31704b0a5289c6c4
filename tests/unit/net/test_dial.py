import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.dial import Dialler

HOST = "orders.cluster-abc123.eu-west-1.rds.amazonaws.com"


class FakeDNS:
    """`addresses` are what the name stands for now."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.silent: threading.Event | None = None
        self.error: Exception | None = None

    def __call__(self, host: str, port: int) -> list[Any]:
        self.asked.append(host)
        if self.silent is not None:
            self.silent.wait()
        if self.error is not None:
            raise self.error
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
            for address in self.addresses
        ]


def listening(address: str, port: int = 0, backlog: int = 64) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=backlog)
    except OSError as exc:
        pytest.skip(f"no {address} here: {exc}")


@pytest.fixture
def ipv4() -> Iterator[socket.socket]:
    with listening("127.0.0.1") as server:
        yield server


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


async def reached(dns: FakeDNS, port: int, head_start: float = 0.25) -> tuple[str, int]:
    stream, server = await Dialler(resolve=dns, head_start=head_start).dial(Address(HOST, port))
    stream.close()
    return server


async def test_an_address_in_figures_needs_no_dns(ipv4: socket.socket) -> None:
    dns = FakeDNS()
    stream, server = await Dialler(resolve=dns).dial(Address("127.0.0.1", port_of(ipv4)))
    stream.close()
    assert server == ("127.0.0.1", port_of(ipv4))
    assert not dns.asked


async def test_a_new_address_is_dialled_at_once(ipv4: socket.socket) -> None:
    """As when the writer of a cluster fails over."""
    dns = FakeDNS("127.0.0.1")
    with listening("127.0.0.2", port_of(ipv4)):
        assert await reached(dns, port_of(ipv4)) == ("127.0.0.1", port_of(ipv4))
        dns.addresses = ("127.0.0.2",)
        assert await reached(dns, port_of(ipv4)) == ("127.0.0.2", port_of(ipv4))
    assert dns.asked == [HOST, HOST]


async def test_ipv6_comes_first_where_the_resolver_says_so(ipv4: socket.socket) -> None:
    with listening("::1", port_of(ipv4)):
        assert (await reached(FakeDNS("::1", "127.0.0.1"), port_of(ipv4)))[0] == "::1"


async def test_ipv6_that_refuses_costs_nothing(ipv4: socket.socket) -> None:
    began = time.monotonic()
    assert (await reached(FakeDNS("::1", "127.0.0.1"), port_of(ipv4), head_start=60.0))[0] == "127.0.0.1"
    assert time.monotonic() - began < 5


async def test_an_address_that_stays_silent_is_overtaken(ipv4: socket.socket) -> None:
    """A route that swallows packets, as of a VPN without IPv6: documentation addresses stand in for it."""
    dns = FakeDNS("2001:db8::1", "192.0.2.1", "127.0.0.1")
    assert (await reached(dns, port_of(ipv4), head_start=0.01))[0] == "127.0.0.1"


async def test_the_reason_is_told_when_nobody_answers(ipv4: socket.socket) -> None:
    port = port_of(ipv4)
    ipv4.close()
    for addresses in (("127.0.0.1",), ("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")):
        with pytest.raises(OSError, match=r"refused|failed") as caught:
            await reached(FakeDNS(*addresses), port)
        assert caught.value.errno in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL, None)


async def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        await reached(FakeDNS(), 3306)


async def test_a_silent_dns_is_asked_once_for_all_who_wait_and_again_by_the_next(ipv4: socket.socket) -> None:
    dns = FakeDNS("127.0.0.1")
    silence = dns.silent = threading.Event()
    dialler, address = Dialler(resolve=dns), Address(HOST, port_of(ipv4))
    waiting = [asyncio.ensure_future(dialler.dial(address)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    silence.set()
    for stream, _ in await asyncio.gather(*waiting[1:]):
        stream.close()
    assert len(dns.asked) == 1
    stream, _ = await dialler.dial(address)
    stream.close()
    assert len(dns.asked) == 2


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), UnicodeError()])
async def test_a_look_up_that_fails_fails_for_each_who_waits(error: Exception) -> None:
    dns = FakeDNS()
    dns.error = error
    dialler = Dialler(resolve=dns)
    outcomes = await asyncio.gather(*(dialler.dial(Address(HOST, 3306)) for _ in range(2)), return_exceptions=True)
    assert len({id(outcome) for outcome in outcomes}) == 2
    for outcome in outcomes:
        assert isinstance(outcome, OSError)
        assert isinstance(outcome, socket.gaierror) == isinstance(error, socket.gaierror)


async def test_cancelling_leaves_no_socket_behind() -> None:
    """An unclosed one would be a ResourceWarning, and that an error."""
    dialling = asyncio.ensure_future(reached(FakeDNS("192.0.2.1", "192.0.2.2"), 9, head_start=0.0))
    await asyncio.sleep(0.01)
    dialling.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await dialling
