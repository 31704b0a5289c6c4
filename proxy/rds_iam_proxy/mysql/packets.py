"""MySQL packets over a stream, while somebody logs in."""

from mysql_wire.packet import HEADER_LENGTH, Header, Sequence

from ..net.stream import Stream


async def read_packet(stream: Stream, sequence: Sequence) -> bytes:
    """One packet's payload. Raises RemoteProtocolError before memory is taken for one that is too long, OSError."""
    header = Header.decode(await stream.read_exactly(HEADER_LENGTH))
    sequence.accept(header)
    return await stream.read_exactly(header.length)
