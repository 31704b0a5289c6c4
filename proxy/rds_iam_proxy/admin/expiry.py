"""When certificates on disk end. Reads a file again only when it has changed."""

from pathlib import Path


class CertificateEnds:
    """Remembers what it read."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, float | None]] = {}

    def of(self, path: Path | None) -> float | None:
        """Seconds since 1970; None where there is no file, or none that can be read."""
        if path is None:
            return None
        try:
            changed = path.stat().st_mtime_ns
            if path not in self._known or self._known[path][0] != changed:
                self._known[path] = changed, _end(path.read_bytes())
        except OSError:
            return None
        return self._known[path][1]


def _end(pem: bytes) -> float | None:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    except ValueError:
        return None
