"""Stored verifiers and scrambles of mysql_native_password and caching_sha2_password. No password is kept.

MySQL manual: Native Authentication; caching_sha2_password information.
"""

import hashlib
import hmac
from collections.abc import Iterable
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


_BOTH_KINDS = (Verifier(native=bytes(20), sha2=bytes(32)),)


class Decoys:
    """Verifiers for names that do not exist, which look like those of one of the accounts that do.

    What a client is asked first depends on the kinds of hash that its account has. So each unknown name takes after one
    of the `accounts`, and always the same one while these stay as they are. Which one, and the digests, only who knows
    the accounts' own digests could tell: no answer satisfies them. MySQL and MariaDB do alike.
    """

    def __init__(self, accounts: Iterable[tuple[Verifier, ...]], *, secret: bytes = b"") -> None:
        """`secret` keeps the digests unknown where there are no accounts."""
        self._models = tuple(verifiers for verifiers in accounts if verifiers) or (_BOTH_KINDS,)
        self._key = _sha256(secret, repr([verifier.format() for model in self._models for verifier in model]).encode())

    def of(self, name: bytes) -> tuple[Verifier, ...]:
        """Never empty."""
        model = self._models[int.from_bytes(self._digest(b"model", name)) % len(self._models)]
        return tuple(self._like(verifier, b"%d" % number, name) for number, verifier in enumerate(model))

    def _like(self, verifier: Verifier, number: bytes, name: bytes) -> Verifier:
        native, sha2 = self._digest(number, b"native", name)[:20], self._digest(number, b"sha2", name)
        return Verifier(
            native=native if verifier.native is not None else None, sha2=sha2 if verifier.sha2 is not None else None
        )

    def _digest(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"\0".join(parts), "sha256")
