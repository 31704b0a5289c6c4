"""Requests to cancel what a session runs, passed on to the server that it runs on. None is ever answered.

PostgreSQL manual: Canceling Requests in Progress.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from pathlib import Path

from pg_wire.client_login import accepts_tls
from pg_wire.errors import RemoteProtocolError
from pg_wire.messages import CancelRequest, SSLRequest

from ..errors.tree import LoginError
from ..front.ids import LiveSession, LiveSessions
from ..limits.token_bucket import TokenBucket
from ..logs import Seldom, event
from ..net.address import Address
from ..net.stream import EndOfStream
from ..rds.login import Way
from ..rds.upstream import Upstream

CANCEL_SECONDS = 10.0
"""From the request until RDS has closed its connection: libpq waits for that, so that its next query is not hit."""

MAX_AT_ONCE = 16
"""Connections to RDS for this at one time, of one target; others wait."""

MAX_WAITING = 256
"""Of one target, with those that are connected; one more is dropped."""

REQUESTS_PER_SECOND = 100.0
REQUEST_BURST = 100
"""Of one target, right or wrong: keys of 4 bytes shall not be tried out."""

log = logging.getLogger(__name__)


class Cancels:
    """Of one target. The login budget has no part in it: nobody logs in."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(REQUESTS_PER_SECOND, REQUEST_BURST, 0.0)
        self._turn = asyncio.Lock()  # for the bucket: if all looked at it, each request would cost a look of all
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0
        self._dropped = Seldom()

    async def run(self, request: CancelRequest, live: LiveSessions, target: str, upstream: Upstream) -> None:
        """Returns when RDS has heard of it, or nobody need."""
        if self._waiting >= MAX_WAITING:
            times = self._dropped.times(upstream.now())
            if times is not None:
                _tell(logging.WARNING, target, "too many of them at once", times)
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._wait_for_turn(upstream)
                session = live.find((request.process_id, request.secret_key))
                if session is None or session.target != target:
                    _tell(logging.DEBUG, target, "no session has this process id and key")
                    return
                async with self._places:
                    await pass_on(await upstream.way(), session)
        except (OSError, TimeoutError, LoginError, RemoteProtocolError) as exc:
            _tell(logging.WARNING, target, _reason(exc))
        else:
            event(log, logging.DEBUG, "cancel request passed on", target=target, process_id=session.rds_connection_id)
        finally:
            self._waiting -= 1

    async def _wait_for_turn(self, upstream: Upstream) -> None:
        async with self._turn:
            while not self._bucket.take(upstream.now()):  # noqa: ASYNC110 - it is time that is waited for
                await asyncio.sleep(self._bucket.seconds_until(1, upstream.now()))


async def pass_on(way: Way, session: LiveSession) -> None:
    """At the session's own address: the name may lead to several servers. Raises OSError, RemoteProtocolError."""
    host, port = session.server
    stream, _ = await way.dialler.dial(Address(host, port) if port else Path(host))
    try:
        await stream.write(SSLRequest().encode())
        if not accepts_tls(await stream.read_exactly(1)):
            raise ConnectionError("the server offers no TLS")
        await stream.start_tls(way.trust.context, server_hostname=way.target.address.host)
        await stream.write(CancelRequest(session.rds_connection_id, session.rds_key).encode())
        with suppress(EndOfStream):
            await stream.read_exactly(1)  # nothing comes but the end
    finally:
        stream.close()


def _tell(level: int, target: str, why: str, times: int | None = None) -> None:
    event(log, level, "cancel request dropped", target=target, why=why, times=times)


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return f"not done within {CANCEL_SECONDS:g} s"
    if isinstance(exc, ssl.SSLError):
        return exc.reason or type(exc).__name__
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
