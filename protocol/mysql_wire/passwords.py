"""Stored verifiers and scrambles of mysql_native_password and caching_sha2_password. No password is kept.

MySQL manual: Native Authentication; caching_sha2_password information.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Self

from .constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts)).digest()


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def native_scramble(password: bytes, nonce: bytes) -> bytes:
    """What a client answers for mysql_native_password: 20 bytes, or none for an empty password."""
    if not password:
        return b""
    stage1 = _sha1(password)
    return _xor(stage1, _sha1(nonce, _sha1(stage1)))


def sha2_scramble(password: bytes, nonce: bytes) -> bytes:
    """What a client answers for caching_sha2_password: 32 bytes, or none for an empty password."""
    if not password:
        return b""
    stage1 = _sha256(password)
    return _xor(stage1, _sha256(_sha256(stage1), nonce))


def certificate_proof(native: bytes, nonce: bytes, fingerprint: bytes) -> bytes:
    """What MariaDB's OK packet says so that a client can trust a self-signed certificate: `01 | 64 hex digits`.

    Only who knows the password's digest can make it, for this exchange and this certificate (SHA-256 `fingerprint`).
    MariaDB: MDEV-31855, zero-configuration TLS.
    """
    return b"\x01" + _sha256(native, nonce, fingerprint).hex().upper().encode()


@dataclass(frozen=True, slots=True)
class Verifier:
    """SHA1(SHA1(password)) and SHA256(SHA256(password)): all that is needed to check an answer.

    A part that is None is a method that this account does not offer.
    """

    native: bytes | None = field(repr=False)
    sha2: bytes | None = field(repr=False)

    @classmethod
    def of(cls, password: bytes) -> Self:
        return cls(native=_sha1(_sha1(password)), sha2=_sha256(_sha256(password)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """`native:<40 hex>,sha2:<64 hex>`, either part may be missing. Raises ValueError, without the text."""
        lengths = {"native": 20, "sha2": 32}
        parts: dict[str, bytes] = {}
        for part in text.strip().split(","):
            name, _, digits = part.strip().partition(":")
            if name not in lengths or name in parts:
                raise ValueError("expected native:<40 hex>,sha2:<64 hex>, each at most once")
            try:
                parts[name] = bytes.fromhex(digits)
            except ValueError:
                raise ValueError(f"{name}: not hexadecimal") from None
            if len(parts[name]) != lengths[name]:
                raise ValueError(f"{name}: {len(digits)} hex digits instead of {2 * lengths[name]}")
        return cls(native=parts.get("native"), sha2=parts.get("sha2"))

    def format(self) -> str:
        """The text that `parse` reads."""
        named = (("native", self.native), ("sha2", self.sha2))
        return ",".join(f"{name}:{digest.hex()}" for name, digest in named if digest is not None)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the authentication plugins that can be checked."""
        offered = ((CACHING_SHA2_PASSWORD, self.sha2), (NATIVE_PASSWORD, self.native))
        return tuple(name for name, digest in offered if digest is not None)

    def verify(self, plugin: str, nonce: bytes, answer: bytes) -> bool:
        """Whether `answer` is the scramble of the password over `nonce`. A wrong length is a wrong answer."""
        if plugin == NATIVE_PASSWORD and self.native is not None and len(answer) == 20:
            stage1 = _xor(answer, _sha1(nonce, self.native))
            return hmac.compare_digest(_sha1(stage1), self.native)
        if plugin == CACHING_SHA2_PASSWORD and self.sha2 is not None and len(answer) == 32:
            stage1 = _xor(answer, _sha256(self.sha2, nonce))
            return hmac.compare_digest(_sha256(stage1), self.sha2)
        return False
