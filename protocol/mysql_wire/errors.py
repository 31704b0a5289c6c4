"""The errors of this package. Text names fields and lengths, never content: content may be a secret."""


class ProtocolError(Exception):
    """Base of all errors of mysql_wire."""


class LocalProtocolError(ProtocolError):
    """Our own side asked for something the wire cannot carry, or at the wrong time."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the connection cannot go on."""


class MalformedPacket(RemoteProtocolError):
    """A packet whose bytes do not make the message they should."""


class MalformedCommand(MalformedPacket):
    """A command that the proxy answers itself, and whose bytes do not make it: servers say 1047, "Unknown command"."""


class UnexpectedPacket(RemoteProtocolError):
    """A well-formed packet at a point, or with a sequence id, where it has no place."""


class PacketTooLarge(RemoteProtocolError):
    """A packet longer than the limit named in the text."""


class UnsupportedClient(RemoteProtocolError):
    """A client from before MySQL 4.1: its login cannot be checked."""


class CompressionNotOffered(RemoteProtocolError):
    """The client is going to compress although nobody offered it: after the login it speaks another framing."""


class TLSRequired(RemoteProtocolError):
    """The client did not ask for TLS where nothing else is accepted."""
