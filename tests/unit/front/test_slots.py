"""Login slots: fair between peers, and none of them held by somebody who was refused."""

import asyncio

import pytest

from rds_iam_proxy.front.slots import LoginSlot, LoginSlots


async def _taken(slots: LoginSlots, peer: str) -> LoginSlot:
    slot = slots.enter(peer)
    await slots.entrance.acquire()
    await slot.take()
    return slot


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_peer_has_half_of_the_slots_at_most() -> None:
    slots = LoginSlots(most=8)
    held = [await _taken(slots, "a") for _ in range(4)]
    fifth = asyncio.create_task(_taken(slots, "a"))
    await _turns()
    assert not fifth.done()
    others = [await _taken(slots, "b"), await _taken(slots, "c"), await _taken(slots, "b")]
    await _turns()
    assert not fifth.done()
    others[0].release()
    held[0].release()
    held[0].release()
    await _turns()
    assert not fifth.done()
    others[1].release()
    await _turns()
    assert fifth.done()
    fifth.result().release()


async def test_peers_that_wait_take_turns() -> None:
    slots = LoginSlots(most=2)
    first = await _taken(slots, "a")
    order: list[str] = []

    async def log_in(peer: str) -> None:
        slot = await _taken(slots, peer)
        order.append(peer)
        await asyncio.sleep(0)
        slot.release()

    async with asyncio.TaskGroup() as group:
        second = await _taken(slots, "z")
        for peer in ("a", "a", "a", "b", "b", "c"):
            group.create_task(log_in(peer))
        await _turns()
        assert order == []
        second.release()
        first.release()
    assert sorted(order[:3]) == ["a", "b", "c"]
    assert sorted(order[3:]) == ["a", "a", "b"]


async def test_client_that_leaves_the_queue_keeps_nobody_waiting() -> None:
    slots = LoginSlots(most=2)
    first = await _taken(slots, "a")
    waiting, last = slots.enter("a"), slots.enter("a")
    leaving = asyncio.create_task(waiting.take())
    staying = asyncio.create_task(last.take())
    await _turns()
    leaving.cancel()
    await _turns()
    waiting.release()
    first.release()
    await staying
    last.release()
    await _taken(slots, "b")


@pytest.mark.parametrize("leaves_first", [False, True])
async def test_turn_that_comes_as_the_client_leaves_is_given_on(leaves_first: bool) -> None:
    slots = LoginSlots(most=2)
    first, leaving, last = await _taken(slots, "a"), slots.enter("a"), slots.enter("a")
    task, staying = asyncio.create_task(leaving.take()), asyncio.create_task(last.take())
    await _turns()
    for step in (task.cancel, first.release) if leaves_first else (first.release, task.cancel):
        step()
    with pytest.raises(asyncio.CancelledError):
        await task
    leaving.release()
    await staying


async def test_who_waits_when_the_proxy_stops_waits_no_longer() -> None:
    slots = LoginSlots(most=2)
    await _taken(slots, "a")
    waiting = slots.enter("a")
    task = asyncio.create_task(waiting.take())
    await _turns()
    waiting.stop_waiting()
    with pytest.raises(TimeoutError):
        await task


async def test_entrance_is_given_back_once() -> None:
    slots = LoginSlots(most=1, most_waiting=1)
    slot = await _taken(slots, "a")
    await slots.entrance.acquire()
    assert slots.entrance.locked()
    slot.release()
    slot.release()
    await slots.entrance.acquire()
    assert slots.entrance.locked()


async def test_refused_clients_hold_no_slot_and_the_longest_refused_makes_room() -> None:
    slots = LoginSlots(most=2, most_refused=2)
    over = asyncio.Event()
    asides = []
    for _ in range(5):
        slot = await _taken(slots, "a")
        asides.append(asyncio.create_task(slot.stand_aside(_until(over))))
        await _turns()
    assert [aside.done() and aside.result() for aside in asides[:3]] == [False] * 3
    assert all(aside.done() for aside in asides[:3])
    assert not any(aside.done() for aside in asides[3:])
    over.set()
    assert await asyncio.gather(*asides[3:]) == [True, True]


async def _until(over: asyncio.Event) -> None:
    await over.wait()
