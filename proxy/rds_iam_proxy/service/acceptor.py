"""Accepts clients of one listening socket and starts their sessions."""

import logging
import socket
from collections.abc import Callable

from ..errors.tree import Draining, Limited, LoginError
from ..front.slots import LoginSlot, LoginSlots
from ..logs import event
from ..net.accept import Acceptance
from ..net.sockets import BACKLOG, ListeningSocket, Peer, peer_of
from ..net.stream import Stream

log = logging.getLogger(__name__)


class Acceptor:
    """`run` accepts until it is cancelled; `start_session` gets each client and must release its slot."""

    def __init__(
        self,
        listening: ListeningSocket,
        start_session: Callable[[Stream, Peer, LoginSlot], None],
        slots: LoginSlots,
        has_room: Callable[[], bool],
        turn_away: Callable[[Stream, LoginError], object],
    ) -> None:
        """`turn_away` tells a client that it cannot log in, and closes."""
        self._listening = listening
        self._start_session = start_session
        self._slots = slots
        self._has_room = has_room
        self._turn_away = turn_away
        self._acceptance = Acceptance()

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
            self._turn_away(Stream(sock), Limited("no-room"))
            slot.release()
            event(log, logging.WARNING, "client turned away", peer=str(peer), reason="no file descriptors left")

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
