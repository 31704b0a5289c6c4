"""The next event of a login, off a stream."""

from typing import Protocol, TypeVar

from ..net.stream import Stream

Event_co = TypeVar("Event_co", covariant=True)


class Conversation(Protocol[Event_co]):
    """Either side's login in `pg_wire`."""

    @property
    def needs(self) -> int: ...

    def receive(self, data: bytes) -> Event_co | None: ...


async def next_event(stream: Stream, login: Conversation[Event_co]) -> Event_co:
    """Reads no more than the login needs: the rest is for TLS. Raises RemoteProtocolError, OSError."""
    while True:
        event = login.receive(await stream.read_exactly(login.needs))
        if event is not None:
            return event
