"""The certificate that a server showed and that was not trusted: what it says, so that a person sees whose it is.

Nothing here is believed: all of it comes from whoever answered.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..logs import printable

if TYPE_CHECKING:
    from cryptography import x509

MAX_NAMES = 20


@dataclass(frozen=True, slots=True)
class Presented:
    """Texts are fit to be printed."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    valid_from: datetime  # UTC
    valid_until: datetime

    @property
    def first_name(self) -> str:
        """The names, in a line that has little room."""
        more = f" and {len(self.names) - 1} more" if len(self.names) > 1 else ""
        return (self.names[0] if self.names else "no name") + more

    @property
    def dates(self) -> str:
        return f"from {self.valid_from:%Y-%m-%d} to {self.valid_until:%Y-%m-%d}"

    def __str__(self) -> str:
        return f"certificate for {', '.join(self.names) or self.subject}, issued by {self.issuer}, valid {self.dates}"


def presented(tls: ssl.SSLSocket | None) -> Presented | None:
    """What the peer showed, also after a handshake that failed; None where it showed nothing that can be read."""
    der = _first_of_chain(tls)
    return None if der is None else describe(der)


def verified_chain(tls: ssl.SSLSocket) -> tuple[Presented, ...]:
    """The server's certificate and those that vouch for it, after a handshake that worked; at least the first."""
    try:
        if hasattr(tls, "get_verified_chain"):
            chain = [bytes(der) for der in tls.get_verified_chain()]
        else:
            from _ssl import ENCODING_DER

            chain = [one.public_bytes(ENCODING_DER) for one in tls._sslobj.get_verified_chain()]  # type: ignore[attr-defined]
    except (AttributeError, ImportError, TypeError, ValueError):
        chain = [tls.getpeercert(binary_form=True) or b""]
    return tuple(shown for shown in map(describe, chain) if shown is not None)


def describe(der: bytes) -> Presented | None:
    """What a certificate says."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        names = _names(certificate)
    except ValueError:
        return None
    dates = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Presented(names, printable(subject), printable(issuer), *dates)


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    values = [str(name.value) for name in extension.value if isinstance(name, x509.DNSName | x509.IPAddress)]
    return tuple(printable(value) for value in values[:MAX_NAMES])


def _first_of_chain(tls: ssl.SSLSocket | None) -> bytes | None:
    """`getpeercert` answers only after a handshake that worked; OpenSSL 3 keeps what it refused.

    A second connection that trusts anybody would show it as well, but this program has none that does. Python has the
    public name since 3.13.
    """
    if tls is None:
        return None
    try:
        if hasattr(tls, "get_unverified_chain"):
            return bytes(tls.get_unverified_chain()[0])
        inner = tls._sslobj  # type: ignore[attr-defined]
        from _ssl import ENCODING_DER

        return bytes(inner.get_unverified_chain()[0].public_bytes(ENCODING_DER))
    except (AttributeError, ImportError, IndexError, TypeError, ValueError, ssl.SSLError):
        return None
