"""Who is ended when, by a clock that the test moves."""

import asyncio

from rds_iam_proxy.config import Target
from rds_iam_proxy.errors.tree import LoginError
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.session.clients import Clients
from rds_iam_proxy.session.view import SessionView

ADDRESS = Address("db.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)


class FakeClient:
    """`idle`: what it says when it is asked; `ended`: how it was ended."""

    def __init__(self, idle: float | None = None, *, idle_timeout: float | None = None, is_in: bool = True) -> None:
        self.target = Target("shop", ADDRESS, ADDRESS, "eu-central-1", idle_timeout=idle_timeout)
        self.is_in = is_in
        self.idle = idle
        self.login_stopped = False
        self.ended: list[tuple[str, str]] = []
        self.over = asyncio.Event()

    def idle_seconds(self) -> float | None:
        return self.idle

    def stop_login(self) -> None:
        self.login_stopped = True

    def end(self, farewell: LoginError, why: str) -> bool:
        self.ended.append((farewell.row.key, why))
        self.over.set()
        return True

    def cut(self, why: str) -> bool:
        self.over.set()
        return True

    def view(self) -> SessionView:
        raise NotImplementedError

    def count_bytes(self) -> None: ...

    async def run(self) -> None:
        await self.over.wait()


class Hall:
    def __init__(self) -> None:
        self.time = 100.0
        self.clients = Clients(now=lambda: self.time)

    def enter(self, client: FakeClient) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(client.run())
        self.clients.add(client, task)
        return task


async def test_only_who_is_silent_for_the_idle_timeout_is_ended() -> None:
    hall = Hall()
    asking, recent, long = FakeClient(None, idle_timeout=60), FakeClient(59, idle_timeout=60), FakeClient(60)
    over = FakeClient(60, idle_timeout=60)
    for client in (asking, recent, long, over):
        hall.enter(client)
    hall.clients.sweep()
    assert [client.ended for client in (asking, recent, long)] == [[], [], []]
    assert over.ended == [("session-idle", "idle_timeout")]
    for client in (asking, recent, long):
        client.over.set()
    await hall.clients.drain(5, asyncio.Event())


async def test_when_the_proxy_stops_the_idle_get_two_seconds_and_the_busy_all_the_time_there_is() -> None:
    hall = Hall()
    idle, busy, login = FakeClient(1000.0), FakeClient(None), FakeClient(None, is_in=False)
    for client in (idle, busy, login):
        hall.enter(client)
    drain = asyncio.create_task(hall.clients.drain(30, asyncio.Event()))
    await asyncio.sleep(0)
    assert login.login_stopped
    hall.time += 1.9
    hall.clients.sweep()
    assert not idle.ended
    hall.time += 0.1
    hall.clients.sweep()
    assert idle.ended == [("session-stopped", "the proxy stops")]
    hall.time += 20
    hall.clients.sweep()
    assert not busy.ended
    busy.idle = 1.5  # its result is there; it may still say something
    hall.clients.sweep()
    assert not busy.ended
    busy.idle = 2.0
    hall.clients.sweep()
    assert busy.ended
    login.over.set()
    assert await drain == 0


async def test_who_is_still_busy_at_the_end_is_cut_and_counted() -> None:
    hall = Hall()
    idle, busy, just_in, login = FakeClient(1.0), FakeClient(None), FakeClient(0.4), FakeClient(None, is_in=False)
    for client in (idle, busy, just_in, login):
        hall.enter(client)
    login.over.set()
    assert await hall.clients.drain(0, asyncio.Event()) == 2
    assert [len(client.ended) for client in (idle, busy, just_in)] == [1, 0, 0]
    assert len(hall.clients) == 0


async def test_second_signal_waits_for_nobody() -> None:
    hall = Hall()
    hall.enter(FakeClient(None))
    stop_now = asyncio.Event()
    stop_now.set()
    assert await hall.clients.drain(1000, stop_now) == 1


async def test_login_that_begins_while_the_proxy_stops_is_refused_too() -> None:
    hall = Hall()
    first, late = FakeClient(None), FakeClient(None, is_in=False)
    hall.enter(first)
    drain = asyncio.create_task(hall.clients.drain(30, asyncio.Event()))
    await asyncio.sleep(0)
    hall.enter(late)
    assert late.login_stopped
    first.over.set()
    late.over.set()
    assert await drain == 0


async def test_empty_seconds_count_from_when_the_last_one_left() -> None:
    hall = Hall()
    hall.time += 5
    assert hall.clients.empty_seconds == 5
    client = FakeClient(None)
    task = hall.enter(client)
    hall.time += 50
    assert hall.clients.empty_seconds == 0
    client.over.set()
    await task
    await asyncio.sleep(0)
    hall.time += 3
    assert hall.clients.empty_seconds == 3
