"""The client's side of SCRAM-SHA-256, for tests of the server's: RFC 5802, with every part open to be spoilt."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass
class ScramClient:
    """`first` → `final` of what the server answered → `server_is_right` of its last message."""

    password: bytes
    header: bytes = b"n,,"
    binding: bytes = b""  # what -PLUS binds in behind the header
    user: bytes = b""
    nonce: bytes = b"rOprNGfwEbeRWgbNEkqO"
    _signed: bytes = field(default=b"", init=False)
    _salted: bytes = field(default=b"", init=False)

    @property
    def bare(self) -> bytes:
        return b"n=%s,r=%s" % (self.user, self.nonce)

    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        nonce, salt, iterations = (part[2:] for part in server_first.split(b","))
        assert nonce.startswith(self.nonce)
        without = b"c=%s,r=%s" % (base64.b64encode(self.header + self.binding), nonce)
        self._signed = b",".join((self.bare, server_first, without))
        self._salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(iterations))
        key = hmac.digest(self._salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), self._signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return without + b",p=" + base64.b64encode(proof)

    def server_is_right(self, server_final: bytes) -> bool:
        key = hmac.digest(self._salted, b"Server Key", "sha256")
        return server_final == b"v=" + base64.b64encode(hmac.digest(key, self._signed, "sha256"))
