"""The name of the program that a client says it is, from the connection attributes of its login packet."""

from mysql_wire.errors import MalformedPacket
from mysql_wire.fields import PayloadReader

from ..logs import printable

_NAMES = (b"program_name", b"_client_name")
"""The first one that is given: what the program calls itself, else the library that it uses."""


def client_program(attributes: bytes | None) -> str:
    """Escaped, cut; empty if it does not say."""
    found = attributes_of(attributes)
    return next((printable(found[name]) for name in _NAMES if found.get(name)), "")


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
