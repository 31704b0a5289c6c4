"""The errors of this package. Text names messages, fields and lengths, never content: content may be a secret."""


class ProtocolError(Exception):
    """Base of all errors of pg_wire."""


class LocalProtocolError(ProtocolError):
    """Our own side asked for something the wire cannot carry, or at the wrong time."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the connection cannot go on. `sqlstate`: what a PostgreSQL server says to it."""

    sqlstate = "08P01"


class MalformedMessage(RemoteProtocolError):
    """Bytes that do not make the message they should."""


class UnexpectedMessage(RemoteProtocolError):
    """A well-formed message at a point where it has no place."""


class MessageTooLarge(RemoteProtocolError):
    """A length above the limit named in the text."""


class UnsupportedFeature(RemoteProtocolError):
    """The client asks for what was never offered: another major version, a mechanism, an authorization identity."""

    sqlstate = "0A000"


class NotAuthorized(RemoteProtocolError):
    """A login that is refused before its password is looked at: no user name, no TLS, a broken channel binding."""

    sqlstate = "28000"


class TLSRequired(NotAuthorized):
    """The client did not ask for TLS where nothing else is accepted."""


class NotPostgreSQL(UnexpectedMessage):
    """What answered our SSLRequest is no PostgreSQL server, or one that is out of order."""
