"""What a client says of itself in the connection attributes of its login packet, the name of the program above all."""

from collections.abc import Mapping

from mysql_wire.errors import MalformedPacket
from mysql_wire.fields import PayloadReader

from ..logs import printable

_NAMES = (b"program_name", b"_client_name")
"""The first one that is given: what the program calls itself, else the library that it uses."""


def client_program(attributes: Mapping[bytes, bytes]) -> str:
    """Escaped, cut; empty if it does not say."""
    return next((printable(attributes[name]) for name in _NAMES if attributes.get(name)), "")


def attributes_of(attributes: bytes | None) -> dict[bytes, bytes]:
    """By their names; those in front of what cannot be read."""
    found: dict[bytes, bytes] = {}
    reader = PayloadReader(attributes or b"", "connection attributes")
    try:
        while reader.left:
            key = reader.string_lenenc("key")
            found[key] = reader.string_lenenc("value")
    except MalformedPacket:
        pass  # what was read so far still holds
    return found
