import asyncio
import gc
import logging
import math
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from kit.virtual_time import VirtualTimeLoop, run
from rds_iam_proxy.aws.credentials import Signed, Stamp, credentials_fault
from rds_iam_proxy.aws.token import Token
from rds_iam_proxy.aws.tokens import Identity, TokenSource
from rds_iam_proxy.errors.tree import CredentialsError, Draining
from rds_iam_proxy.net.address import Address

A = Address("a.example.com", 3306)
B = Address("b.example.com", 3306)
REGION = "eu-west-1"


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeSigner:
    """Signs at once, or when `gate` opens; can be told to fail."""

    def __init__(self, wall: Clock, boot: Clock) -> None:
        self.wall = wall
        self.boot = boot
        self.calls: list[tuple[Address, str, str, bool]] = []
        self.threads: set[str] = set()
        self.gate: threading.Event | None = None
        self.error: Exception | None = None
        self.access_key = "AKIAONE"
        self.expires: float | None = None
        self.files: Stamp = (None,)
        self.looks: list[str] = []
        self.folder: threading.Event | None = None
        self.is_closed = False

    def stamp(self) -> Stamp:
        self.looks.append(threading.current_thread().name)
        if self.folder is not None:
            self.folder.wait()
        return self.files

    def close(self) -> None:
        self.is_closed = True

    def sign(self, address: Address, region: str, db_user: str, *, look_again: bool) -> Signed:
        self.calls.append((address, region, db_user, look_again))
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait()
        if self.error is not None:
            raise self.error
        value = f"token-secret-{len(self.calls)}".encode()
        return Signed(value, self.wall.now, self.boot.now, self.access_key, self.expires)


class FakeTimer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Bench:
    def __init__(self, timeout: float = 5.0) -> None:
        self.wall = Clock(1.8e9)
        self.boot = Clock(5000.0)
        self.awake = 0.0  # what timers go by
        self.timers: list[FakeTimer] = []
        self.signer = FakeSigner(self.wall, self.boot)
        self.source = TokenSource(
            Identity("dev"),
            wall=self.wall,
            boot=self.boot,
            signer=self.signer,
            timeout=timeout,
            call_later=self.call_later,
        )

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.awake + seconds, callback)
        self.timers.append(timer)
        return timer

    def passes(self, seconds: float) -> None:
        """Time without timers: they are late, or the machine sleeps."""
        self.wall.now += seconds
        self.boot.now += seconds

    async def goes_on(self, seconds: float) -> None:
        """Time with timers, each at its moment, and what they start is let finish."""
        end = self.awake + seconds
        while due := [timer for timer in self.timers if timer.at <= end and not timer.cancelled]:
            timer = min(due, key=lambda timer: timer.at)
            self.timers.remove(timer)
            self.passes(timer.at - self.awake)
            self.awake = timer.at
            timer.callback()
            if self.signer.gate is None:
                await self.settled()
        self.passes(end - self.awake)
        self.awake = end

    def files_are_rewritten(self) -> None:
        self.signer.files = ((1, 2, 3),)
        self.passes(1)

    async def settled(self) -> None:
        while flights := self.source._thread.flights:
            await asyncio.wait({flight.outcome for flight in flights})

    async def get(self, address: Address = A, db_user: str = "batch") -> Token:
        return await self.source.get(address, REGION, db_user)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.source.close()


async def test_a_token_is_signed_once_and_then_comes_from_the_cache(bench: Bench) -> None:
    first = await bench.get()
    bench.passes(839)
    assert await bench.get() is first
    assert bench.signer.calls == [(A, REGION, "batch", False)]
    assert bench.signer.threads == {"rds-iam-proxy-credentials"}
    assert bench.source.age(first) == 839


async def test_a_cached_token_does_not_even_yield_to_the_loop(bench: Bench) -> None:
    first = await bench.get()
    coroutine = bench.get()
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value is first


async def test_endpoint_port_region_and_user_each_have_their_own_token(bench: Bench) -> None:
    tokens = [
        await bench.get(),
        await bench.get(B),
        await bench.get(Address(A.host, 3307)),
        await bench.get(db_user="other"),
        await bench.source.get(A, "us-east-1", "batch"),
    ]
    assert len({token.value for token in tokens}) == 5


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda bench: bench.passes(840), "too old"),
        (lambda bench: setattr(bench.wall, "now", bench.wall.now + 840), "the wall clock says too old"),
        (lambda bench: setattr(bench.boot, "now", bench.boot.now + 840), "slept while the wall clock was set back"),
        (lambda bench: setattr(bench.wall, "now", bench.wall.now - 1), "signed in the future"),
        (lambda bench: bench.files_are_rewritten(), "the credential files were rewritten"),
    ],
)
async def test_a_stale_token_is_signed_anew(bench: Bench, change: Callable[[Bench], None], why: str) -> None:
    first = await bench.get()
    change(bench)
    assert (await bench.get()).value != first.value, why
    assert len(bench.signer.calls) == 2


async def test_files_are_looked_at_in_threads_and_once_for_logins_of_one_moment(bench: Bench) -> None:
    first = await bench.get()
    for _ in range(3):
        assert await bench.get() is first
    assert bench.signer.looks == ["rds-iam-proxy-credentials"]
    bench.passes(1)
    for _ in range(3):
        assert await bench.get() is first
    assert bench.signer.looks == ["rds-iam-proxy-credentials", "rds-iam-proxy-credential-files"]


def test_a_home_folder_that_hangs_delays_one_login_a_little_and_stops_none() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        bench = Bench()
        first = await bench.get()
        folder = bench.signer.folder = threading.Event()
        bench.passes(1)
        began = loop.now
        for _ in range(3):
            assert await bench.get() is first
            bench.passes(10)
        assert loop.now - began == pytest.approx(0.1)
        assert len(bench.signer.looks) == 2  # the one that hangs is the last
        folder.set()
        bench.source.close()

    run(main(), loop)


async def test_files_that_cannot_be_named_leave_what_was_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Stamp:
        raise RuntimeError("Could not determine home directory.")

    first = await bench.get()
    monkeypatch.setattr(bench.signer, "stamp", no_home)
    bench.passes(1)
    assert await bench.get() is first


async def test_a_token_ends_a_minute_before_its_credentials(bench: Bench) -> None:
    bench.signer.expires = bench.wall.now + 300
    first = await bench.get()
    assert first.signed_wall + first.life == bench.wall.now + 300
    bench.passes(239)
    assert await bench.get() is first
    bench.passes(1)
    assert await bench.get() is not first


async def test_credentials_that_end_soon_still_serve_the_login_at_hand(bench: Bench) -> None:
    bench.signer.expires = bench.wall.now + 30
    first = await bench.get()
    second = await bench.get()
    assert first.value != second.value


def test_age_of_a_token_from_the_future_is_infinite() -> None:
    token = Token(b"", signed_wall=100.0, signed_boot=10.0, life=900.0)
    assert token.age(99.0, 11.0) == math.inf
    assert token.age(160.0, 15.0) == 60.0
    assert token.age(101.0, 90.0) == 80.0


async def test_many_logins_at_once_are_served_by_one_signature(bench: Bench) -> None:
    bench.signer.gate = threading.Event()
    logins = [asyncio.ensure_future(bench.get()) for _ in range(50)]
    await asyncio.sleep(0)
    bench.signer.gate.set()
    tokens = await asyncio.gather(*logins)
    assert len(bench.signer.calls) == 1
    assert all(token is tokens[0] for token in tokens)


async def test_one_cancelled_login_does_not_take_the_token_from_the_others(bench: Bench) -> None:
    bench.signer.gate = threading.Event()
    first = asyncio.ensure_future(bench.get())
    second = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    bench.signer.gate.set()
    assert (await second).value == b"token-secret-1"
    assert first.cancelled()


async def test_rotated_credentials_drop_the_tokens_of_the_former_ones(bench: Bench) -> None:
    first = await bench.get()
    other_region = await bench.source.get(A, "us-east-1", "batch")
    bench.signer.access_key = "AKIATWO"
    await bench.get(B)
    assert (await bench.get()).value != first.value
    assert await bench.source.get(A, "us-east-1", "batch") is other_region


async def test_a_refused_token_is_signed_anew_with_credentials_looked_up_again(bench: Bench) -> None:
    first = await bench.get()
    bench.source.discard(A, REGION, "batch", first)
    second = await bench.get()
    assert second.value != first.value
    assert [call[3] for call in bench.signer.calls] == [False, True]
    bench.source.discard(A, REGION, "batch", first)  # the refusal of a token that has been replaced meanwhile
    assert await bench.get() is second


async def test_a_failure_reaches_every_waiter_and_is_not_remembered(bench: Bench) -> None:
    bench.signer.error = credentials_fault(Identity(), "expired-sso", environ={})
    bench.signer.gate = threading.Event()
    logins = [asyncio.ensure_future(bench.get()) for _ in range(3)]
    await asyncio.sleep(0)
    bench.signer.gate.set()
    failures = await asyncio.gather(*logins, return_exceptions=True)
    assert [str(failure) for failure in failures] == [str(bench.signer.error)] * 3
    assert len({id(failure) for failure in failures}) == 3
    bench.signer.error = None
    assert (await bench.get()).value == b"token-secret-2"


async def test_a_defect_in_the_signer_is_an_error_and_the_thread_lives_on(bench: Bench) -> None:
    bench.signer.error = ZeroDivisionError("with a secret in its text")
    with pytest.raises(CredentialsError) as caught:
        await bench.get()
    assert caught.value.row.key == "signing-failed"
    assert "secret" not in str(caught.value) + caught.value.detail
    bench.signer.error = None
    assert (await bench.get()).value == b"token-secret-2"


async def test_an_empty_region_is_never_left_to_boto3(bench: Bench) -> None:
    with pytest.raises(ValueError, match="region"):
        await bench.source.get(A, "", "batch")


def test_credentials_that_hang_fail_each_login_after_its_own_5_s_and_delay_no_other_identity() -> None:
    """The clock of the loop jumps: nothing here waits in real time."""
    loop = VirtualTimeLoop()
    gate = threading.Event()

    async def main() -> None:
        stuck = Bench()
        stuck.signer.gate = gate
        for address in (A, B, A):
            began = loop.now
            with pytest.raises(CredentialsError, match=r"did not arrive within 5 s \(profile dev\)"):
                await stuck.get(address)
            assert loop.now == pytest.approx(began + 5)
        assert [call[0] for call in stuck.signer.calls] == [A]  # the others gave up before their turn
        gate.set()
        stuck.source.close()

    run(main(), loop)


async def test_a_hung_identity_leaves_another_alone(bench: Bench) -> None:
    stuck = Bench()
    stuck.signer.gate = threading.Event()
    waiting = asyncio.ensure_future(stuck.get())
    await asyncio.sleep(0)
    assert (await bench.get()).value == b"token-secret-1"
    assert not waiting.done()
    stuck.signer.gate.set()
    assert (await waiting).value == b"token-secret-1"
    stuck.source.close()


async def test_after_half_a_minute_the_next_login_starts_over_in_a_new_thread(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    first_gate = bench.signer.gate = threading.Event()
    stuck = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    bench.passes(29)
    also_stuck = asyncio.ensure_future(bench.get(B))
    await asyncio.sleep(0)
    assert not caplog.messages
    bench.passes(1)
    bench.signer.gate = None
    token = await bench.get()
    assert caplog.messages == ["credentials hang; trying anew"]
    assert (await also_stuck).value != token.value, "who queued behind it goes on"
    first_gate.set()
    stuck.cancel()
    await asyncio.sleep(0.05)
    assert await bench.get() is token, "what the first thread brings so late is not used"
    assert bench.source._thread.hung == 0


async def test_hung_threads_do_not_pile_up(bench: Bench) -> None:
    gate = bench.signer.gate = threading.Event()
    logins = []
    for _ in range(6):
        logins.append(asyncio.ensure_future(bench.get()))
        await asyncio.sleep(0.01)
        bench.passes(60)
    assert len(bench.signer.calls) == 4
    gate.set()
    done, waiting = await asyncio.wait(logins, timeout=1)
    assert len(done) == 3, "those that waited for the last thread"
    for login in waiting:
        login.cancel()
    assert bench.source._thread.hung == 0


async def test_a_token_whose_login_went_away_serves_the_next(bench: Bench) -> None:
    bench.signer.gate = threading.Event()
    gone = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    bench.signer.gate.set()
    assert (await bench.get()).value == b"token-secret-1"
    assert len(bench.signer.calls) == 1


async def test_closing_tells_who_waits_and_who_comes_later() -> None:
    bench = Bench()
    bench.signer.gate = threading.Event()
    waiting = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    bench.source.close()
    with pytest.raises(Draining):
        await waiting
    with pytest.raises(Draining):
        await bench.get()
    bench.signer.gate.set()


def test_the_thread_keeps_no_stopping_process_alive_and_ends_with_the_source() -> None:
    async def main() -> threading.Thread:
        bench = Bench()
        bench.signer.gate = threading.Event()
        waiting = asyncio.ensure_future(bench.get())
        await asyncio.sleep(0)
        thread = next(t for t in threading.enumerate() if t.name == "rds-iam-proxy-credentials")
        assert thread.daemon
        bench.source.close()
        assert bench.signer.is_closed, "which ends a credential_process"
        bench.signer.gate.set()
        with pytest.raises(Draining):
            await waiting
        return thread

    thread = asyncio.run(main())
    thread.join(10)
    assert not thread.is_alive()


async def test_a_token_in_use_is_renewed_ahead_of_need_and_no_login_waits(bench: Bench) -> None:
    tokens = [await bench.get()]
    for _ in range(100):
        await bench.goes_on(60)
        await bench.source._thread.look_at_files()  # which is not what it is about
        coroutine = bench.get()
        with pytest.raises(StopIteration) as caught:  # at once
            coroutine.send(None)
        tokens.append(caught.value.value)
        assert bench.source.age(tokens[-1]) <= 720
    assert len({token.value for token in tokens}) == len(bench.signer.calls) == 9


async def test_nothing_is_signed_for_a_token_that_is_not_in_use(bench: Bench) -> None:
    await bench.get()
    await bench.goes_on(7200)
    assert len(bench.signer.calls) == 2, "once more, because it had been used just now"
    assert not bench.source._cache
    assert not bench.source._asked
    await bench.get()
    assert len(bench.signer.calls) == 3


async def test_renewal_and_a_login_share_one_signature(bench: Bench) -> None:
    first = await bench.get()
    bench.signer.gate = threading.Event()
    await bench.goes_on(720)
    assert await bench.get() is first, "it still serves while its successor is signed"
    bench.wall.now += 120
    login = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    bench.signer.gate.set()
    assert (await login).value == b"token-secret-2"
    assert len(bench.signer.calls) == 2


async def test_renewal_goes_on_though_a_login_that_joined_it_went_away(bench: Bench) -> None:
    await bench.get()
    await bench.goes_on(719)
    busy = bench.signer.gate = threading.Event()
    other = asyncio.ensure_future(bench.get(B))  # keeps the thread
    await asyncio.sleep(0)
    await bench.goes_on(1)
    bench.wall.now += 120
    gone = asyncio.ensure_future(bench.get())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    busy.set()
    await other
    await bench.settled()
    assert [call[0] for call in bench.signer.calls] == [A, B, A]


async def test_renewal_that_fails_is_told_and_tried_again_while_the_token_lasts(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    first = await bench.get()
    bench.signer.error = credentials_fault(Identity(), "expired-sso", environ={})
    await bench.goes_on(750)
    assert await bench.get() is first
    assert caplog.messages.count("token could not be renewed ahead of need") == 2
    bench.signer.error = None
    await bench.goes_on(30)
    assert (await bench.get()).value == b"token-secret-4"

    bench.signer.error = credentials_fault(Identity(), "expired-sso", environ={})
    await bench.goes_on(3600)
    assert len(bench.signer.calls) == 4 + 5, "not for ever"


async def test_a_discarded_token_is_not_renewed(bench: Bench) -> None:
    first = await bench.get()
    bench.source.discard(A, REGION, "batch", first)
    await bench.goes_on(7200)
    assert len(bench.signer.calls) == 1


async def test_after_two_hours_of_sleep_no_old_token_is_sent(bench: Bench) -> None:
    """Timers stand still while a machine sleeps; both clocks that are asked do not."""
    first = await bench.get()
    await bench.goes_on(60)
    bench.passes(7200)
    woken = await bench.get()
    assert woken is not first
    assert bench.source.age(woken) == 0
    await bench.goes_on(660)
    assert await bench.get() is woken, "the first one's timer changes nothing"
    assert len(bench.signer.calls) == 2


@pytest.mark.parametrize("boot_knows", [True, False], ids=["boot clock", "monotonic clock"])
async def test_after_sleep_and_a_clock_set_back_no_old_token_is_sent(bench: Bench, boot_knows: bool) -> None:
    first = await bench.get()
    bench.wall.now += 7200 - 7300  # it slept two hours, then its clock was set back by a little more
    bench.boot.now += 7200 if boot_knows else 0
    assert await bench.get() is not first


async def test_closing_ends_the_timers(bench: Bench) -> None:
    await bench.get()
    bench.source.close()
    assert all(timer.cancelled for timer in bench.timers)


async def test_no_token_appears_in_repr_or_logs(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.signer.access_key = "AKIASECRET"
    token = await bench.get()
    everything = caplog.text + repr(token) + str(token) + repr(bench.source) + repr(vars(bench.source))
    everything += repr(Signed(b"token-secret-9", 0.0, 0.0, "AKIASECRET", None))
    assert token.value == b"token-secret-1"
    assert "token-secret" not in everything
    assert "AKIASECRET" not in repr(token)
    gc.collect()
