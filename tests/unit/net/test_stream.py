"""What a stream tells the loop."""

import asyncio
import socket

from rds_iam_proxy.net.stream import Stream


async def test_a_watch_that_was_taken_away_is_called_no_more_and_the_loop_rests() -> None:
    near, far = socket.socketpair()
    stream, heard = Stream(near), asyncio.Event()
    with far:
        stream.watch_readable(heard.set)
        stream.watch_readable(None)
        far.send(b"x")
        await asyncio.sleep(0.01)
        assert not heard.is_set()
        assert not asyncio.get_running_loop().remove_reader(near), "else it would wake for that byte for ever"
        stream.watch_readable(heard.set)
        async with asyncio.timeout(20):
            await heard.wait()
        stream.close()


async def test_the_next_connection_may_have_the_same_descriptor() -> None:
    near, far = socket.socketpair()
    descriptor, stream = near.fileno(), Stream(near)
    with far:
        stream.watch_readable(lambda: None)
        stream.watch_readable(None)
        stream.close()
    assert not asyncio.get_running_loop().remove_reader(descriptor)
