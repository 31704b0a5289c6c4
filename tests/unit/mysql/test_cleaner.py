"""The cleaning round against a server made of answers: no sockets."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.virtual_time import VirtualTimeLoop, run
from mysql_wire.constants import Capability, MariaDBCapability, Status
from mysql_wire.handshake import ServerIdentity
from mysql_wire.packet import frame
from mysql_wire.reply import OKPacket
from rds_iam_proxy.mysql.cleaner import CLEAN_SECONDS, TAKE_SECONDS, Cleaner
from rds_iam_proxy.mysql.kind import kind_of
from rds_iam_proxy.mysql.rds_login import ASKS_NOTHING, UpstreamSession
from rds_iam_proxy.net.stream import EndOfStream
from rds_iam_proxy.rds.pool import Unfit

NEW = ["utf8mb4", "utf8mb4_general_ci", "28800", "STRICT", "", "rest"]
Answer = Callable[[bytes], bytes | None]


class Server:
    """A stream: answers each command that is written. None: silence."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.delay = 0.0
        self.writes: list[list[bytes]] = []
        self._out = bytearray()
        self._more = asyncio.Event()

    async def write(self, data: bytes) -> None:
        commands = []
        while data:
            end = 4 + int.from_bytes(data[:3], "little")
            commands.append(data[4:end])
            self._out += self.answer(data[4:end]) or b""
            data = data[end:]
        self.writes.append(commands)
        self._more.set()

    async def read_some(self, buffer: memoryview, deadline: float) -> int:
        await asyncio.sleep(self.delay)
        async with asyncio.timeout_at(deadline):
            while not self._out:
                self._more.clear()
                await self._more.wait()
        count = min(len(buffer), len(self._out))
        buffer[:count] = self._out[:count]
        del self._out[:count]
        return count


OK = frame(b"\0\0\0\x02\0\0\0", 1)


def _result(text: str) -> bytes:
    eof = b"\xfe\0\0\x02\0"
    payloads = [b"\x01", b"\x03def" + bytes(12), eof, bytes((len(text),)) + text.encode(), eof]
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, start=1))


class Honest:
    """A server whose reset loses `lost`; `grants` may change."""

    def __init__(self, *, lost: dict[int, str] | None = None) -> None:
        self.lost = lost or {}
        self.now = list(NEW)
        self.grants = "GRANT USAGE"

    def __call__(self, command: bytes) -> bytes | None:
        if command[:1] == b"\x02":
            return frame(b"\xff\x19\x04#42000Unknown database '" + command[1:] + b"'", 1)
        if command == b"\x1f":
            self.now = [self.lost.get(place, value) for place, value in enumerate(NEW)]
            return OK
        if command.startswith(b"\x03SELECT"):
            return _result("|".join(self.now))
        if command == b"\x03SHOW GRANTS":
            return _result(self.grants)
        if command.startswith(b"\x03SET"):
            self.now = list(NEW)
            return OK
        return None


def _session(answer: Answer, version: bytes = b"9.7.4") -> UpstreamSession:
    identity = ServerIdentity(version, Capability.LONG_PASSWORD, MariaDBCapability(0), 255)
    stream = cast(Any, Server(answer))
    return UpstreamSession(
        stream, ("10.0.0.1", 3306), identity, 57, Capability(0), OKPacket(Status.AUTOCOMMIT), lambda: None
    )


def _writes(session: UpstreamSession) -> list[list[bytes]]:
    return cast(Server, session.stream).writes


def _cleaned(answer: Answer, version: bytes = b"9.7.4", *, times: int = 1) -> list[list[bytes]]:
    """What is written for so many rounds, after the session was learnt."""

    async def work() -> list[list[bytes]]:
        cleaner, session = Cleaner(), _session(answer, version)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        for _ in range(times):
            await cleaner.clean(session, kind)
        return _writes(session)[1:]

    return run(work(), VirtualTimeLoop())


def test_all_is_one_write() -> None:
    (commands,) = _cleaned(Honest())
    assert [command[:1] for command in commands] == [b"\x02", b"\x1f", b"\x03", b"\x03"]
    assert len(commands[0]) == 33


def test_each_round_has_a_nonce_of_its_own() -> None:
    rounds = _cleaned(Honest(), times=20)
    assert len({commands[0] for commands in rounds}) == 20


def test_5_7_is_sent_one_command_after_the_other() -> None:
    learnt, *commands = _cleaned(Honest(), b"5.7.12-log")
    assert learnt == [b"\x03SHOW GRANTS"]
    assert [[command[:1] for command in written] for written in commands] == [
        [b"\x02"],
        [b"\x1f"],
        [b"\x03"],
        [b"\x03"],
    ]


def test_5_7_is_asked_for_no_role() -> None:
    for version, is_asked in ((b"5.7.12-log", False), (b"9.7.4", True)):
        commands = b"".join(command for written in _cleaned(Honest(), version) for command in written)
        assert b"CONCAT_WS" in commands
        assert (b"CURRENT_ROLE" in commands) == is_asked


def test_only_what_a_reset_loses_is_restored_and_from_then_on_at_once() -> None:
    rounds = _cleaned(Honest(lost={0: "latin1"}), times=2)
    assert [len(commands) for commands in rounds] == [4, 5, 5]
    assert rounds[1][2] == rounds[2][2] == b"\x03SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"


@pytest.mark.parametrize("lost", [{}, {0: "latin1"}, {3: "ANSI"}])
def test_the_first_sessions_of_a_kind_are_cleaned_at_once(lost: dict[int, str]) -> None:
    """What a reset loses is not known yet when each of them begins."""

    async def work() -> None:
        cleaner, sessions = Cleaner(), [_session(Honest(lost=lost)) for _ in range(5)]
        kind = kind_of(ASKS_NOTHING, {}, sessions[0].identity)
        assert kind is not None
        await asyncio.gather(*(cleaner.learn(session, kind) for session in sessions))
        for _ in range(2):
            await asyncio.gather(*(cleaner.clean(session, kind) for session in sessions))

    run(work(), VirtualTimeLoop())


def test_one_that_differs_leaves_what_was_learnt_meanwhile() -> None:
    async def work() -> None:
        server = Honest()
        cleaner, old, new = Cleaner(), _session(server), _session(Honest(lost={0: "latin1"}))
        kind = kind_of(ASKS_NOTHING, {}, old.identity)
        assert kind is not None
        await cleaner.learn(new, kind)
        await cleaner.clean(new, kind)
        server.grants = "GRANT ALL"
        cast(Server, old.stream).delay = 0.5
        differing = asyncio.create_task(cleaner.clean(old, kind))
        await asyncio.sleep(0)
        await cleaner.learn(new, kind)  # a login after a reset that loses something
        with pytest.raises(Unfit, match="differs"):
            await differing
        await cleaner.clean(new, kind)

    run(work(), VirtualTimeLoop())


def _unfit(change: Callable[[Honest], object], *, killed: bool = False) -> str:
    async def work() -> str:
        server = Honest()
        cleaner, session = Cleaner(), _session(server)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        await cleaner.clean(session, kind)
        change(server)
        session.unfit = "killed" if killed else ""
        with pytest.raises(Unfit) as caught:
            await cleaner.clean(session, kind)
        return str(caught.value)

    return run(work(), VirtualTimeLoop())


def test_what_makes_a_session_unfit() -> None:
    assert _unfit(lambda server: server.lost.update({5: "a role"})) == "differs"
    assert _unfit(lambda server: server.lost.update({3: "ANSI"})) == "differs"  # a new global value is not undone
    assert _unfit(lambda server: setattr(server, "grants", "GRANT ALL")) == "differs"
    assert _unfit(lambda server: None, killed=True) == "killed"


@pytest.mark.parametrize("place", range(4))
def test_an_answer_that_does_not_come_ends_within_a_second(place: int) -> None:
    async def work() -> None:
        honest, counted, armed = Honest(), [0], [False]

        def answer(command: bytes) -> bytes | None:
            counted[0] += armed[0]
            return None if counted[0] == place + 1 else honest(command)

        cleaner, session = Cleaner(), _session(answer)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        armed[0] = True
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unfit):
            await cleaner.clean(session, kind)
        assert asyncio.get_running_loop().time() - began <= 1.0

    run(work(), VirtualTimeLoop())


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_other_bytes_end_in_unfit(noise: bytes, place: int) -> None:
    """In place of one of the answers."""

    async def work() -> None:
        honest, counted, armed = Honest(), [0], [False]

        def answer(command: bytes) -> bytes | None:
            counted[0] += armed[0]
            right = honest(command)
            return noise if counted[0] == place + 1 and noise != right else right

        cleaner, session = Cleaner(), _session(answer)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        armed[0] = True
        with pytest.raises((Unfit, EndOfStream)):
            await cleaner.clean(session, kind)

    run(work(), VirtualTimeLoop())


def test_init_connect_is_not_lent() -> None:
    async def work() -> None:
        server = Honest()
        server.now[4] = "SET @x = 1"
        cleaner, session = Cleaner(), _session(server)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        with pytest.raises(Unfit, match="no reference"):
            await cleaner.clean(session, kind)

    run(work(), VirtualTimeLoop())


class Reader:
    """A client that has quit: `dialect.Taker`. Takes the next of what it is owed after so many seconds."""

    def __init__(self, *, seconds: float, has_left: bool = False) -> None:
        self.has_left = has_left
        self.taken = bytearray()
        self._seconds = seconds

    async def take(self, data: bytes) -> bool:
        await asyncio.sleep(self._seconds)
        self.taken += data
        return True


@pytest.mark.parametrize(
    ("client", "takes_it", "seconds"),
    [
        (Reader(seconds=TAKE_SECONDS - 1), True, TAKE_SECONDS - 1),
        (Reader(seconds=3600), False, TAKE_SECONDS),  # it is given up, its session is not
        (Reader(seconds=3600, has_left=True), False, CLEAN_SECONDS),
    ],
    ids=["that reads late", "that reads nothing", "that has closed"],
)
def test_a_client_that_has_quit_has_a_minute_for_what_it_is_owed(
    client: Reader, takes_it: bool, seconds: float
) -> None:
    owed = _result("what the client has asked before")

    async def work() -> float:
        honest, armed = Honest(), [False]

        def answer(command: bytes) -> bytes | None:
            was_armed, armed[0] = armed[0], False
            return (owed if was_armed else b"") + (honest(command) or b"")

        cleaner, session = Cleaner(), _session(answer)
        kind = kind_of(ASKS_NOTHING, {}, session.identity)
        assert kind is not None
        await cleaner.learn(session, kind)
        armed[0] = True
        began = asyncio.get_running_loop().time()
        await cleaner.clean(session, kind, client)
        return asyncio.get_running_loop().time() - began

    assert run(work(), VirtualTimeLoop()) == pytest.approx(seconds)
    assert client.taken == (owed if takes_it else b"")
