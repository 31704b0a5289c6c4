"""TLS towards the clients: the listener's certificate, its own or one made on first use."""

import contextlib
import datetime
import functools
import hashlib
import logging
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Listener
from ..errors.tree import ConfigError, Denied, LoginError
from ..files import is_private, read_file, write_private_file
from ..logs import event

SELF_SIGNED_DAYS = 3650
RENEW_DAYS = 30
NAMES = ("localhost", "127.0.0.1", "::1")
_FILE = "local-tls.pem"

log = logging.getLogger(__name__)


CLIENT_TLS = "client-tls"
"""The reason of a login that ended with the TLS handshake: nothing that the client could read can be sent then."""

_TOO_OLD = ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "PROTOCOL_VERSION", "NO_SHARED_CIPHER", "HANDSHAKE_FAILURE")


@dataclass(frozen=True, slots=True)
class LocalTLS:
    """A listener's side of TLS. `fingerprint`: SHA-256 of its certificate, for MariaDB's certificate proof.
    `end_point`: its tls-server-end-point, for SCRAM with channel binding; None where its signature has no hash.
    """

    context: ssl.SSLContext = field(repr=False)
    fingerprint: bytes
    required: bool
    end_point: bytes | None = None


def handshake_failure(error: ssl.SSLError) -> LoginError:
    """Why a client's TLS handshake failed, by OpenSSL's reason: the client's alert, or our own fault-finding."""
    reason = error.reason or type(error).__name__
    row = "client-tls-failed"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        row = "certificate-refused"
    elif reason.endswith(_TOO_OLD):
        row = "client-tls-too-old"
    return Denied(row, why=reason.lower().replace("_", " "))


def local_tls(listener: Listener, state_folder: Path, alpn: str | None = None) -> LocalTLS | None:
    """The TLS that this listener offers, None for `tls = "off"`. Raises ConfigError.

    `alpn`: the protocol to agree on with clients that name any; then there is an `end_point`.
    """
    if listener.tls == "off":
        return None
    if listener.tls_cert is not None and listener.tls_key is not None:
        context, der = _load(listener.tls_cert, listener.tls_key)
    else:
        context, der = _self_signed(state_folder / _FILE)
    fingerprint = hashlib.sha256(der).digest()
    end_point = None
    if alpn is not None:
        context.set_alpn_protocols([alpn])
        end_point = fingerprint if listener.tls_cert is None else end_point_of(der)  # ours is signed with SHA-256
    return LocalTLS(context, fingerprint, required=listener.tls == "required", end_point=end_point)


def end_point_of(der: bytes) -> bytes | None:
    """RFC 5929, 4.1: the certificate's hash, by the hash of its own signature; None where that has none (Ed25519)."""
    from cryptography import x509

    algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, der).digest()


def _load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
        der = ssl.PEM_cert_to_DER_cert(_first_certificate(certificate.read_text("ascii", "replace")))
    except (OSError, ValueError) as exc:
        reason = exc.reason if isinstance(exc, ssl.SSLError) else exc
        raise ConfigError([f"tls_cert {certificate}, tls_key {key}: not usable together ({reason})"]) from exc
    return context, der


def _no_password() -> str:
    raise ValueError("the key is encrypted; write it without a password, readable by its owner only")


def _first_certificate(pem: str) -> str:
    start, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return pem[pem.index(start) : pem.index(end) + len(end)]


def _self_signed(path: Path) -> tuple[ssl.SSLContext, bytes]:
    """The certificate kept in `path`, made anew where there is none that is ours alone and still good."""
    with contextlib.suppress(ConfigError, OSError, ValueError):  # ValueError: it is damaged
        content, status = read_file(path)
        if is_private(status) and not _expires_soon(content):
            return _load(path, path)
    pem = _made()
    try:
        write_private_file(path, pem)
        return _load(path, path)
    except OSError as exc:
        event(
            log,
            logging.WARNING,
            "the certificate of local TLS cannot be kept; the next start makes another",
            file=str(path),
            why=exc.strerror,
        )
    try:
        return _load_unkept(pem)
    except OSError as exc:
        raise ConfigError(
            [f"no folder for the certificate of local TLS: {path.parent}: {exc.strerror}; set XDG_STATE_HOME"]
        ) from exc


@functools.cache
def _made() -> bytes:
    """One for all listeners and reloads of this process, though it may not be kept."""
    # Imported only here: most starts find the file.
    from ..net.make_certificate import make_server_certificate

    made = make_server_certificate(NAMES, days=SELF_SIGNED_DAYS)
    return made.certificate_pem + made.private_key_pem


def _load_unkept(pem: bytes) -> tuple[ssl.SSLContext, bytes]:
    """OpenSSL reads files only, and there may be none that can be written: then one in memory. Raises OSError."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(pem)
            file.flush()
            return _load(Path(file.name), Path(file.name))
    with os.fdopen(os.memfd_create("local-tls"), "wb") as memory:
        memory.write(pem)
        memory.flush()
        path = Path(f"/proc/self/fd/{memory.fileno()}")
        return _load(path, path)


def _expires_soon(pem: bytes) -> bool:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem)
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left < datetime.timedelta(days=RENEW_DAYS)
