"""Feeds a login of pg_wire as a stream would: as many bytes as it needs, however they come."""

from collections.abc import Sequence

from pg_wire.client_login import ClientLogin
from pg_wire.server_login import ServerLogin


def feed(login: ClientLogin | ServerLogin, data: bytes) -> object:
    """The event of exactly one message."""
    event: object = None
    while data:
        assert event is None, "more than one message"
        data, event = data[login.needs :], login.receive(data[: login.needs])
    return event


def feed_cut(login: ClientLogin | ServerLogin, pieces: Sequence[bytes]) -> list[object]:
    """The events of bytes that come in pieces."""
    held = b""
    events: list[object] = []
    for piece in pieces:
        held += piece
        while len(held) >= login.needs:
            needs = login.needs
            event = login.receive(held[:needs])
            held = held[needs:]
            if event is not None:
                events.append(event)
    return events
