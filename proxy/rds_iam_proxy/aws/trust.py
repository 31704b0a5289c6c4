"""Whom to trust as RDS: CA certificates, the TLS context, and the TLS session to resume. No sockets.

There is no way to switch verification off here, and there must not be one.
"""

import copy
import functools
import math
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors.tree import ConfigError
from ..files import read_file
from .names import parse_rds_name

RDS_ROOTS = "rds-global-bundle.pem"  # all commercial regions
AMAZON_ROOTS = "amazon-trust-roots.pem"  # RDS Proxy and Aurora Serverless v1

MAX_CA_FILE_BYTES = 4 * 1024 * 1024
"""AWS's largest bundle has 0.2 MB."""
DAY = 86400.0
WARN_DAYS = 90

RENEW_SECONDS = 60.0
"""MySQL's servers forget a session after 300 s by default."""

SESSION_LIFE_SECONDS = 3600.0
"""From the last handshake that showed a certificate."""

_BUNDLES = {  # where those find their roots for whom none are bundled
    "aws-us-gov": "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem",
    "aws-cn": "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem",
}


class Trust:
    """The TLS side of one target: make one per (target, signed host, CA file), and a new one at reload.

    Sessions are never shared between them: a resumed session shows no certificate. Costs 14 ms and 0.6 MB with the
    bundled roots, and 25 ms more for the first in a process.

    `ca_file` replaces the bundled roots. Raises ConfigError when it cannot be used, and when the host is in a
    partition whose roots are not bundled and there is none.
    """

    def __init__(self, host: str, ca_file: Path | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._of_ca_file = None if ca_file is None else _read_ca_file(ca_file)
        roots = self._of_ca_file or _roots_for(host)
        self.first_to_expire = roots.first_to_expire
        self.roots_expire = roots.expire
        self.context = _context(roots)
        self._now = now
        self._session: ssl.SSLSession | None = None
        self._verified_at = 0.0
        self._received_at = 0.0

    def for_host(self, host: str) -> "Trust":
        """The same trust towards another host, with no TLS session to resume; no file is read again."""
        other = copy.copy(self)
        other.host = host
        other.context = _context(self._of_ca_file or _roots_for(host))
        other._session = None
        return other

    def expiry_warning(self, today: float) -> str | None:
        """What to do about a root that ends within WARN_DAYS; `today`: seconds since 1970."""
        days = int((self.roots_expire - today) // DAY)
        if days >= WARN_DAYS:
            return None
        what = "bundled with this version" if self._of_ca_file is None else "of ca_file"
        advice = "install a newer version" if self._of_ca_file is None else "download the bundle of AWS anew"
        return (
            f"the CA certificate {self.first_to_expire!r} {what} ends in {days} days, and servers below it cannot be "
            f"verified from then on; {advice}"
        )

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session to resume, until an hour after the certificate behind it was verified."""
        if self._session is not None and self._now() - self._verified_at >= SESSION_LIFE_SECONDS:
            self._session = None
        return self._session

    def wants_session(self, *, reused: bool) -> bool:
        """Whether to take the session off the socket of a login that worked, which is slow, and `remember` it.

        That of a resumed login is of use only when the one that is kept comes near the age at which servers forget it.
        """
        return not reused or self._now() - self._received_at >= RENEW_SECONDS

    def remember(self, session: ssl.SSLSession | None, *, reused: bool) -> None:
        """Keep the session of a login that worked; `reused`: the socket's `session_reused`.

        A session that came from a resumed one is as old as that: it prolongs nothing.
        """
        if session is None:
            return
        if not reused:
            self._verified_at = self._now()
        elif self.session is None:
            return
        self._session = session
        self._received_at = self._now()

    def forget(self) -> None:
        """Make the next handshake a full one."""
        self._session = None


@dataclass(frozen=True, slots=True)
class _Roots:
    certificates: bytes = field(repr=False)  # DER, one after the other
    expire: float  # the first of them, seconds since 1970
    first_to_expire: str  # its name


def _context(roots: _Roots) -> ssl.SSLContext:
    # Not create_default_context: it adds the system's CAs, writes secrets to SSLKEYLOGFILE, and from Python 3.13
    # on is strict about X.509 details that not all RDS roots have (a serial number that is not positive).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    # MySQL's servers take NIST curves only, and OpenSSL guesses another one first: each handshake would begin twice.
    # Every TLS server has this one (RFC 8446, 9.1).
    context.set_ecdh_curve("prime256v1")
    # MySQL's servers close without a close_notify. OpenSSL 3 would send an alert to what is closed, and the reset that
    # comes back would hide how RDS ended. That nothing was cut off is not for TLS to say here: packets have lengths.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # OpenSSL 1.1.1 has none, and needs none
    # The same on all Python versions: whole chains up to a root only, no intermediate as an anchor.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    context.load_verify_locations(cadata=roots.certificates)
    return context


def _roots_for(host: str) -> _Roots:
    name = parse_rds_name(host)
    if name is None:
        return _bundled((RDS_ROOTS, AMAZON_ROOTS))
    if not name.has_bundled_roots:
        where = _BUNDLES.get(name.partition, "the RDS documentation of that partition")
        raise ConfigError(
            [f"{host}: the certificates of {name.partition} are not bundled; download {where} and set ca_file"]
        )
    # Amazon's roots also sign certificates for others, but none for RDS's host names.
    return _bundled((AMAZON_ROOTS,) if name.kind.is_proxy else (RDS_ROOTS, AMAZON_ROOTS))


@functools.cache
def _bundled(names: tuple[str, ...]) -> _Roots:
    folder = resources.files("rds_iam_proxy.aws") / "roots"
    return _unexpired("".join((folder / name).read_text("ascii") for name in names))


def _read_ca_file(path: Path) -> _Roots:
    try:
        content, _ = read_file(path, MAX_CA_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigError([f"ca_file {path}: {exc.strerror}"]) from exc
    if len(content) > MAX_CA_FILE_BYTES:
        raise ConfigError([f"ca_file {path}: larger than {MAX_CA_FILE_BYTES} bytes"])
    try:
        return _unexpired(content.decode("ascii", errors="ignore"))
    except ValueError as exc:
        raise ConfigError([f"ca_file {path}: {exc}"]) from exc


def _unexpired(pem: str) -> _Roots:
    """The CA certificates in this text that have not expired. Raises ValueError when there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as exc:
        raise ValueError("not a file of certificates in PEM form") from exc
    today = time.time()
    expire, first = math.inf, ""
    certificates = []
    described = context.get_ca_certs()
    for der, fields in zip(context.get_ca_certs(binary_form=True), described, strict=True):
        ends = ssl.cert_time_to_seconds(str(fields["notAfter"]))
        if ends > today:
            certificates.append(der)
            expire, first = min((expire, first), (ends, _name(fields)))
    if not certificates:
        raise ValueError("none of its certificates is a CA certificate that has not expired")
    return _Roots(b"".join(certificates), expire, first)


def _name(certificate: Mapping[str, Any]) -> str:
    """The common name, or the organisation's unit of those roots that have none."""
    subject = {key: value for relative in certificate["subject"] for key, value in relative}
    return str(subject.get("commonName") or subject.get("organizationalUnitName") or "without a name")
