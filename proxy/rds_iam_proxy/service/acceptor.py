"""Accepts clients of one listening socket and starts their sessions."""

import asyncio
import logging
import socket
from collections.abc import Callable

from ..errors.tree import Draining, Limited, LoginError
from ..front.slots import LoginSlot, LoginSlots
from ..logs import Seldom, event
from ..net.accept import Acceptance
from ..net.sockets import BACKLOG, ListeningSocket, Peer, peer_of
from ..net.stream import Stream

MAX_TOLD = 32
"""Clients that were turned away and still hear why, where there is no room: each keeps a descriptor, and there are few
for that. The next one is closed without a word."""

log = logging.getLogger(__name__)


class Acceptor:
    """`run` accepts until it is cancelled; `start_session` gets each client and must release its slot."""

    def __init__(
        self,
        listening: ListeningSocket,
        start_session: Callable[[Stream, Peer, LoginSlot], None],
        slots: LoginSlots,
        has_room: Callable[[], bool],
        turn_away: Callable[[Stream, LoginError], asyncio.Future[None]],
    ) -> None:
        """`turn_away` tells a client that it cannot log in, and closes; it is done then."""
        self._listening = listening
        self._start_session = start_session
        self._slots = slots
        self._has_room = has_room
        self._turn_away = turn_away
        self._acceptance = Acceptance()
        self._turned_away = Seldom()
        self._told: set[asyncio.Future[None]] = set()

    async def run(self) -> None:
        try:
            while True:
                await self._slots.entrance.acquire()
                try:
                    sock, where = await self._acceptance.accept(self._listening.sock)
                except BaseException:
                    self._slots.entrance.release()
                    raise
                self._accepted(sock, peer_of(sock, where))
        finally:
            self._close()

    def _accepted(self, sock: socket.socket, peer: Peer) -> None:
        slot = self._slots.enter(str(peer))
        if self._has_room():
            self._start_session(Stream(sock), peer, slot)
        else:
            slot.release()
            self._turn_away_crowd(Stream(sock), peer)

    def _turn_away_crowd(self, stream: Stream, peer: Peer) -> None:
        if len(self._told) < MAX_TOLD:
            told = self._turn_away(stream, Limited("no-room"))
            self._told.add(told)
            told.add_done_callback(self._told.discard)
        else:
            stream.close()
        times = self._turned_away.times(asyncio.get_running_loop().time())
        if times is not None:
            why = "no file descriptors left"
            event(log, logging.WARNING, "client turned away", peer=str(peer), reason=why, times=times)

    def _close(self) -> None:
        """Nobody who connected is left without an answer, unless whoever lent the socket lets others accept them."""
        if not self._listening.is_borrowed:
            for _ in range(BACKLOG):
                try:
                    sock, _where = self._listening.sock.accept()
                except OSError:  # usually: there is nobody
                    break
                self._turn_away(Stream(sock), Draining("listener-closed"))
        self._listening.close()
