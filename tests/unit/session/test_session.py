"""One client's life as a playbook: who is asked what, and in which order. No sockets, and a clock that jumps."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.config import Account, Target
from rds_iam_proxy.dialect import Aside, Check, Dialect, Refusal, Taker
from rds_iam_proxy.errors.tree import Denied, Ended, Limited, LoginError
from rds_iam_proxy.front.accounts import Accounts
from rds_iam_proxy.front.arrival import Arrival
from rds_iam_proxy.front.guard import LoginGuard
from rds_iam_proxy.front.ids import LiveSessions
from rds_iam_proxy.front.shared import Shared
from rds_iam_proxy.front.slots import LoginSlots
from rds_iam_proxy.net.address import Address
from rds_iam_proxy.net.sockets import Peer
from rds_iam_proxy.net.stream import EndOfStream, Stream
from rds_iam_proxy.rds.login import Login, OnStep, Order, Permit, Way
from rds_iam_proxy.rds.pool import Bounds, Pool, Unfit
from rds_iam_proxy.rds.upstream import Upstream
from rds_iam_proxy.session.relay import make_buffer
from rds_iam_proxy.session.session import Session
from rds_iam_proxy.session.view import Activity
from rds_iam_proxy.stats.target import TargetStats

ADDRESS = Address("shop.cweacjg5pv9n.eu-central-1.rds.amazonaws.com", 3306)
APP = Account("app", (), "user_app")
BOUNDS = Bounds(idle=10.0, lifetime=300.0, per_key=2, total=2)

IN = [
    "greeted",
    "answer read",
    "verified",
    "accepted",
    "app asks for a permit",
    "RDS is asked for user_app",
    "welcome",
    "relay",
]
"""The way of a client until it may send commands."""


class FakeStream:
    """What is put in can be received; what is sent goes into the diary."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.tls = None
        self.ended_by_peer = self.was_reset = self.has_unread = self.has_pending = False
        self._name = name
        self._diary = diary
        self._readable: Callable[[], None] | None = None
        self._at_end: Callable[[], object] | None = None
        self._data: bytes | None = None

    def put(self, data: bytes) -> None:
        """Nothing: the end."""
        self._data = data
        if self._readable is not None:
            asyncio.get_running_loop().call_soon(self._readable)

    def leave(self) -> None:
        self.ended_by_peer = True
        if self._at_end is not None:
            self._at_end()

    def watch_readable(self, callback: Callable[[], None] | None) -> None:
        self._readable = callback
        if callback is not None and self._data is not None:
            asyncio.get_running_loop().call_soon(callback)

    def watch_writable(self, callback: Callable[[], None] | None) -> None: ...

    def watch_end(self, callback: Callable[[], object]) -> None:
        self._at_end = callback

    def receive(self, buffer: memoryview) -> int | None:
        data, self._data = self._data, None
        if data is not None:
            buffer[: len(data)] = data
        return None if data is None else len(data)

    def send(self, data: bytes) -> int:
        self._diary.append(f"{self._name} gets {bytes(data).decode()}")
        return len(data)

    async def write(self, data: bytes) -> None:
        if data:
            self.send(data)

    def end_writing(self) -> None:
        """As servers do, who close then."""
        self.put(b"")

    async def finish(self) -> None:
        self._diary.append(f"{self._name} is seen off")

    def reset(self) -> None:
        self._diary.append(f"{self._name} is reset")

    def close(self) -> None: ...


@dataclass
class FakeRDS:
    """A session at RDS."""

    stream: Stream
    diary: list[str]
    server: tuple[str, int] = ("10.0.0.1", 3306)
    connection_id: int = 57
    is_open: bool = True

    def leave(self) -> None:
        self.diary.append("RDS is told goodbye")
        self.close()

    async def quit(self) -> None:
        self.diary.append("RDS is told goodbye")
        self.close()

    def close(self) -> None:
        if self.is_open:
            self.diary.append("RDS closed")
        self.is_open = False


@dataclass
class FakeWatch:
    broken: type[Exception] = ValueError
    commands: int = 0
    watches_answers = False
    awaits_answer = True
    at_boundary = True
    in_transaction: bool = False
    has_quit = False
    keep_quit: bool = False
    kept_quit: bool = False
    behind_quit = 0
    interrupted: bytes | None = None
    has_more = False

    def feed(self, data: memoryview) -> bytes:
        self.commands += 1
        if bytes(data) == b"quit" and self.keep_quit:
            self.kept_quit = True
            return b""
        if bytes(data) == b"broken":
            raise ValueError("broken command")
        if bytes(data) == b"begin":
            self.in_transaction = True
        if bytes(data) == b"again":
            self.interrupted = b"again"
            return b""
        return bytes(data)

    def more(self) -> bytes:
        raise NotImplementedError

    def answered(self, data: memoryview) -> None: ...

    def flush(self) -> bytes:
        return b""


@dataclass
class Script:
    """What those say whom the session speaks to, and the diary of what they were asked."""

    diary: list[str] = field(default_factory=list)
    right: bool = True
    aside: Aside | None = None
    at_answer: Exception | None = None
    at_permit: Exception | None = None
    at_rds: Exception | None = None
    at_welcome: Exception | None = None
    at_token: Exception | None = None
    at_cleaning: Exception | None = None
    greeting_seconds: float = 0.0
    kind: str | None = None
    """None: no session is lent."""
    has_farewells: bool = True
    outlives_refusal: bool = False
    permits: asyncio.Event = field(default_factory=asyncio.Event)

    def says(self, entry: str, error: Exception | None = None) -> None:
        self.diary.append(entry)
        if error is not None:
            raise error


class FakeFront:
    user = b"app"
    program = "mysql"

    def __init__(self, script: Script) -> None:
        self._script = script

    async def greet(self, check: Check) -> None:
        check()
        await asyncio.sleep(self._script.greeting_seconds)
        self._script.says("greeted")

    async def read_answer(self, check: Check) -> Aside | None:
        await asyncio.sleep(0.01)
        check()
        self._script.says("answer read", self._script.at_answer)
        return self._script.aside

    def verify(self) -> bool:
        self._script.says("verified")
        return self._script.right

    def vouch(self) -> None:
        raise NotImplementedError

    def denied(self, *, is_known: bool) -> LoginError:
        return Denied("wrong-password", user="app", host="localhost", using="YES")

    async def accept(self) -> None:
        self._script.says("accepted")

    def order(self, account: Account) -> Order[FakeRDS]:
        def make(way: Way, on_step: OnStep) -> Login[FakeRDS]:
            raise NotImplementedError

        return Order(account.user, account.db_user, make, self._script.kind)

    async def welcome(self, rds: FakeRDS) -> None:
        self._script.says("welcome", self._script.at_welcome)

    @contextmanager
    def watch(self, rds: FakeRDS, *, keep_quit: bool) -> Iterator[FakeWatch]:
        self._script.says("relay")
        yield FakeWatch(keep_quit=keep_quit)

    async def again(self, payload: bytes) -> None:
        self._script.says("asked again")

    def refusal(self, error: LoginError) -> Refusal:
        return Refusal(error.row.key.encode(), 1)

    async def stay(self, rds: FakeRDS) -> bool:
        return self._script.outlives_refusal

    def farewell(self, error: LoginError) -> bytes:
        return error.row.key.encode() if self._script.has_farewells else b""


class FakeCleaner:
    def __init__(self, script: Script) -> None:
        self._script = script

    async def learn(self, rds: FakeRDS, kind: object) -> None:
        self._script.says("learnt")

    async def clean(self, rds: FakeRDS, kind: object, client: Taker | None = None) -> None:
        self._script.says("cleaned", self._script.at_cleaning)


class FakeUpstream:
    target = Target("shop", ADDRESS, ADDRESS, "eu-central-1")

    def __init__(self, script: Script, streams: Iterator[FakeStream]) -> None:
        self.stats = TargetStats()
        self.now = asyncio.get_running_loop().time
        self.pool: Pool[FakeRDS] = Pool(None if script.kind is None else BOUNDS, self.now)
        self.breaker_open = False
        self.patience: list[float] = []
        """Seconds that each login at RDS had, when it asked for its permit."""
        self._script = script
        self._streams = streams

    async def admit(self, account: str, deadline: float) -> Permit:
        self.patience.append(round(deadline - self.now(), 3))
        self._script.says(f"{account} asks for a permit", self._script.at_permit)
        await self._script.permits.wait()
        return Permit(0.0, deadline)

    async def way(self) -> Way:
        return cast(Way, SimpleNamespace(target=self.target))

    async def have_token(self, db_user: str) -> None:
        self._script.says(f"{db_user} has a token", self._script.at_token)

    def spoil(self, **whose: str) -> None:
        for loan in self.pool.spoil(**whose):
            loan.leave()

    async def log_in(self, order: Order[FakeRDS], permit: Permit) -> FakeRDS:
        self._script.says(f"RDS is asked for {order.db_user}", self._script.at_rds)
        return FakeRDS(cast(Stream, next(self._streams)), self._script.diary)


class Play:
    """A session in its surroundings. To be used in a running loop."""

    def __init__(self, script: Script) -> None:
        script.permits.set()
        self.script = script
        self.cleaner = FakeCleaner(script)
        self.rds = [FakeStream(name, script.diary) for name in ("RDS", "RDS 2", "RDS 3")]
        self.upstream = FakeUpstream(script, iter(self.rds))
        self.come()

    def come(self) -> None:
        """A client; after the first has gone, another one."""
        loop = asyncio.get_running_loop()
        self.client = FakeStream("client", self.script.diary)
        shared = Shared(Accounts([APP]), LoginGuard(), LiveSessions(), make_buffer(), loop.time)
        self.session: Session[FakeRDS] = Session(
            Arrival(cast(Stream, self.client), Peer("127.0.0.1"), 7, "shop", None, LoginSlots().enter("127.0.0.1")),
            cast(Upstream, self.upstream),
            cast(Dialect[FakeRDS], self),
            shared,
        )
        self.life = loop.create_task(self.session.run())

    def front(self, arrival: Arrival, shared: Shared) -> FakeFront:
        return FakeFront(self.script)

    def activity(self) -> Activity:
        return self.session.view().activity

    async def until(self, entry: str, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.script.diary.count(entry) < times:  # noqa: ASYNC110 - the clock jumps
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.001)


def played(acts: Callable[[Play], Awaitable[None]], **what: Any) -> list[str]:
    """The diary of a session, once it has ended; `what`: as in Script."""
    script = Script(**what)

    async def whole() -> None:
        play = Play(script)
        await acts(play)
        async with asyncio.timeout(60):
            await asyncio.wait({play.life})

    run(whole(), VirtualTimeLoop())
    return script.diary


async def nothing_else(play: Play) -> None: ...


def test_client_is_in_once_rds_let_it_in_and_no_sooner() -> None:
    async def asks(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"question")
        await play.until("RDS gets question")
        play.rds[0].put(b"answer")
        await play.until("client gets answer")
        play.client.put(b"")

    assert played(asks) == [*IN, "RDS gets question", "client gets answer", "RDS closed"]


def test_wrong_password_asks_rds_for_nothing() -> None:
    told = ["client gets wrong-password", "client is seen off"]
    assert played(nothing_else, right=False) == ["greeted", "answer read", "verified", *told]


@pytest.mark.parametrize("where", ["at_answer", "at_permit", "at_rds"])
def test_whatever_fails_is_told_and_nobody_is_let_in(where: str) -> None:
    diary = played(nothing_else, **{where: Limited("no-room")})
    assert diary[-2:] == ["client gets no-room", "client is seen off"]
    assert "welcome" not in diary


def test_session_at_rds_that_nobody_can_use_is_taken_leave_of() -> None:
    diary = played(nothing_else, at_welcome=Limited("no-room"))
    assert diary == [*IN[:-1], "RDS is told goodbye", "RDS closed", "client gets no-room", "client is seen off"]


def test_fault_of_ours_is_told_while_that_can_be_understood() -> None:
    assert played(nothing_else, at_rds=RuntimeError("ours"))[-2:] == ["client gets internal", "client is seen off"]


def test_client_that_leaves_while_it_waits_gives_its_place_back() -> None:
    async def leaves(play: Play) -> None:
        play.script.permits.clear()
        await play.until("app asks for a permit")
        assert play.activity() is Activity.WAITING
        play.client.leave()
        await asyncio.wait({play.life})
        assert play.upstream.stats.abandoned == 1

    assert played(leaves) == IN[:5]


@pytest.mark.parametrize("at", ["greeted", "app asks for a permit"])
def test_login_under_way_when_the_proxy_stops_is_refused(at: str) -> None:
    async def stops(play: Play) -> None:
        play.script.permits.clear()
        await play.until(at)
        play.session.stop_login()

    diary = played(stops)
    assert diary[-2:] == ["client gets stopping", "client is seen off"]
    assert "RDS is asked for user_app" not in diary


def test_login_that_is_cut_is_told_so_if_it_has_answered() -> None:
    async def is_cut(play: Play) -> None:
        play.script.permits.clear()
        await play.until("app asks for a permit")
        play.life.cancel()

    assert played(is_cut) == [*IN[:5], "client gets stopping"]


def test_session_that_is_ended_hears_why_between_two_commands() -> None:
    async def ends(play: Play) -> None:
        await play.until("relay")
        assert play.session.end(Ended("session-stopped"), "the proxy stops")
        await asyncio.wait({play.life})
        assert play.upstream.stats.ended == {"proxy": 1}

    farewell = ["RDS is told goodbye", "RDS closed", "client gets session-stopped", "client is seen off"]
    assert played(ends) == [*IN, *farewell]
    assert played(ends, has_farewells=False) == [*IN, *farewell[:2]]


def test_session_is_not_ended_with_something_unread() -> None:
    async def tries(play: Play) -> None:
        await play.until("relay")
        play.rds[0].has_unread = True
        assert not play.session.end(Ended("session-stopped"), "the proxy stops")
        play.client.put(b"")

    assert played(tries) == [*IN, "RDS closed"]


def test_reset_of_rds_is_a_reset_for_the_client() -> None:
    async def is_reset(play: Play) -> None:
        await play.until("relay")
        play.rds[0].was_reset = True
        play.rds[0].put(b"")

    assert played(is_reset) == [*IN, "client is reset", "RDS closed"]


def test_client_that_breaks_the_protocol_is_cut() -> None:
    async def breaks(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"broken")

    assert played(breaks) == [*IN, "RDS closed"]


def test_client_that_logs_in_once_more_gets_another_session() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"again")
        await play.until("asked again")
        assert play.activity() is Activity.LOGIN
        await play.until("relay", times=2)
        play.client.put(b"hello")
        await play.until("RDS 2 gets hello")
        play.client.put(b"")

    again = ["asked again", *IN[1:-1], "RDS closed", "relay", "RDS 2 gets hello", "RDS closed"]
    assert played(changes) == [*IN, *again]


def test_greeting_that_was_late_shortens_the_first_login_only() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"again")
        await play.until("relay", times=2)
        play.client.put(b"")
        first, second = play.upstream.patience
        assert first == pytest.approx(second - 3.0, abs=0.1)

    played(changes, greeting_seconds=3.0)


def test_client_whose_next_login_fails_is_told_and_its_session_is_over() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.script.right = False
        play.client.put(b"again")
        await asyncio.wait({play.life})
        assert play.upstream.stats.ended == {"proxy": 1}

    told = ["RDS closed", "client gets wrong-password", "client is seen off"]
    assert played(changes) == [*IN, "asked again", "answer read", "verified", *told]


def test_session_that_outlives_a_refused_login_goes_on_as_it_was() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.script.right = False
        play.client.put(b"again")
        await play.until("relay", times=2)
        assert play.activity() is Activity.RUNNING
        assert play.session.view().account == "app"
        play.client.put(b"hello")
        await play.until("RDS gets hello")
        play.client.put(b"")

    told = ["asked again", "answer read", "verified", "client gets wrong-password", "relay"]
    assert played(changes, outlives_refusal=True) == [*IN, *told, "RDS gets hello", "RDS closed"]


def test_order_of_answers_is_kept_when_somebody_logs_in_once_more() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.rds[0].has_unread = True
        play.client.put(b"again")

    assert played(changes) == [*IN, "asked again", *IN[1:-1], "RDS closed", "RDS closed"]


def test_who_came_for_something_else_is_not_logged_in() -> None:
    async def cancels(upstream: Upstream) -> None:
        diary.append("cancelled")

    diary: list[str] = []
    assert played(nothing_else, diary=diary, aside=Aside(cancels)) == ["greeted", "answer read", "cancelled"]


def test_activity_is_what_it_does() -> None:
    async def looks(play: Play) -> None:
        assert play.activity() is Activity.LOGIN
        await play.until("relay")
        assert play.activity() is Activity.RUNNING
        play.client.put(b"begin")
        await play.until("RDS gets begin")
        play.rds[0].put(b"done")
        await play.until("client gets done")
        assert play.activity() is Activity.IN_TRANSACTION
        assert play.session.idle_seconds() is None, "an open transaction is not ended for being idle"
        play.client.put(b"")
        await asyncio.wait({play.life})
        assert play.activity() is Activity.ENDING

    played(looks)


def test_client_that_hangs_up_before_its_answer_is_no_failure() -> None:
    async def looks(play: Play) -> None:
        await asyncio.wait({play.life})
        assert play.upstream.stats.abandoned == 1
        assert not play.upstream.stats.refused

    assert played(looks, at_answer=EndOfStream("closed")) == ["greeted", "answer read"]


# --- sessions that are lent ---

LEARNT = [*IN[:-2], "learnt", *IN[-2:]]
"""The way of the first client of a kind."""

LENT = ["greeted", "answer read", "verified", "accepted", "user_app has a token", "welcome", "relay"]
"""The way of the next one: nothing is asked of RDS."""

GOODBYE = ["RDS is told goodbye", "RDS closed"]


async def _quits(play: Play, times: int = 1) -> None:
    await play.until("relay", times)
    play.client.put(b"quit")
    await asyncio.wait({play.life})


async def _two_in_a_row(play: Play) -> None:
    await _quits(play)
    play.come()
    await _quits(play, times=2)


def test_session_of_a_client_that_quits_is_lent_to_the_next_one() -> None:
    assert played(_two_in_a_row, kind="same") == [*LEARNT, "cleaned", *LENT, "cleaned"]


def test_session_that_turns_out_unfit_is_taken_leave_of_and_the_next_client_gets_a_new_one() -> None:
    diary = played(_two_in_a_row, kind="same", at_cleaning=Unfit("differs"))
    assert diary == [*LEARNT, "cleaned", *GOODBYE] * 2


def test_session_of_a_client_that_leaves_without_a_word_is_closed() -> None:
    async def leaves(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"")

    assert played(leaves, kind="same") == [*LEARNT, "RDS closed"]


def test_session_that_waited_is_cleaned_again_before_it_is_lent() -> None:
    async def comes_late(play: Play) -> None:
        await _quits(play)
        await asyncio.sleep(1.0)
        play.come()
        await _quits(play, times=2)

    late = [*LENT[:4], "cleaned", *LENT[4:]]
    assert played(comes_late, kind="same") == [*LEARNT, "cleaned", *late, "cleaned"]


def test_sessions_that_wait_are_given_up_when_one_of_them_is_silent() -> None:
    async def rds_is_gone(play: Play) -> None:
        await play.until("relay")
        first, client = play.life, play.client
        play.come()
        await play.until("relay", times=2)
        client.put(b"quit")
        play.client.put(b"quit")
        await asyncio.wait({first, play.life})
        assert len(play.upstream.pool) == 2
        await asyncio.sleep(1.0)
        play.script.at_cleaning = TimeoutError()
        play.come()
        await play.until("relay", times=3)
        assert play.script.diary.count("cleaned") == 3, "only one was waited for"
        assert len(play.upstream.pool) == 0
        play.client.put(b"")

    assert played(rds_is_gone, kind="same").count("RDS closed") == 3


def test_nothing_is_lent_where_there_is_no_token() -> None:
    async def loses_credentials(play: Play) -> None:
        await _quits(play)
        play.script.at_token = Limited("no-room")
        play.come()
        await asyncio.wait({play.life})
        assert play.upstream.stats.lent == 0

    told = ["client gets no-room", "client is seen off"]
    assert played(loses_credentials, kind="same") == [*LEARNT, "cleaned", *LENT[:5], *GOODBYE, *told]


def test_nothing_is_lent_while_rds_cannot_be_reached() -> None:
    async def is_out_of_reach(play: Play) -> None:
        await _quits(play)
        play.upstream.breaker_open = True
        play.script.at_permit = Limited("no-room")
        play.come()
        await asyncio.wait({play.life})

    told = ["app asks for a permit", "client gets no-room", "client is seen off"]
    assert played(is_out_of_reach, kind="same") == [*LEARNT, "cleaned", *LENT[:4], *GOODBYE, *told]


def test_client_that_logs_in_once_more_as_before_gets_its_session_back() -> None:
    async def changes(play: Play) -> None:
        await play.until("relay")
        play.client.put(b"again")
        await _quits(play, times=2)

    again = ["asked again", "answer read", "verified", "cleaned", *LENT[3:]]
    assert played(changes, kind="same") == [*LEARNT, *again, "cleaned"]


def test_session_that_nobody_can_welcome_is_not_lent_on() -> None:
    async def fails(play: Play) -> None:
        await _quits(play)
        play.script.at_welcome = Limited("no-room")
        play.come()
        await asyncio.wait({play.life})
        assert len(play.upstream.pool) == 0

    assert played(fails, kind="same")[-4:] == [*GOODBYE, "client gets no-room", "client is seen off"]
